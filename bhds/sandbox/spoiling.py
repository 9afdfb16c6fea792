"""How rows, CSVs and zips are made wrong, each in one way; `defects` names the ways.

Rows are those of a data type before they become text; what they have in common is
only that they are in order of time. Files with fewer rows than a change needs stay as
they are.
"""

import io
import zipfile
from collections.abc import Callable

import polars as pl

from bhds.sandbox.bars import PRICES, SUMMED
from bhds.sandbox.timegrid import DAY_MS, HOUR_MS, MINUTE_MS

LOST_DAYS = (1, 2, 17, 27)
"""The days of the month that `without_days` leaves out: those of um in 2022-04."""
LATE_MS = 14_789
"""How late after a halt bars open, as reported of 2017 and 2018."""

_KEPT_SHARE = 3
_QUIET_BARS = 13
_STALE_BARS = 50
_LOST_ROWS = 10
_LATE_BARS = 120
_EVERY = 60
_EVERY_TRADE = 10
_PERIOD_MS = 5 * MINUTE_MS
_PHANTOM_RATE = 10_000
_RATIOS = ("count_top", "sum_top", "count_all", "taken")
_MS_DIGITS = 13
_NEW_COLUMN = b"trade_status"
_PLACE_OF_COUNT = 8
_TIME_FIELDS = (0, 6)
"""Where the times of a bar stand."""


# --- rows


def truncated(rows: pl.DataFrame) -> pl.DataFrame:
    """Keep the first third, rounded down."""
    return rows.head(rows.height // _KEPT_SHARE)


def without_volume(bars: pl.DataFrame) -> pl.DataFrame:
    """Make a run of bars flat and without trades, from the middle on."""
    traded = bars.with_row_index("number").filter(
        pl.col("number") >= bars.height // 2, pl.col("volume") > 0
    )
    if traded.is_empty():
        return bars
    first = int(traded["number"][0])
    level = bars["close"][first - 1] if first else bars["open"][0]
    in_run = pl.int_range(pl.len()).is_between(first, first + _QUIET_BARS - 1)
    return bars.with_columns(
        *(pl.when(in_run).then(level).otherwise(name).alias(name) for name in PRICES),
        *(pl.when(in_run).then(0).otherwise(name).alias(name) for name in SUMMED),
    )


def doubled(rows: pl.DataFrame) -> pl.DataFrame:
    """Repeat each row directly after itself."""
    return rows[pl.int_range(rows.height * 2, eager=True) // 2]


def contradicted(bars: pl.DataFrame) -> pl.DataFrame:
    """Put before every 60th bar one that opens with it and is wrong."""
    place = pl.int_range(bars.height, eager=True)
    wrong = bars.filter(place % _EVERY == 0).with_columns(_wrong())
    at = pl.concat([place.filter(place % _EVERY == 0) * 2 - 1, place * 2])
    return pl.concat([wrong, bars])[at.arg_sort()]


def interleaved(rows: pl.DataFrame) -> pl.DataFrame:
    """Put every second row after all the others."""
    return pl.concat([rows.gather_every(2), rows.gather_every(2, offset=1)])


def without_some(rows: pl.DataFrame) -> pl.DataFrame:
    """Leave out ten rows after the first third."""
    first = rows.height // _KEPT_SHARE
    place = pl.int_range(rows.height, eager=True)
    return rows.filter(~place.is_between(first, first + _LOST_ROWS - 1))


def without_days(bars: pl.DataFrame) -> pl.DataFrame:
    """Leave out the bars that open on some days of the month."""
    day = pl.col("open_time").cast(pl.Datetime("ms")).dt.day()
    return bars.filter(~day.is_in(LOST_DAYS))


def stale(bars: pl.DataFrame) -> pl.DataFrame:
    """Change the values of fifty bars from the middle on."""
    first = bars.height // 2
    is_stale = pl.int_range(pl.len()).is_between(first, first + _STALE_BARS - 1)
    return bars.with_columns(
        pl.when(is_stale).then(expression).otherwise(expression.meta.root_names()[0])
        for expression in _wrong()
    )


def of_the_next_day(bars: pl.DataFrame) -> pl.DataFrame:
    """Shift all bars by a day."""
    return bars.with_columns(pl.col("open_time") + DAY_MS)


def off_the_grid(bars: pl.DataFrame) -> pl.DataFrame:
    """Delay 120 bars: those after the first halt, else the first ones."""
    step = pl.col("open_time").diff()
    halts = bars.select(pl.arg_where(step > step.min())).to_series()
    first = int(halts[0]) if halts.len() else 0
    is_late = pl.int_range(pl.len()).is_between(first, first + _LATE_BARS - 1)
    late = pl.col("open_time") + LATE_MS
    return bars.with_columns(
        pl.when(is_late).then(late).otherwise("open_time").alias("open_time")
    )


def with_flat_tail(bars: pl.DataFrame) -> pl.DataFrame:
    """Add bars without trades, flat at the last close, until midnight."""
    times = bars["open_time"]
    if times.len() <= 1:
        return bars
    step, last = times[1] - times[0], times[-1]
    midnight = (last // DAY_MS + 1) * DAY_MS
    added = pl.int_range(last + step, midnight, step, dtype=pl.Int64, eager=True)
    tail = pl.DataFrame({"open_time": added}).with_columns(
        *(pl.lit(bars["close"][-1], pl.Int64).alias(name) for name in PRICES),
        *(pl.lit(0, pl.Int64).alias(name) for name in SUMMED),
    )
    return pl.concat([bars, tail.select(bars.columns)])


def with_phantom_events(events: pl.DataFrame) -> pl.DataFrame:
    """Continue funding at one rate until the end of the month."""
    if events.is_empty():
        return events
    last, hours = events["due_time"][-1], events["hours"][-1]
    every = hours * HOUR_MS
    time = pl.lit(last, pl.Int64).cast(pl.Datetime("ms"))
    end = pl.select(time.dt.month_end().dt.truncate("1d").cast(pl.Int64)).item()
    due = pl.int_range(last + every, end + DAY_MS, every, dtype=pl.Int64, eager=True)
    phantoms = pl.DataFrame({"due_time": due, "calc_time": due}).with_columns(
        hours=pl.lit(hours, pl.Int64),
        rate=pl.lit(_PHANTOM_RATE, pl.Int64),
        rate_type=pl.lit("Regular"),
    )
    return pl.concat([events, phantoms.select(events.columns)])


def with_blanks(metrics: pl.DataFrame) -> pl.DataFrame:
    """Leave the ratios of every 60th row blank."""
    is_blank = pl.int_range(pl.len()) % _EVERY == 0
    return metrics.with_columns(
        pl.when(~is_blank).then(pl.col(name)).alias(name) for name in _RATIOS
    )


def with_zeros(metrics: pl.DataFrame) -> pl.DataFrame:
    """Set the open interest of the row in the middle to 0."""
    is_zero = pl.int_range(pl.len()) == pl.len() // 2
    return metrics.with_columns(
        pl.when(is_zero).then(0).otherwise(name).alias(name)
        for name in ("open_interest", "value")
    )


def with_midnight_again(metrics: pl.DataFrame) -> pl.DataFrame:
    """Begin with the label that the file of the day before ends with."""
    first = metrics.head(1).with_columns(pl.col("start") - _PERIOD_MS)
    return pl.concat([first, metrics])


def without_precision(orders: pl.DataFrame) -> pl.DataFrame:
    """Set every tenth quantity to the smallest representable one."""
    is_lost = pl.int_range(pl.len()) % _EVERY_TRADE == 0
    quantity = pl.when(is_lost).then(1).otherwise("quantity")
    return orders.with_columns(quantity.alias("quantity"))


def _wrong() -> list[pl.Expr]:
    """Return other values of bars: one trade more, and with it more volume."""
    return [pl.col(name) + 1 for name in ("volume", "amount", "trade_count")]


# --- CSVs


def with_mixed_units(text: bytes) -> bytes:
    """Show the times of the second half in the other unit, ms or µs."""
    lines = text.splitlines(keepends=True)
    half = len(lines) // 2
    return b"".join([*lines[:half], *map(_in_the_other_unit, lines[half:])])


def with_a_column_more(text: bytes) -> bytes:
    """Add a column, under a name of its own where there is a header."""
    lines = text.splitlines()
    added = [b"%b,1" % line for line in lines]
    if not lines[0][:1].isdigit():
        added[0] = b"%b,%b" % (lines[0], _NEW_COLUMN)
    return b"\n".join(added) + b"\n"


def without_a_column(text: bytes) -> bytes:
    """Leave out the number of trades, and its name where there is a header."""
    rows = [line.split(b",") for line in text.splitlines()]
    for row in rows:
        del row[_PLACE_OF_COUNT]
    return b"".join(b",".join(row) + b"\n" for row in rows)


def _in_the_other_unit(line: bytes) -> bytes:
    fields = line.split(b",")
    for place in _TIME_FIELDS:
        time = fields[place]
        is_short = len(time) == _MS_DIGITS
        fields[place] = time + b"000" if is_short else time[:_MS_DIGITS]
    return b",".join(fields)


# --- zips


def cut_in_half(archive: bytes) -> bytes:
    """Leave out the second half."""
    # What is lost is the end, with the directory without which no zip can be read.
    return archive[: len(archive) // 2]


def with_a_comment(archive: bytes) -> bytes:
    """Add a comment: other bytes, but a zip of the same content."""
    comment = b"again"
    return archive[:-2] + len(comment).to_bytes(2, "little") + comment


def with_two_members(archive: bytes) -> bytes:
    """Put the CSV in twice, under two names."""
    return _zipped(archive, lambda name: [name, f"copy-of-{name}"])


def in_a_folder(archive: bytes) -> bytes:
    """Put the CSV into a folder of the zip."""
    return _zipped(archive, lambda name: [f"folder/{name}"])


def _zipped(archive: bytes, names: Callable[[str], list[str]]) -> bytes:
    """Pack the only member of `archive` again, once under each of some names."""
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        (member,) = opened.infolist()
        content = opened.read(member)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as written:
        for name in names(member.filename):
            # Stored: what zlib makes of it depends on its version.
            written.writestr(zipfile.ZipInfo(name, member.date_time), content)
    return packed.getvalue()
