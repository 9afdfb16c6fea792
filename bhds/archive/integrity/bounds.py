"""What one file of the archive may hold at most: the one place of all bounds.

A zip says itself how much it holds, and may lie. So a file is bounded by what its name
says that it is of: so many rows of a day or month, each so many bytes. The figures are
what can be, or what was published at most; a file may have `_LENIENCY` times as much,
as rows have been published twice and three times (D07 of docs/known-limitations.md).
"""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass

from bhds.archive.keys import ArchiveFile
from bhds.core.markets import Interval

MAX_COLUMNS = 100
"""Eight times the widest table, of 12 columns."""

MAX_LINE_BYTES = 1 << 12
"""The longest genuine line has 178 bytes, and is a header."""

MAX_WORD_BYTES = 32
"""The longest words of fields that may hold any have 16 (`PARTIALLY_FILLED`)."""

MAX_CHECKSUM_BYTES = 1_000
"""A genuine CHECKSUM has 64 digits and a name of at most 255 bytes."""

MAX_DIRECTORY_BYTES = 1 << 17
"""Of a zip's central directory, and of its end with a comment (65,557 at most)."""

MAX_PARTITION_ROWS = 3_500_000
"""Of all files together that are read whole into memory: a month of 1s bars has
2,678,400, a year of 1m bars 527,040. More take more than 1 GiB; so does a third of
that of rows that have texts, of which a year has had less than a million."""

MAX_TEXT = 500
"""Letters of a reason or a warning."""

MAX_WARNINGS = 20
"""Warnings of one file."""

_LENIENCY = 4
_DAY = dt.timedelta(days=1)


@dataclass(frozen=True)
class Bounds:
    """The most that the CSV of a zip may have."""

    rows: int
    size: int
    """Bytes."""


@dataclass(frozen=True)
class _Most:
    """What a data type has at most."""

    line: int
    """Bytes of a line."""
    day: int
    """Rows of a day, where they are no bars."""
    month: int = 0
    """Rows of a month; 0: those of its days."""


_BAR_BYTES = 200
"""A line of a spot bar has up to 166 bytes in genuine files."""

_MOST = {
    # An event an hour is the most that the exchange schedules, and one for a dividend.
    "fundingRate": _Most(line=100, day=24 + 1),
    # A row of five minutes; the longest genuine line has 178 bytes.
    "metrics": _Most(line=200, day=24 * 12 + 1),
    # The stream that it was taken from has one order a second and symbol.
    "liquidationSnapshot": _Most(line=150, day=86_400),
    # A snapshot each 30 s, of 12 bands; some days have them more often.
    "bookDepth": _Most(line=100, day=12 * 2 * 2_880),
    # Of those that count what happens, no file has a natural limit. ASSUME: spot
    # BTCUSDT, whose ids rose by less than 300 million in the months of 2022-23 without
    # fees, and by less than 30 million on any day; others have fewer.
    "aggTrades": _Most(line=130, day=30_000_000, month=300_000_000),
    "trades": _Most(line=130, day=30_000_000, month=300_000_000),
    # ASSUME: the best prices change at most five times as often as trades are made.
    "bookTicker": _Most(line=150, day=150_000_000, month=1_500_000_000),
    # These are only verified. An index each second; of options a row per hour and one.
    "BVOLIndex": _Most(line=150, day=2 * 86_400),
    "EOHSummary": _Most(line=400, day=24 * 10_000),
}


def bounds_of(data_type: str, *, interval: str | None, days: int) -> Bounds:
    """Return the most that the CSV of a zip may have.

    Parameters
    ----------
    data_type, interval
        What it is of; the interval is None if it has none.
    days
        How many UTC days it covers: 1, or those of a month.
    """
    if interval is None:
        most = _MOST[data_type]
        line = most.line
        rows = most.month if days > 1 and most.month else days * most.day
    else:
        duration = Interval.parse(interval).duration
        bars = 1 if duration is None else -(-days * _DAY // duration)
        line, rows = _BAR_BYTES, bars + 1  # one may have opened before
    rows *= _LENIENCY
    return Bounds(rows, rows * line + MAX_LINE_BYTES)


def bounds_of_file(file: ArchiveFile) -> Bounds:
    """Return the most that the CSV of a zip may have."""
    days = (file.last_day - file.first_day).days + 1
    return bounds_of(file.data_type, interval=file.interval, days=days)


def cut(text: str, *, length: int = MAX_TEXT) -> str:
    """Return a text that others wrote in printable letters, `length` at most."""
    kept = text if len(text) <= length else f"{text[: length - 3]}..."
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in kept)


def cut_list(texts: Iterable[str]) -> list[str]:
    """Return the first `MAX_WARNINGS` of some texts, cut, and how many are left out."""
    found = [*texts]
    kept = [cut(text) for text in found[:MAX_WARNINGS]]
    left_out = len(found) - len(kept)
    return [*kept, f"{left_out} more warnings"] if left_out else kept
