"""Judge each day of each symbol by what there is and by what is known of the rest."""

import datetime as dt

import polars as pl

from bhds.archive.directory import Directory
from bhds.archive.inventory import archive_files, with_days
from bhds.columns import CONDITION, DAY_FAULTS, DAYS, TIME
from bhds.markets import Interval
from bhds.planning.fills import STAYS_OPEN
from bhds.quality.gap_classes import PENDING_DAYS

_DAY = dt.timedelta(days=1)
_MICROSECOND = dt.timedelta(microseconds=1)
_FEWEST_OTHERS = 2
_MOST = 0.5
_NOT_LISTED = ("relisting", "delisted_tail")
_PUBLISHED = ("daily", "monthly", "api")


def judge(
    days: pl.DataFrame,
    *,
    gaps: pl.DataFrame,
    changes: pl.DataFrame,
    interval: Interval | None,
    as_of: dt.date,
) -> pl.DataFrame:
    """Give every day its condition, with the reason.

    The first that holds is the condition:

    - `available`: all rows were published, no two of them differ, and nothing is wrong
      with any.
    - `degraded`: some rows were. The reason is the first that holds:
      `impossible_values`, `off_grid`, `frozen`; the class of the longest gap of a day
      that lacks rows; `outage` where most other symbols lack rows of that day as well;
      `missing_rows` where nothing more is known; `conflict`.
    - `not_listed`: a gap says `relisting` or `delisted_tail`.
    - `pending`: the day is one of the last 3 wanted, its file is not there yet, and the
      symbol had not ended before.
    - `not_listed`: neither archive nor API has a row of this day or a later one, though
      they have of other symbols.
    - `missing`: no row was published; reasons as of `degraded`, `missing_file`, and
      `corrupt_file`.

    The reason of `pending` is `not_published`, that of `not_listed` the class of the
    gap or `no_longer_listed`.

    Parameters
    ----------
    days
        n >= 0 rows of `columns.DAYS`, of any number of symbols, each day once. Days up
        to `as_of` are added to symbols that had some within `STAYS_OPEN` of it.
    gaps
        `columns.CLASSIFIED_GAPS` of these symbols; none for data without results.
    changes
        `symbol, first_day, last_day, last_modified` of the zips of the archive.
    interval
        The spacing of the bars of `gaps`; None without.
    as_of
        The last UTC day wanted.

    Returns
    -------
    polars.DataFrame
        `columns.CONDITION`, sorted by `symbol` and `day`.
    """
    known = _with_days_until(as_of, days)
    published = pl.sum_horizontal(_PUBLISHED)
    has_all = published >= pl.col("expected").fill_null(1)
    due = as_of - PENDING_DAYS * _DAY
    is_awaited = (pl.col("day") > due) & ~pl.col("has_file") & ~pl.col("is_corrupt")
    seen = (
        known.join(
            _classes_by_day(gaps, interval=interval), on=["symbol", "day"], how="left"
        )
        .join(_latest_changes(changes), on=["symbol", "day"], how="left")
        .sort("symbol", "day")
        .with_columns(
            published=published,
            is_awaited=is_awaited & (published == 0),
            is_whole=has_all & pl.all_horizontal(pl.col("conflicts", *DAY_FAULTS) == 0),
            has_all=has_all,
            others_have_rows=(published > 0).any().over("day"),
            lacking=(~has_all).sum().over("day") - 1,
            others=pl.len().over("day") - 1,
        )
        .with_columns(is_after_end=_is_after_end())
        .with_columns(
            has_ended=(pl.col("is_after_end") & (pl.col("day") <= due))
            .any()
            .over("symbol")
        )
        .with_columns(is_awaited=pl.col("is_awaited") & ~pl.col("has_ended"))
    )
    return seen.with_columns(condition=_condition(), reason=_reason()).select(
        pl.col(name).cast(dtype) for name, dtype in CONDITION.items()
    )


def changes_in(listing: pl.DataFrame, *, directory: Directory) -> pl.DataFrame:
    """Return `symbol, first_day, last_day, last_modified` of the zips of a listing.

    `listing` has the columns of `archive.listing_page.LISTING_SCHEMA`; what is no zip
    of the directory is left out.
    """
    files, _ = archive_files(listing, directory=directory)
    zips = with_days(files.filter(~pl.col("is_checksum")), directory.frequency)
    return zips.select("symbol", "first_day", "last_day", "last_modified")


def _with_days_until(as_of: dt.date, days: pl.DataFrame) -> pl.DataFrame:
    """Add the days from each symbol's last one, if it is not long ago, to `as_of`."""
    is_published = pl.sum_horizontal(_PUBLISHED) > 0
    last = days.group_by("symbol").agg(
        pl.col("day").max(), published=pl.col("day").filter(is_published).max()
    )
    waiting = last.filter(
        pl.col("published") >= as_of - STAYS_OPEN, pl.col("day") < as_of
    )
    added = (
        waiting.with_columns(
            day=pl.date_ranges(pl.col("day") + _DAY, pl.lit(as_of)),
        )
        .explode("day")
        .with_columns(
            pl.lit(0).alias(name)
            for name in (
                *(*_PUBLISHED, "filled", "conflicts", *DAY_FAULTS),
                *("missing_trade_ids", "has_file", "is_corrupt"),
            )
        )
        .with_columns(
            pl.lit(None).alias(name) for name in ("expected", "volume", "api_answer")
        )
        .select(pl.col(name).cast(dtype) for name, dtype in DAYS.items())
    )
    return pl.concat([days.select(DAYS.names()), added])


def _classes_by_day(gaps: pl.DataFrame, *, interval: Interval | None) -> pl.DataFrame:
    """Return `symbol, day, class` of the longest gap of each day that has one."""
    width = "1d" if interval is None else interval.name
    last = (pl.col("last_open_time") + pl.col("duration")).dt.offset_by(width)
    midnight = pl.col("day").cast(TIME)
    begin = pl.max_horizontal("begin", midnight)
    end = pl.min_horizontal("end", midnight + _DAY)
    return (
        gaps.lazy()
        .select(
            "symbol",
            "class",
            begin=pl.col("last_open_time").dt.offset_by(width),
            end=pl.coalesce("first_open_time", last),
        )
        .with_columns(
            day=pl.date_ranges(
                pl.col("begin").dt.date(), (pl.col("end") - _MICROSECOND).dt.date()
            )
        )
        .explode("day")
        .with_columns(overlap=end - begin)
        .sort("symbol", "day", "overlap", maintain_order=True)
        .group_by("symbol", "day", maintain_order=True)
        .agg(pl.col("class").last())
        .collect()
    )


def _latest_changes(changes: pl.DataFrame) -> pl.DataFrame:
    """Return `symbol, day, last_modified` of the newest zip of each day."""
    return (
        changes.lazy()
        .with_columns(day=pl.date_ranges("first_day", "last_day"))
        .explode("day")
        .group_by("symbol", "day")
        .agg(pl.col("last_modified").max())
        .collect()
    )


def _is_after_end() -> pl.Expr:
    """Whether nothing is there of a day, nor of any later one, though others have.

    The file of a month in which the symbol ended covers days without a row.
    """
    is_nothing = (pl.col("published") == 0) & ~pl.col("is_corrupt")
    something_follows = (~is_nothing).cum_sum(reverse=True).over("symbol") > 0
    has_none = pl.col("api_answer").is_in(["empty", "refused"])
    api_has_none = pl.col("api_answer").is_null() | has_none
    return ~something_follows & api_has_none & pl.col("others_have_rows")


def _condition() -> pl.Expr:
    return (
        pl.when("is_whole")
        .then(pl.lit("available"))
        .when(pl.col("published") > 0)
        .then(pl.lit("degraded"))
        .when(pl.col("class").is_in(_NOT_LISTED).fill_null(value=False))
        .then(pl.lit("not_listed"))
        .when("is_awaited")
        .then(pl.lit("pending"))
        .when("is_after_end")
        .then(pl.lit("not_listed"))
        .otherwise(pl.lit("missing"))
    )


def _reason() -> pl.Expr:
    is_shared = (pl.col("others") >= _FEWEST_OTHERS) & (
        pl.col("lacking") > _MOST * pl.col("others")
    )
    return (
        pl.when("is_whole")
        .then(pl.lit(None))
        .when(pl.col("impossible") > 0)
        .then(pl.lit("impossible_values"))
        .when(pl.col("off_grid") > 0)
        .then(pl.lit("off_grid"))
        .when(pl.col("frozen") > 0)
        .then(pl.lit("frozen"))
        .when(pl.col("has_all") & (pl.col("missing_ids") > 0))
        .then(pl.lit("missing_rows"))
        .when("has_all")
        .then(pl.lit("conflict"))
        .when("is_awaited")
        .then(pl.lit("not_published"))
        .when(pl.col("class").is_not_null())
        .then(pl.col("class").cast(pl.String))
        .when("is_after_end")
        .then(pl.lit("no_longer_listed"))
        .when("is_corrupt")
        .then(pl.lit("corrupt_file"))
        .when(~pl.col("has_file") & (pl.col("published") == 0))
        .then(pl.lit("missing_file"))
        .when(is_shared)
        .then(pl.lit("outage"))
        .otherwise(pl.lit("missing_rows"))
    )
