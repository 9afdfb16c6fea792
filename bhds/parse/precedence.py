"""The one order of rows that publish the same bar.

1. With trades before without: archive files hold runs of bars without trades that are
   wrong, and no traded bar may be lost to them.
2. Possible before impossible values.
3. Daily zips before the API before monthly zips.
4. The later file of one frequency, and the later line of one file.

Parsing, merging and `explain` all choose by it, through `choose_bars`.
"""

import datetime as dt
from collections.abc import Collection

import polars as pl

from bhds.core.markets import Interval, TradeType
from bhds.core.timegrid import floor_time, microseconds
from bhds.parse.dedupe import Collapsed, collapse
from bhds.schemas import datatypes
from bhds.schemas.impossible_values import has_impossible_values

_SOURCES = {"monthly": 0, "api": 1, "daily": 2}
_POSSIBLE, _TRADED = 4, 8
"""What is added to the number of the source: each decides before all below it."""
_FILES = 1 << 32
"""More than there are files."""

_DAY = Interval.parse("1d")
_LONGEST_MONTH = dt.timedelta(days=31)


def rank(columns: Collection[str], *, data_type: str, trade_type: TradeType) -> pl.Expr:
    """Return an expression: how a row ranks among those of the same bar or event.

    Parameters
    ----------
    columns
        Those of the rows, `source` among them.
    data_type, trade_type
        What the rows are of.

    Returns
    -------
    polars.Expr
        Int64; the largest wins, and of equal ones the later row.
    """
    source = pl.col("source").replace_strict(_SOURCES, return_dtype=pl.Int64)
    is_possible = ~has_impossible_values(data_type, trade_type)
    ranks = source + is_possible.cast(pl.Int64) * _POSSIBLE
    if "trade_count" in columns:
        ranks += (pl.col("trade_count") > 0).cast(pl.Int64) * _TRADED
    return ranks


def choose_bars(
    bars: pl.DataFrame, *, data_type: str, trade_type: TradeType, interval: Interval
) -> Collapsed:
    """Keep every published bar once.

    Bars of one grid point that come from different files or sources are the same bar.
    Several of one file that open at different times are not: all are kept, or none.

    Parameters
    ----------
    bars
        n >= 0 rows with the columns of partitions, and `file`, a number: of files of
        one frequency, the larger goes first. Rows of one file stand in the order of
        its lines.
    data_type, trade_type, interval
        What they are of.

    Returns
    -------
    Collapsed
        Sorted by `open_time`, `kept` unique on it. All columns but the source are
        compared; times only of bars that open at the same time.
    """
    distances = bars["open_time"].to_physical().diff().slice(1)
    if (distances >= microseconds(interval.duration or _LONGEST_MONTH)).all():
        return Collapsed.whole(bars)  # nearly always
    if (distances < 0).any():
        bars = bars.sort("open_time", maintain_order=True)
    numbered = bars.with_columns(_point(interval).alias("point"))
    if not numbered.select(_shares_with_another().any()).item():
        return Collapsed.whole(bars)
    table = datatypes.data_type(data_type).table
    schema = pl.Schema() if table is None else table(trade_type).schema
    values = [name for name in schema if name not in {"open_time", "source"}]
    order = rank(bars.columns, data_type=data_type, trade_type=trade_type)
    is_alone = numbered["point"].is_unique()
    shared = numbered.filter(~is_alone).with_columns(order.alias("rank"))
    # Only some points, if any, have a file with several bars, and need more care.
    is_one_of_several = shared.select("point", "file", "source").is_duplicated()
    points = shared.filter(is_one_of_several)["point"].unique()
    are_several = pl.col("point").is_in(points.implode())
    chosen = [
        collapse(
            _with_slots(shared.filter(are_several)),
            key=["slot"],
            precedence=["wins", "rank", "file", "position"],
            values=values,
            moment="open_time",
        ),
        collapse(
            shared.filter(~are_several),
            key=["point"],
            precedence=["rank", "file"],
            values=values,
            moment="open_time",
        ),
    ]
    of_both = [*bars.columns, *(f"kept_{name}" for name in bars.columns)]
    kept = [bars.filter(is_alone), *(c.kept.select(bars.columns) for c in chosen)]
    duplicates, conflicts = (
        [getattr(each, name).select(of_both) for each in chosen]
        for name in ("duplicates", "conflicts")
    )
    return Collapsed(
        pl.concat(kept).sort("open_time"),
        pl.concat(duplicates).sort("open_time", maintain_order=True),
        pl.concat(conflicts).sort("open_time", maintain_order=True),
    )


def _point(interval: Interval) -> pl.Expr:
    """Return an expression: the grid point of a bar, as far as it distinguishes bars.

    The days on which bars of 3d open differ by symbol, so for these it is the day.
    """
    is_3d = interval.duration == dt.timedelta(days=3)
    return floor_time(pl.col("open_time"), interval=_DAY if is_3d else interval)


def _shares_with_another() -> pl.Expr:
    """Return an expression: whether a bar is the same one as the bar before it.

    That is so if they are of one point, unless one file has them at different times.
    """
    is_another = pl.any_horizontal(
        pl.col(name) != pl.col(name).shift() for name in ("file", "source")
    )
    is_again = pl.col("open_time") == pl.col("open_time").shift()
    is_same_point = pl.col("point") == pl.col("point").shift()
    return is_same_point & (is_another | is_again)


def _with_slots(bars: pl.DataFrame) -> pl.DataFrame:
    """Decide which file wins each point, and in whose place each bar stands.

    The bars that a file has of a point rank as one: with trades if any of them has, and
    possible if all are.

    Returns
    -------
    polars.DataFrame
        Also `wins`: whether the bar's file does; `slot`: the open time of the bar that
        is kept in its place, if not itself; and `position`, which counts the rows.
    """
    # One window at a time: a window within another is computed group by group.
    file = ("point", "file", "source")
    of_file = (
        (pl.col("of_time") // _TRADED).max().over(file) * _TRADED
        + (pl.col("of_time") // _POSSIBLE % 2).min().over(file) * _POSSIBLE
        + pl.col("rank") % _POSSIBLE
    )
    kept_time = pl.when("wins").then("open_time")
    return (
        bars.with_columns(
            position=pl.int_range(pl.len()),
            of_time=pl.col("rank").max().over("open_time", "file", "source"),
        )
        .with_columns(file_rank=of_file * _FILES + pl.col("file").cast(pl.Int64))
        .with_columns(
            wins=pl.col("file_rank") == pl.col("file_rank").max().over("point")
        )
        .with_columns(
            slot=pl.coalesce(
                kept_time.max().over("open_time"), kept_time.min().over("point")
            )
        )
    )
