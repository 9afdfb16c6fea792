"""Classify why a symbol did not trade, by what archive, API and other symbols have."""

import datetime as dt
from collections.abc import Iterable
from functools import reduce

import polars as pl

from bhds.core.markets import Interval
from bhds.core.timegrid import TIME
from bhds.schemas.quality_tables import CLASSIFIED_GAPS, GAP_EVIDENCE

PENDING_DAYS = 3
"""How many days after its own a daily file may come without being overdue."""

_PROBES = (0.25, 0.5, 0.75)
"""Where within a gap the other symbols are looked at, as parts of its length."""
_FEWEST_OTHERS = 2
"""Where the API does not confirm that there was no trade."""
_MOST = 0.5
"""An outage is when more than this part of the other symbols are silent as well."""
_RELISTING_DAYS = 7
"""Whole days without trades after which a symbol that is back was listed again."""
_LONGEST_LOSS_DAYS = 30
"""Days without a file beyond which the archive cannot have lost them all: the symbol
was not listed."""
_SHORTEST_HALT = dt.timedelta(minutes=30)
_DAY = dt.timedelta(days=1)
_MICROSECOND = dt.timedelta(microseconds=1)

TRADING_PERIODS = pl.Schema({"symbol": pl.String(), "first": TIME, "last": TIME})
"""The open times of the first and the last traded bar of each symbol."""


def classify(
    gaps: pl.DataFrame,
    *,
    trading_periods: pl.DataFrame,
    outages: pl.DataFrame,
    interval: Interval,
    last_day: dt.date,
) -> pl.DataFrame:
    """Classify every gap of a market, and show what decided.

    The first that holds is the class:

    - `delisted_tail`: the symbol has ended, and its bars without trades since are left
      out.
    - `relisting`: the symbol is known not to have been listed within the gap.
    - `outage`: a known outage covers half of the gap or more; or more than half of the
      other symbols that traded before and after have a gap at the same time, of which
      there are at least two, or one and the API has no bars of the gap, and no file is
      to blame.
    - Of days without a usable file that were not, or could not be, requested from the
    API:
      `unexplained` if they are all of the last 3 days wanted; `relisting` if they are
      more than 30; else `missing_file`.
    - `truncated`: a file ends where the gap begins, and the API was not, or could not
      be, asked.
    - `relisting`: 7 whole days or more are without trades, for the API as well, and
      most of their bars were not published.
    - `halt`: the gap lasts half an hour or more, or splits.
    - `unexplained`: neither archive nor API has the bars, and nothing says why.

    Parameters
    ----------
    gaps
        n >= 0 rows of `GAP_EVIDENCE`, of any number of symbols.
    trading_periods
        `TRADING_PERIODS` of all symbols, those without a gap included.
    outages
        `start, end` of known outages, sorted by `start`; they do not overlap.
    interval
        The spacing of the bars.
    last_day
        The last UTC day wanted of the market.

    Returns
    -------
    polars.DataFrame
        n rows of `CLASSIFIED_GAPS`, sorted by `symbol` and `prev_open_time`.
    """
    ordered = gaps.sort("symbol", "prev_open_time").select(GAP_EVIDENCE.names())
    spans = _spans(ordered, interval=interval)
    seen = ordered.with_columns(
        *_others(spans, trading_periods=trading_periods, interval=interval),
        _known_outage(spans, outages=outages),
    )
    return seen.with_columns(_class(last_day).alias("class")).select(
        pl.col(name).cast(dtype) for name, dtype in CLASSIFIED_GAPS.items()
    )


def trading_periods_of(
    tables: Iterable[tuple[str, str | None, str | None]],
) -> pl.DataFrame:
    """Return `TRADING_PERIODS` of `(symbol, first, last)`, ISO 8601."""
    time = pl.col("first", "last").str.to_datetime(time_unit="us", time_zone="UTC")
    return (
        pl.DataFrame(
            list(tables), schema=dict.fromkeys(TRADING_PERIODS, pl.String), orient="row"
        )
        .filter(pl.col("first") != "")
        .with_columns(time)
    )


def _spans(gaps: pl.DataFrame, *, interval: Interval) -> pl.DataFrame:
    """Return `begin` and `end` (exclusive) of the time without trades of each gap."""
    last = (pl.col("prev_open_time") + pl.col("duration")).dt.offset_by(interval.name)
    return gaps.select(
        begin=pl.col("prev_open_time").dt.offset_by(interval.name),
        end=pl.coalesce("next_open_time", last),
        is_inner=pl.col("next_open_time").is_not_null(),
    )


def _others(
    spans: pl.DataFrame, *, trading_periods: pl.DataFrame, interval: Interval
) -> list[pl.Series]:
    """Count the other symbols that lived during each gap, and those silent as well.

    Gaps of one symbol do not overlap, so the symbols that are silent at a moment are
    the gaps that began less those that ended: two binary searches, whatever the number
    of symbols. The least of three probes counts, so that a gap that only touches an
    outage is not taken for one.
    """
    inner = spans.filter("is_inner")
    begins, ends = inner["begin"].sort(), inner["end"].sort()
    began = trading_periods["first"].sort()
    ended = trading_periods.select(pl.col("last").dt.offset_by(interval.name))[
        "last"
    ].sort()

    def counts(part: float) -> pl.DataFrame:
        length = pl.col("end") - pl.col("begin") - _MICROSECOND
        probe = spans.select(pl.col("begin") + length * part)["begin"]
        silent = _begun(begins, probe) - _begun(ends, probe) - 1
        trading = _begun(began, probe) - _begun(ended, probe) - 1
        found = pl.DataFrame({"n_peers_silent": silent, "n_peers": trading})
        return found.select(pl.all().clip(lower_bound=0))

    least = reduce(_smaller_share, map(counts, _PROBES))
    return [
        least[name].set(~spans["is_inner"], None)
        for name in ("n_peers_silent", "n_peers")
    ]


def _smaller_share(one: pl.DataFrame, other: pl.DataFrame) -> pl.DataFrame:
    """Take, row by row, the counts of which a smaller share is silent."""
    both = pl.concat([one, other.select(pl.all().name.suffix("_2"))], how="horizontal")
    ours, others = (
        pl.col("n_peers_silent") * pl.col("n_peers_2"),
        pl.col("n_peers_silent_2"),
    )
    is_smaller = others * pl.col("n_peers") < ours
    return both.select(
        pl.when(is_smaller).then(f"{name}_2").otherwise(name).alias(name)
        for name in ("n_peers_silent", "n_peers")
    )


def _begun(moments: pl.Series, probe: pl.Series) -> pl.Series:
    """Count the sorted `moments` at or before each probe."""
    return moments.search_sorted(probe, side="right").cast(pl.Int64)


def _known_outage(spans: pl.DataFrame, *, outages: pl.DataFrame) -> pl.Series:
    """Return the start of the outage that covers half of each gap or more, or null."""
    known = outages.select(start="start", stop="end")
    # Of the outages that begin before a gap's middle, only the last can cover half.
    middle = pl.col("begin") + (pl.col("end") - pl.col("begin")) / 2
    nearest = (
        spans.with_row_index("gap")
        .with_columns(middle=middle)
        .sort("middle")
        .join_asof(known, left_on="middle", right_on="start", strategy="backward")
        .sort("gap")
    )
    overlap = pl.min_horizontal("end", "stop") - pl.max_horizontal("begin", "start")
    covered = overlap * 2 >= pl.col("end") - pl.col("begin")
    return nearest.select(outage=pl.when(covered).then("start")).to_series()


def _class(last_day: dt.date) -> pl.Expr:
    asked = pl.col("api") == "empty"
    is_missing = (pl.col("missing_bars") > 0) & ~asked
    lacks_files = (pl.col("absent_days") > 0) & is_missing
    cut_off = pl.col("truncated") & is_missing
    due = last_day - PENDING_DAYS * _DAY
    overdue = pl.col("first_absent_day") <= due
    fewest = pl.when(asked).then(1).otherwise(_FEWEST_OTHERS)
    shared = (pl.col("n_peers") >= fewest) & (
        pl.col("n_peers_silent") > _MOST * pl.col("n_peers")
    )
    is_unpublished = pl.col("missing_bars") > pl.col("untraded_bars")
    is_long = pl.col("split") | (pl.col("duration") >= _SHORTEST_HALT)
    return (
        pl.when(pl.col("trimmed") & pl.col("next_open_time").is_null())
        .then(pl.lit("delisted_tail"))
        .when("trimmed")
        .then(pl.lit("relisting"))
        .when(
            pl.col("outage").is_not_null() | (shared & ~lacks_files & ~cut_off),
        )
        .then(pl.lit("outage"))
        .when(lacks_files & ~overdue)
        .then(pl.lit("unexplained"))
        .when(lacks_files & (pl.col("absent_days") > _LONGEST_LOSS_DAYS))
        .then(pl.lit("relisting"))
        .when(lacks_files)
        .then(pl.lit("missing_file"))
        .when(cut_off)
        .then(pl.lit("truncated"))
        .when((pl.col("empty_days") >= _RELISTING_DAYS) & is_unpublished)
        .then(pl.lit("relisting"))
        .when(is_long)
        .then(pl.lit("halt"))
        .otherwise(pl.lit("unexplained"))
    )
