"""The vocabulary of the exchange: markets, publication frequencies, intervals."""

import datetime as dt
import re
from dataclasses import dataclass
from enum import StrEnum
from functools import cache

from bhds.errors import ConfigError


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


@dataclass(frozen=True)
class Interval:
    """The spacing of a series of klines, named as in the bucket: `1s` ... `1mo`.

    The name is also a duration in the notation of Polars.
    """

    name: str
    duration: dt.timedelta | None
    """The length of one bar; None for calendar months, which differ in length."""

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
