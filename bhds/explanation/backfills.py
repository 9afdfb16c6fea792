"""What was requested from the API for a bar, and the response."""

import datetime as dt
import json
import re
from pathlib import Path
from typing import Any

from bhds import layout
from bhds.explanation.archives import rows_within
from bhds.explanation.place import SymbolFiles
from bhds.explanation.values import PublishedRow, RequestedRange, RowOutcome
from bhds.io import storage

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MILLISECOND = dt.timedelta(milliseconds=1)
_SPAN = re.compile(rb'\{"start_ms":(\d+),"end_ms":(\d+),"requested_at":"([^"]+)"')
_FILL_ROW = ("open_time", "close_time", "source")


def requested_ranges(place: SymbolFiles) -> tuple[RequestedRange, ...]:
    """Return the ranges covering the bar that were requested from the API."""
    found = []
    for path in place.backfills:
        sources = storage.read_sources(path)
        for each in sources["missing_ranges"]:
            start, end = (dt.datetime.fromisoformat(each[n]) for n in ("start", "end"))
            if start < place.end and place.open_time < end:
                found.append(
                    RequestedRange(
                        path=place.relative(path),
                        start=start,
                        end=end,
                        reason=each["reason"],
                        expected=each["expected"],
                        found=each["found"],
                        status=each["status"],
                        answered_at=_answered_at(path, place=place),
                    )
                )
    return tuple(found)


def answers_of(place: SymbolFiles) -> list[PublishedRow]:
    """Return the bars that the API answered, and whether they are in the backfill."""
    found = []
    for path in place.backfills:
        rows = rows_within(path, place=place)
        filled = set(rows["open_time"])
        answered = _answers(path, place=place)
        for row in rows.iter_rows(named=True):
            values = {n: value for n, value in row.items() if n not in _FILL_ROW}
            at = answered.get(row["open_time"], (None, None))[0]
            found.append(_publication(row["open_time"], values, answered_at=at))
        names = [name for name in rows.columns if name not in _FILL_ROW]
        for open_time, (at, fields) in answered.items():
            if open_time not in filled and fields is not None:
                values = dict(zip(names, _without_close_time(fields), strict=False))
                found.append(
                    _publication(
                        open_time,
                        values,
                        answered_at=at,
                        outcome=RowOutcome.NOT_USED,
                        reason="not in the backfill: the archive has this bar, or "
                        "neither has a trade in it",
                    )
                )
    return found


def _publication(
    open_time: dt.datetime,
    values: dict[str, Any],
    *,
    answered_at: dt.datetime | None,
    outcome: RowOutcome = RowOutcome.KEPT,
    reason: str | None = None,
) -> PublishedRow:
    return PublishedRow(
        source="api",
        key=None,
        open_time=open_time,
        values=values,
        read_from="answers",
        answered_at=answered_at,
        outcome=outcome,
        reason=reason,
    )


def _pages(path: Path, *, place: SymbolFiles) -> list[tuple[dt.datetime, bytes]]:
    """Return the answers that cover the bar, with their time, the latest last."""
    try:
        content = Path(layout.responses_of(path)).read_bytes()
    except FileNotFoundError:
        return []
    found = []
    for line in content.splitlines():
        match = _SPAN.match(line)
        if match is None:
            continue
        start, end = (_EPOCH + int(match[n]) * _MILLISECOND for n in (1, 2))
        if start < place.end and place.open_time < end:
            found.append((dt.datetime.fromisoformat(match[3].decode()), line))
    return sorted(found)


def _answered_at(path: Path, *, place: SymbolFiles) -> dt.datetime | None:
    pages = _pages(path, place=place)
    return pages[-1][0] if pages else None


def _answers(
    path: Path, *, place: SymbolFiles
) -> dict[dt.datetime, tuple[dt.datetime, list[Any] | None]]:
    """Return time of answer and fields of each bar answered, by its `open_time`."""
    found: dict[dt.datetime, tuple[dt.datetime, list[Any] | None]] = {}
    for at, line in _pages(path, place=place):
        for row in json.loads(line)["rows"]:
            open_time = _EPOCH + row[0] * _MILLISECOND
            if place.open_time <= open_time < place.end:
                found[open_time] = (at, row)
    return found


def _without_close_time(row: list[Any]) -> list[Any]:
    """Return the fields in the order of a partition's, but for the two times."""
    return [*row[1:6], *row[7:]]
