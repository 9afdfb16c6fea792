"""BHDS: clean, complete, verified market data from Binance's public archive.

Built data is read with `scan_klines` and its like (`bhds.reader`):

>>> import bhds
>>> bars = bhds.scan_klines("um_futures", "1m", symbols="BTCUSDT", start="2025-03-01")
"""

from typing import TYPE_CHECKING, Any

from bhds.core.version import __version__ as __version__

if TYPE_CHECKING:
    from bhds.reader import (
        condition,
        explain,
        gaps,
        scan_agg_trades,
        scan_funding,
        scan_klines,
        scan_records,
        scan_resampled,
        scan_trades,
        segments,
        universe,
    )

__all__ = [
    "condition",
    "explain",
    "gaps",
    "scan_agg_trades",
    "scan_funding",
    "scan_klines",
    "scan_records",
    "scan_resampled",
    "scan_trades",
    "segments",
    "universe",
]


def __getattr__(name: str) -> Any:
    """Import the reader when it is first used: jobs and commands do without."""
    if name in __all__:
        from bhds import reader  # noqa: PLC0415 -- see above

        return getattr(reader, name)
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
