"""Quality tables: their market and series by path, and their rows."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from bhds import layout
from bhds.core.errors import ResultError
from bhds.core.markets import TradeType
from bhds.io import storage

_KINDS = "gaps|conflicts|reconciliation|condition|volume_checks"
_PATHS = (
    re.compile(layout.regex(layout.quality_table, kind=_KINDS)),
    re.compile(layout.regex(layout.quality_table, kind=_KINDS, series=None)),
)
_MARKETS = [trade_type.value for trade_type in TradeType]

MARKET = pl.Enum(_MARKETS)


@dataclass(frozen=True)
class QualityTable:
    """One table of a market, by its path below the data directory."""

    path: str
    trade_type: TradeType
    kind: str
    """`gaps`, `conflicts`, `reconciliation`, `condition` or `volume_checks`."""
    data_type: str
    interval: str | None

    @property
    def series(self) -> str:
        """Data type and interval, as in `klines 1m`."""
        return " ".join(filter(None, (self.data_type, self.interval)))


def quality_tables(paths: Iterable[str]) -> list[QualityTable]:
    """Return the tables of some paths.

    Returns
    -------
    list of QualityTable
        Klines first, short intervals first; of one series by market, as `TradeType`
        orders them.

    Raises
    ------
    ResultError
        If a path is not that of a quality table.
    """
    return sorted(map(_table, paths), key=_order)


def read_tables(
    tables: Sequence[QualityTable], kind: str, *, columns: Sequence[str], data_dir: Path
) -> pl.DataFrame:
    """Read some columns of all tables of a kind.

    Parameters
    ----------
    tables
        Tables of all kinds.
    kind
        The kind that is read.
    columns
        Columns that every table of the kind has.
    data_dir
        The data directory.

    Returns
    -------
    polars.DataFrame
        The rows of all of them, one table after another. The first columns are
        `market` (`MARKET`), `data_type`, and `series`, as in `klines 1m` (an Enum in
        the order of `tables`). Without such a table there are no rows, and no further
        columns.

    Raises
    ------
    ResultError
        If a table cannot be read.
    """
    series = pl.Enum(list(dict.fromkeys(table.series for table in tables)))
    nothing = pl.DataFrame(
        schema={"market": MARKET, "data_type": pl.String, "series": series}
    )
    frames = [
        storage.read_parquet(data_dir / table.path, columns=columns).select(
            pl.lit(table.trade_type.value, dtype=MARKET).alias("market"),
            pl.lit(table.data_type).alias("data_type"),
            pl.lit(table.series, dtype=series).alias("series"),
            pl.all(),
        )
        for table in tables
        if table.kind == kind
    ]
    return pl.concat([nothing, *frames], how="diagonal")


def of_first_series(rows: pl.DataFrame) -> pl.DataFrame:
    """Pick the rows of the first series of each market.

    A fault in 1m bars is one in the 1h bars of the same symbol too: counted in all
    series, it would count twice.

    Parameters
    ----------
    rows
        n >= 0 rows with `market` and `series`, as `read_tables` returns them.
    """
    firsts = rows.group_by("market", maintain_order=True).agg(pl.col("series").first())
    return rows.join(firsts, on=["market", "series"], how="semi", maintain_order="left")


def paths_of(tables: Sequence[QualityTable], kind: str) -> str:
    """Return the path of a kind of table, or a pattern of several paths."""
    found = [table.path for table in tables if table.kind == kind]
    if len(found) <= 1:
        return "".join(found) or "no file"
    names = sorted({Path(path).name for path in found})
    folder = Path(layout.placeholders(layout.quality_table)).parent.as_posix()
    return f"{folder}/ ({', '.join(names)})"


def _table(path: str) -> QualityTable:
    match = next(filter(None, (each.fullmatch(path) for each in _PATHS)), None)
    if match is None:
        expected = layout.placeholders(layout.quality_table)
        msg = f"{path}: not a quality table; expected {expected}"
        raise ResultError(msg)
    series = match.groupdict().get("series", "")
    if match["kind"] == "condition":
        data_type, _, interval = series.partition("-")
    elif match["kind"] == "volume_checks":
        data_type, interval = "aggTrades", ""
    else:
        data_type, interval = "klines", series
    trade_type = TradeType(match["trade_type"])
    return QualityTable(path, trade_type, match["kind"], data_type, interval or None)


_INTERVAL = re.compile(r"(\d*)(\D*)")
_SHORTEST_FIRST = {unit: n for n, unit in enumerate(("s", "m", "h", "d", "w", "mo"))}


def _order(table: QualityTable) -> tuple[bool, str, int, int, int, str]:
    count, unit = _INTERVAL.findall(table.interval or "")[0]
    return (
        table.data_type != "klines",
        table.data_type,
        _SHORTEST_FIRST.get(unit, -1),
        int(count or 0),
        _MARKETS.index(table.trade_type.value),
        table.kind,
    )
