"""The phase of a symbol's 3d bars in the metadata of files: from where it is known."""

import datetime as dt
from collections.abc import Mapping
from enum import StrEnum

from bhds.core.markets import Interval

_EPOCH = dt.date(1970, 1, 1)
_DAY = dt.timedelta(days=1)
_NAMES = ("phase", "phase_restarts", "phase_source")


class PhaseSource(StrEnum):
    """From where the phase of 3d bars is known, the most certain first."""

    PUBLISHED = "published"
    """The 3d bars that the exchange published."""
    API = "api"
    """One 3d bar that was requested."""
    FIRST_TRADED_DAY = "first_traded_day"
    """The first day of the base bars that has trades."""


def to_metadata(interval: Interval, source: PhaseSource) -> dict[str, str]:
    """Return what the metadata of a file record of a phase; nothing if not known.

    `phase` is the day since 1970, modulo 3, on which bars open; `phase_restarts` are
    the UTC days from which the exchange counted again, usually none; and
    `phase_source` is one of `PhaseSource`.
    """
    if interval.phase is None:
        return {}
    first, *others = interval.phase_starts
    return {
        "phase": str(first),
        "phase_restarts": " ".join((_EPOCH + n * _DAY).isoformat() for n in others),
        "phase_source": source.value,
    }


def from_metadata(interval: Interval, metadata: Mapping[str, str]) -> Interval:
    """Return an interval with the phase that a file records; as it is without one."""
    if "phase" not in metadata:
        return interval
    restarts = map(dt.date.fromisoformat, metadata["phase_restarts"].split())
    days = [int(metadata["phase"]), *((day - _EPOCH).days for day in restarts)]
    return interval.with_phase_of(days)


def of_metadata(metadata: Mapping[str, str]) -> dict[str, str]:
    """Return the part of a file's metadata that records a phase."""
    return {name: metadata[name] for name in _NAMES if name in metadata}
