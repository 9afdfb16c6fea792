"""Read built data: lazy frames over the files of many symbols.

Every function takes the market first (`spot`, `um_futures`, `cm_futures`), and by
keyword

symbols
    One name or several; None: all that were built. Delisted symbols are among them.
start, end
    The time wanted, from `start` up to but without `end`: a date, a datetime or ISO
    8601 text, UTC where no zone is given. None: no bound.
data_dir
    Where the data are (`~` is the home folder); by default
    `$CRYPTO_BASE_DIR/binance_data`, else `./binance_data`.
strict
    Refuse, with a `ResultError`, to read days that are not `available`.

A scan has one row per bar, event or record, by symbol and then by time, and `symbol` as
its first column. It is a Polars scan of Parquet files: of other symbols only the
footers are read, of a file only the columns that are used and the row groups (half a
year of 1m bars) that may hold a wanted row. `symbols` leaves out the footers too.
"""

from bhds.reader.origin import explain
from bhds.reader.scans import (
    scan_agg_trades,
    scan_funding,
    scan_klines,
    scan_records,
    scan_resampled,
    scan_trades,
)
from bhds.reader.tables import condition, gaps, segments
from bhds.reader.universes import universe

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
