"""The vocabulary of the exchange: markets, publication frequencies, intervals."""

import datetime as dt
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache
from typing import Self

from bhds.core.errors import ConfigError


class TradeType(StrEnum):
    """A market, by the name that BHDS uses in paths and settings."""

    SPOT = "spot"
    UM_FUTURES = "um_futures"
    CM_FUTURES = "cm_futures"
    OPTION = "option"

    @property
    def bucket_path(self) -> str:
        """The market's folder below `data/` in the bucket."""
        return _BUCKET_PATHS[self]


_BUCKET_PATHS = {
    TradeType.SPOT: "spot",
    TradeType.UM_FUTURES: "futures/um",
    TradeType.CM_FUTURES: "futures/cm",
    TradeType.OPTION: "option",
}


class Frequency(StrEnum):
    """How much time one archive file covers: a UTC day or a UTC month."""

    DAILY = "daily"
    MONTHLY = "monthly"


_INTERVAL_NAME = re.compile(r"([1-9][0-9]{0,4})(s|m|h|d|w|mo)")
_UNITS = {
    "s": dt.timedelta(seconds=1),
    "m": dt.timedelta(minutes=1),
    "h": dt.timedelta(hours=1),
    "d": dt.timedelta(days=1),
    "w": dt.timedelta(weeks=1),
}
_PHASED = dt.timedelta(days=3)


@dataclass(frozen=True)
class Interval:
    """The spacing of a series of klines, named as in the bucket: `1s` ... `1mo`.

    The name is also a duration in the notation of Polars.
    """

    name: str
    duration: dt.timedelta | None
    """The length of one bar; None for calendar months, which differ in length."""
    phase_starts: tuple[int, ...] = ()
    """Of 3d bars, which open on other days for each symbol: the days since 1970 from
    which they are counted in threes. The first is modulo 3 and also holds for the time
    before it; the others are the days on which the count began again. Empty where this
    is not known."""

    def __str__(self) -> str:
        return self.name

    @classmethod
    def parse(cls, name: str) -> "Interval":
        """Read an interval's name, such as `1m`, `4h` or `1mo`.

        Raises
        ------
        ConfigError
            If the name is not a positive whole number and a unit.
        """
        return _parse_interval(name)

    @property
    def has_phase(self) -> bool:
        """Whether bars open on days that differ from symbol to symbol.

        The exchange counts the days of 3d bars from each symbol's listing day. Bars of
        all other lengths open at the same moments for all symbols.
        """
        return self.duration == _PHASED

    @property
    def phase(self) -> int | None:
        """The day since 1970, modulo 3, on which bars open; None if not known.

        Where the count began again, this is the phase of the newest bars.
        """
        return self.phase_starts[-1] % _PHASED.days if self.phase_starts else None

    def with_phase_of(self, days: Iterable[int]) -> Self:
        """Return the interval with the phase of some of its bars.

        Parameters
        ----------
        days
            The days since 1970 on which bars open, ascending. One that is no multiple
            of three days after those before it begins a new count: a bar is never
            taken for one that opened earlier. Without any, the phase is not known.
        """
        if not self.has_phase:
            return self
        starts: list[int] = []
        for day in days:
            if not starts:
                starts.append(day % _PHASED.days)
            elif (day - starts[-1]) % _PHASED.days:
                starts.append(day)
        return replace(self, phase_starts=tuple(starts))


@cache
def _parse_interval(name: str) -> Interval:
    match = _INTERVAL_NAME.fullmatch(name)
    if match is None:
        msg = (
            f"interval {name!r}: expected a number of at most 5 digits and a unit "
            "(s, m, h, d, w, mo), such as 1m, 4h or 1d"
        )
        raise ConfigError(msg)
    count, unit = int(match[1]), match[2]
    return Interval(name, None if unit == "mo" else count * _UNITS[unit])


ARCHIVE_INTERVALS = tuple(
    "1s 1m 3m 5m 15m 30m 1h 2h 4h 6h 8h 12h 1d 3d 1w 1mo".split()  # noqa: SIM905
)
"""The kline intervals that the archive publishes (`1s` for spot only)."""
