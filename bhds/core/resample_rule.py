"""Resample rules: the interval and offset of resampled bars, and their names."""

import datetime as dt
from dataclasses import dataclass, replace

import polars as pl

from bhds.core.errors import ConfigError
from bhds.core.markets import Interval
from bhds.core.timegrid import counts, with_phase_of

_DAY = dt.timedelta(days=1)
_ZERO = dt.timedelta(0)
_OFFSET_UNITS = {
    "d": _DAY,
    "h": dt.timedelta(hours=1),
    "m": dt.timedelta(minutes=1),
    "s": dt.timedelta(seconds=1),
}


@dataclass(frozen=True)
class ResampleRule:
    """Bars of one interval that begin `offset` after its grid points.

    Raises
    ------
    ConfigError
        If the offset is negative, not in whole seconds, not shorter than the
        interval, or given for calendar months.
    """

    interval: Interval
    offset: dt.timedelta = _ZERO

    def __post_init__(self) -> None:
        longest = _ZERO if self.interval.duration is None else self.interval.duration
        is_whole = self.offset % _OFFSET_UNITS["s"] == _ZERO
        if self.offset != _ZERO and not (_ZERO < self.offset < longest and is_whole):
            msg = (
                f"resample {self.interval}: offset {self.offset} must be whole seconds "
                "and shorter than the interval (none for months); shorten it"
            )
            raise ConfigError(msg)

    @property
    def name(self) -> str:
        """The rule as paths hold it: `1h`, or `1h_5m` with an offset.

        The offset is in the largest unit of d, h, m, s that makes it whole.
        """
        if self.offset == _ZERO:
            return self.interval.name
        return f"{self.interval}_{_offset_name(self.offset)}"

    @classmethod
    def parse(cls, name: str) -> "ResampleRule":
        """Read a rule, whose offset may be in any unit: `4h_60m` is the rule `4h_1h`.

        Raises
        ------
        ConfigError
            If there is no such interval or offset.
        """
        interval, separator, offset = name.partition("_")
        duration = Interval.parse(offset).duration if separator else _ZERO
        if duration is None:
            msg = f"resample rule {name!r}: an offset cannot be in months; use days"
            raise ConfigError(msg)
        return cls(Interval.parse(interval), duration)

    def check_base(self, base: Interval) -> None:
        """Raise ConfigError unless the bars of `base` fill this rule's windows.

        The interval and the offset must be multiples of `base`, and the windows
        begin where its bars do, whatever the phase of 3d bars; months need a `base`
        that divides a day.
        """
        if base.duration is None or not self._is_multiple_of(base, base.duration):
            msg = (
                f"resample rule {self.name!r}: interval and offset must be multiples "
                f"of {base}, the interval of the results; choose others"
            )
            raise ConfigError(msg)

    def _is_multiple_of(self, base: Interval, duration: dt.timedelta) -> bool:
        if self.interval.duration is None:
            return _DAY % duration == _ZERO
        if base.has_phase != self.interval.has_phase and _DAY % duration != _ZERO:
            return False  # 3d bars open on any day
        shift = self.offset + _start(self.interval) - _start(base)
        return shift % duration == _ZERO == self.interval.duration % duration

    def phased_as(self, bars: pl.DataFrame) -> "ResampleRule":
        """Return the rule with the phase of the first of some bars, if it has none.

        Parameters
        ----------
        bars
            n >= 0 results, sorted by `open_time`: the first was traded.
        """
        if self.interval.phase is not None:
            return self
        first = bars["open_time"].head(1)
        return replace(self, interval=with_phase_of(self.interval, first))


def _start(interval: Interval) -> dt.timedelta:
    """Return from when, after 1970-01-01, bars are counted; of 3d bars midnight."""
    if interval.has_phase:
        return _ZERO
    return counts(interval)[0].start_ms * dt.timedelta(milliseconds=1)


def _offset_name(offset: dt.timedelta) -> str:
    unit = next(unit for unit, size in _OFFSET_UNITS.items() if offset % size == _ZERO)
    return f"{offset // _OFFSET_UNITS[unit]}{unit}"
