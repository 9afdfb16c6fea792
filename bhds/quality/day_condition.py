"""Judge each day of each symbol by what there is and by what is known of the rest."""

import datetime as dt
from collections.abc import Collection, Mapping

import polars as pl

from bhds.archive.listing.directory import Directory
from bhds.archive.listing.inventory import archive_files, with_days
from bhds.core.listing_period import STAYS_OPEN
from bhds.core.markets import Interval
from bhds.core.timegrid import TIME
from bhds.quality.gap_classes import PENDING_DAYS
from bhds.schemas.quality_tables import CONDITION, DAY_FAULTS, DAYS, NOT_RECONCILED

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
    ends: Mapping[str, dt.date] | None = None,
    not_reconciled: pl.DataFrame | None = None,
    ended: Collection[str] = (),
) -> pl.DataFrame:
    """Judge the condition of every day, with the reason.

    The first that holds is the condition:

    - `available`: all rows were published, no two of them differ, nothing is wrong with
      any, and they agree with the bars of longer intervals that the exchange published.
    - `degraded`: some rows were published.
    - `missing`: the archive has only zips of the day that cannot be used, and the API
      does not say that there was nothing.
    - `not_listed`: a gap says `relisting` or `delisted_tail`.
    - `pending`: the day is one of the last 3 wanted, its file is not there yet, and the
      symbol is not known to have ended before.
    - `not_listed`: before the first file of the symbol, which may hold rows of the day;
      or after its last row, if it has ended: that is known; the API has nothing of any
      day that is due, or refuses the symbol; or most of the symbols that had rows of
      its last day still have rows 3 days later; or no row came for `STAYS_OPEN`.
    - `missing`: no row was published.

    A row that only the file of another day holds, as some do that fall within minutes
    of midnight, does not make a day published.

    The reason of `available` is null, that of `pending` is `not_published`, and that of
    `not_listed` the class of the gap, `no_longer_listed`, or `not_yet_listed`. That of
    the others is the first that holds: `impossible_values`, `off_grid`, `frozen`;
    `not_reconciled`, unless a file that lacks rows is to blame; of days that lack rows
    `corrupt_file`, the class of the longest gap, `missing_file`, and `outage` where
    most other symbols lack rows as well, of which there are at least two, or one and
    the API has no more rows; `missing_rows`; `conflict`.

    Parameters
    ----------
    days
        n >= 0 rows of `DAYS`, of any number of symbols, each day once. Days up
        to `as_of` are added to symbols that had some within `STAYS_OPEN` of it.
    gaps
        `CLASSIFIED_GAPS` of these symbols; none for data without results.
    changes
        `symbol, first_day, last_day, last_modified` of the zips of the archive.
    interval
        The spacing of the bars; None of other data.
    as_of
        The last UTC day wanted.
    ends
        Of symbols of which fewer days are wanted: the last. Of these no later day is
        judged, and none with zips of later days has ended.
    not_reconciled
        `NOT_RECONCILED` of these symbols; None where nothing was compared.
    ended
        Symbols that are known to have ended; see `plan.endings`.

    Returns
    -------
    polars.DataFrame
        `CONDITION`, sorted by `symbol` and `day`.
    """
    compared = NOT_RECONCILED.to_frame() if not_reconciled is None else not_reconciled
    due = as_of - PENDING_DAYS * _DAY
    key = ["symbol", "day"]
    of_ends = ends or {}
    end = pl.col("symbol").replace_strict(of_ends, default=as_of, return_dtype=pl.Date)
    seen = (
        _with_days_until(end, days, interval=interval)
        .join(_classes_by_day(gaps, interval=interval), on=key, how="left")
        .join(compared.group_by(key).agg(not_reconciled=pl.len()), on=key, how="left")
        .join(_latest_changes(changes), on=key, how="left")
        .sort(key)
        .with_columns(pl.col("not_reconciled").fill_null(0), published=_published())
        .with_columns(has_own=_has_own())
        .with_columns(
            has_all=pl.col("has_own")
            & (pl.col("published") >= pl.col("expected").fill_null(1)),
            is_lost=pl.col("is_corrupt")
            & ~pl.col("has_own")
            & pl.col("api_answer").ne_missing("empty"),
        )
    )
    seen = _with_ends(
        seen, due=due, end=end, ended=ended, lasting=going_on(changes, of_ends)
    )
    seen = seen.with_columns(is_shared=_is_shared())
    return (
        seen.with_columns(condition=_condition(due))
        .with_columns(reason=_reason())
        .select(pl.col(name).cast(dtype) for name, dtype in CONDITION.items())
    )


def changes_in(listing: pl.DataFrame, *, directory: Directory) -> pl.DataFrame:
    """Return `symbol, first_day, last_day, last_modified` of the zips of a listing.

    `listing` has the columns of `schemas.archive_tables.LISTING`; what is no zip
    of the directory is left out.
    """
    files, _ = archive_files(listing, directory=directory)
    zips = with_days(files.filter(~pl.col("is_checksum")), directory.frequency)
    return zips.select("symbol", "first_day", "last_day", "last_modified")


def going_on(changes: pl.DataFrame, ends: Mapping[str, dt.date]) -> list[str]:
    """Return the symbols of which a zip is of later days than its last one wanted."""
    end = pl.col("symbol").replace_strict(ends, default=None, return_dtype=pl.Date)
    later = changes.filter(pl.col("first_day") > end)
    return later["symbol"].unique().to_list()


def _with_days_until(
    end: pl.Expr, days: pl.DataFrame, *, interval: Interval | None
) -> pl.DataFrame:
    """Add the days from each symbol's last one, if it is not long ago, to its end.

    Of bars longer than a day, those on which the next ones open.
    """
    is_long = interval is not None and (interval.duration or STAYS_OPEN) > _DAY
    step = interval.name if interval is not None and is_long else "1d"
    is_published = _published() > 0
    last = days.group_by("symbol").agg(
        pl.col("day").max(), published=pl.col("day").filter(is_published).max()
    )
    waiting = last.filter(pl.col("published") >= end - STAYS_OPEN, pl.col("day") < end)
    added = (
        waiting.with_columns(
            day=pl.date_ranges(pl.col("day").dt.offset_by(step), end, interval=step),
        )
        .explode("day")
        .drop_nulls("day")
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
    last = (pl.col("prev_open_time") + pl.col("duration")).dt.offset_by(width)
    midnight = pl.col("day").cast(TIME)
    begin = pl.max_horizontal("begin", midnight)
    end = pl.min_horizontal("end", midnight + _DAY)
    return (
        gaps.lazy()
        .select(
            "symbol",
            "class",
            begin=pl.col("prev_open_time").dt.offset_by(width),
            end=pl.coalesce("next_open_time", last),
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


def _published() -> pl.Expr:
    return pl.sum_horizontal(_PUBLISHED)


def _has_own() -> pl.Expr:
    """Whether a day has rows, and not only such as the file of another day holds."""
    return (pl.col("api") > 0) | (pl.col("has_file") & (pl.col("published") > 0))


def _with_ends(
    days: pl.DataFrame,
    *,
    due: dt.date,
    end: pl.Expr,
    ended: Collection[str],
    lasting: Collection[str],
) -> pl.DataFrame:
    """Add `is_before` the first and `is_after` the last day that a symbol was listed.

    No day is after the last one of a symbol that is not known to have ended, or that is
    among the `lasting`.
    """
    is_there = pl.col("has_own") | pl.col("is_lost")
    known = days.with_columns(
        first=pl.col("day").filter(is_there).min().over("symbol"),
        last=pl.col("day").filter(is_there).max().over("symbol"),
        symbols=pl.col("has_own").sum().over("day"),
    )
    is_last = pl.col("day") == pl.col("last")
    is_later = pl.col("day") > pl.col("last")
    is_due = is_later & (pl.col("day") <= due)
    answer = pl.col("api_answer")
    others = pl.col("symbols").filter(is_last).max() - 1
    most_are_left = (pl.col("day") >= pl.col("last") + PENDING_DAYS * _DAY) & (
        (pl.col("symbols") > 0) & (pl.col("symbols") > _MOST * others)
    )
    is_unknown = (is_due & answer.is_in(["unanswered", "pending"])).any()
    has_none = answer.is_in(["empty", "refused"]).fill_null(value=False)
    api_has_none = is_due.any() & (is_due <= has_none).all()
    is_outlived = is_due.any() & most_are_left.any() & ~is_unknown
    is_over = (pl.col("last") < end - STAYS_OPEN).first()
    is_told = pl.col("symbol").is_in(list(ended)).first()
    is_lasting = pl.col("symbol").is_in(list(lasting)).first()
    has_ended = ~is_lasting & (is_told | api_has_none | is_outlived | is_over)
    has_ended = has_ended.over("symbol")
    return known.with_columns(
        is_before=(pl.col("day") < pl.col("first")).fill_null(value=False)
        & (pl.col("published") > 0),
        is_after=(is_later & has_ended).fill_null(value=False),
    )


def _is_shared() -> pl.Expr:
    """Whether most of the other symbols lack rows of the day as well.

    Days count for which no file is to blame.

    It takes two of them, or one and the word of the API that there is no more.
    """
    is_listed = ~pl.col("is_before") & ~pl.col("is_after")
    others = is_listed.sum().over("day") - 1
    is_confirmed = pl.col("api_answer").eq_missing("empty")
    lacks = is_listed & ~pl.col("has_all") & (is_confirmed | pl.col("has_file"))
    lacking = lacks.sum().over("day") - 1
    fewest = pl.when(is_confirmed).then(1).otherwise(_FEWEST_OTHERS)
    return lacks & (others >= fewest) & (lacking > _MOST * others)


def _condition(due: dt.date) -> pl.Expr:
    faults = pl.col("conflicts", *DAY_FAULTS, "not_reconciled")
    has_file = pl.col("has_file") | pl.col("is_corrupt")
    return (
        pl.when(pl.col("has_all") & pl.all_horizontal(faults == 0))
        .then(pl.lit("available"))
        .when("has_own")
        .then(pl.lit("degraded"))
        .when("is_lost")
        .then(pl.lit("missing"))
        .when(pl.col("class").is_in(_NOT_LISTED).fill_null(value=False))
        .then(pl.lit("not_listed"))
        .when(pl.col("is_before") | pl.col("is_after"))
        .then(pl.lit("not_listed"))
        .when((pl.col("day") > due) & ~has_file)
        .then(pl.lit("pending"))
        .when(pl.col("published") > 0)
        .then(pl.lit("degraded"))
        .otherwise(pl.lit("missing"))
    )


def _is_explained() -> pl.Expr:
    """Whether a day cannot agree with published bars, as a file of it is to blame."""
    is_lost = pl.col("is_corrupt") | pl.col("class").is_in(
        ["missing_file", "truncated"]
    )
    return ~pl.col("has_own") | (~pl.col("has_all") & is_lost.fill_null(value=False))


def _reason() -> pl.Expr:
    condition, name = pl.col("condition"), pl.col("class").cast(pl.String)
    is_gone = (
        pl.when(name.is_in(_NOT_LISTED))
        .then(name)
        .when("is_before")
        .then(pl.lit("not_yet_listed"))
        .otherwise(pl.lit("no_longer_listed"))
    )
    reasons = {
        "impossible_values": pl.col("impossible") > 0,
        "off_grid": pl.col("off_grid") > 0,
        "frozen": pl.col("frozen") > 0,
        "not_reconciled": (pl.col("not_reconciled") > 0) & ~_is_explained(),
        "corrupt_file": pl.col("is_corrupt") & ~pl.col("has_all"),
        "class": name.is_not_null() & ~pl.col("has_all"),
        "missing_file": ~pl.col("has_file") & (pl.col("published") == 0),
        "outage": pl.col("is_shared") & ~pl.col("has_all"),
        "missing_rows": ~pl.col("has_all") | (pl.col("missing_ids") > 0),
    }
    why = pl.coalesce(
        *(
            pl.when(holds).then(name if reason == "class" else pl.lit(reason))
            for reason, holds in reasons.items()
        ),
        pl.lit("conflict"),
    )
    return (
        pl.when(condition == "available")
        .then(pl.lit(None))
        .when(condition == "pending")
        .then(pl.lit("not_published"))
        .when(condition == "not_listed")
        .then(is_gone)
        .otherwise(why)
    )
