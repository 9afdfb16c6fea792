"""Check the recorded condition of the days that are to be read."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from bhds.core.errors import ResultError
from bhds.io.storage import read_parquet_metadata
from bhds.quality import judged_until
from bhds.reader.files import BuiltMarket, SymbolFile
from bhds.reader.period import TimeRange

_ENOUGH = 3
"""So many days that are not available are named, of those that there are."""


@dataclass(frozen=True)
class CheckedSeries:
    """One data type, in one interval where it is bars."""

    data_type: str
    interval: str | None

    @property
    def name(self) -> str:
        """The name that its quality tables have."""
        return "-".join(filter(None, [self.data_type, self.interval]))

    @property
    def condition(self) -> str:
        """The name of the table of the condition of its days."""
        return f"condition-{self.name}"


def refuse_unavailable(
    files: Sequence[SymbolFile],
    *,
    market: BuiltMarket,
    series: CheckedSeries,
    period: TimeRange,
    asked: TimeRange | None = None,
    symbols: Sequence[str] | None = None,
) -> None:
    """Make sure that every day to be read is `available`, or `not_listed`.

    Parameters
    ----------
    files, market, series
        What is to be read.
    period
        The time that is read.
    asked
        The time that was requested, where more is read; None: the same.
    symbols
        All that are read, where some may have no file; None: those of the files.

    Raises
    ------
    ResultError
        If one is not, or its condition is not known: it was not judged since the
        files reach so far, or no file reaches as far as what was requested.
    """
    table = market.quality_table(series.condition)
    symbols = symbols or list(dict.fromkeys(file.symbol for file in files))
    days = (
        pl.scan_parquet(table, glob=False)
        .filter(pl.col("symbol").is_in(symbols))
        .select("symbol", "day", "condition", "reason")
        .collect()
    )
    where = f"{market.trade_type} {series.name}"
    unjudged = set(symbols).difference(days["symbol"])
    until, ends = judged_until.of_metadata(read_parquet_metadata(table))
    of_symbols = {symbol: ends.get(symbol, until) for symbol in symbols}
    if unjudged or _reaches_past(of_symbols, files, period=period):
        of = f"symbols {sorted(unjudged)[:_ENOUGH]}" if unjudged else "the last days"
        msg = (
            f"{where}: the condition of {of} is not known (judged until "
            f"{until}), expected that of all that is read; snakemake quality_all"
        )
        raise ResultError(msg)
    latest = (asked or period).latest_day
    first_end = min(of_symbols.values(), default=until)
    if latest is not None and latest > first_end:
        msg = (
            f"{where}: the day {latest} was not judged (they are until {first_end}),"
            " expected every requested day to be; request fewer days, or build them"
        )
        raise ResultError(msg)
    bad = days.filter(
        *period.of_days("day"), ~pl.col("condition").is_in(["available", "not_listed"])
    )
    if not bad.is_empty():
        raise ResultError(_unavailable(bad, where=where))


def _reaches_past(
    days: Mapping[str, dt.date], files: Sequence[SymbolFile], *, period: TimeRange
) -> bool:
    """Whether files that may hold later days are to be read past their symbols' day."""
    last_day = period.last_day or dt.date.max
    later = [file for file in files if days[file.symbol] < last_day]
    known = {f.symbol: read_parquet_metadata(f.path).get("as_of") for f in later}
    return any(
        dt.date.fromisoformat(as_of) > days[symbol]
        for symbol, as_of in known.items()
        if as_of
    )


def _unavailable(days: pl.DataFrame, *, where: str) -> str:
    named = ", ".join(
        f"{row['symbol']} {row['day']} {row['condition']} ({row['reason']})"
        for row in days.head(_ENOUGH).iter_rows(named=True)
    )
    more = ", ..." if days.height > _ENOUGH else ""
    return (
        f"{where}: {days.height} days of {days['symbol'].n_unique()} symbols are not "
        f"available, expected all: {named}{more}; read others, or without strict; "
        "bhds.condition() lists them"
    )
