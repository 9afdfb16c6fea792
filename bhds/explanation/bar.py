"""Trace one bar of a result back to what was published."""

import datetime as dt
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from bhds.archive.keys import ArchiveFile
from bhds.core.errors import ResultError
from bhds.core.markets import Interval, TradeType
from bhds.explanation import archives, backfills, surroundings
from bhds.explanation.place import SymbolFiles
from bhds.explanation.values import (
    ArchiveZip,
    Explanation,
    PublishedRow,
    Result,
    RowOutcome,
    State,
)
from bhds.io import places
from bhds.parse.precedence import choose_bars
from bhds.schemas.archive_tables import IntegrityStatus
from bhds.schemas.impossible_values import has_impossible_values
from bhds.schemas.klines import parsed_klines

_COMPARED = ("open", "high", "low", "close", "volume", "trade_count")
_USELESS = {IntegrityStatus.CORRUPT, IntegrityStatus.VANISHED}
_AGAIN = "build it again: bhds generate kline"


def explain(
    data_dir: Path | str,
    *,
    trade_type: str,
    interval: str,
    symbol: str,
    time: dt.datetime,
) -> Explanation:
    """Explain where the bar that contains a moment came from.

    No server is contacted, and nothing is changed. Files of one symbol are read,
    and of the market's tables the rows of it.

    Parameters
    ----------
    data_dir
        The data directory.
    trade_type, interval, symbol
        Of the result.
    time
        The moment, with a time zone; the bar is the one whose interval contains it,
        its open time included, its end not.

    Returns
    -------
    Explanation
        Also where there is no bar: its `state` and `gap` then say why.

    Raises
    ------
    SelectionError
        If the symbol has no result; the message names the nearest name that has.
    ConfigError
        If there is no such interval.
    ResultError
        If a file cannot be read.
    """
    place = SymbolFiles(
        Path(data_dir),
        TradeType(trade_type),
        symbol,
        Interval.parse(interval),
        time.astimezone(dt.UTC),
    )
    place.check_built()
    try:
        place = place.with_phase()
        return _explained(place)
    except (OSError, pl.exceptions.PolarsError) as error:
        msg = (
            f"{place.result}, or a table beside it: cannot be read ({error}); "
            f"{places.remedy(error)}"
        )
        raise ResultError(msg) from error


def _explained(place: SymbolFiles) -> Explanation:
    result = surroundings.result_of(place)
    bar = surroundings.row_of(place.result, open_time=place.open_time)
    entries = archives.covering_zips(place)
    zips = archives.described(entries, data_dir=place.data_dir)
    gap = surroundings.gap_around(place)
    condition = surroundings.condition_of(place)
    state = _state(place, result, bar=bar, gap=gap)
    publications = _as_in_result(_publications(place, zips, entries), state=state)
    is_funded = bar is not None and bar.get("funding_rate") is not None
    why = _why(gap=gap, condition=condition)
    return Explanation(
        trade_type=place.trade_type.value,
        symbol=place.symbol,
        interval=place.interval.name,
        time=place.time,
        open_time=place.open_time,
        state=state,
        summary=_summary(state, why=why, place=place, result=result, bar=bar),
        result=result,
        bar=bar,
        segment=bar and surroundings.segment_of(place, number=bar["segment"]),
        publications=tuple(publications),
        conflicts=surroundings.conflicts_in(place),
        zips=zips,
        missing_ranges=backfills.requested_ranges(place),
        gap=gap,
        funding=surroundings.funding_in(place) if is_funded else (),
        condition=condition,
        warnings=tuple(_warnings(place, zips, publications, bar=bar)),
    )


def _publications(
    place: SymbolFiles, zips: Sequence[ArchiveZip], entries: Sequence[Mapping[str, Any]]
) -> list[PublishedRow]:
    """Return every publication of the bar with its outcome, in time order."""
    found: list[PublishedRow] = []
    for archive, entry in zip(zips, entries, strict=True):
        if archive.is_on_disk:
            unit = entry["time_unit"]
            lines = archives.lines_of(place, archive=archive, time_unit=unit)
            found += [_as_used(line, archive) for line in lines]
    seen = {(p.source, p.open_time) for p in found if p.outcome is RowOutcome.KEPT}
    found += [
        replace(row, key=_key_of(row, zips))
        for row in archives.rows_of_partition(place)
        if (row.source, row.open_time) not in seen
    ]
    return _judged(place, [*found, *backfills.answers_of(place)])


def _as_used(line: PublishedRow, archive: ArchiveZip) -> PublishedRow:
    if archive.integrity_status in _USELESS:
        reason = f"the zip is {archive.integrity_status}: its rows are left out"
        return replace(line, outcome=RowOutcome.NOT_USED, reason=reason)
    if archive.is_another_revision:
        reason = "the zip on disk is not the revision that the partition was built from"
        return replace(line, outcome=RowOutcome.NOT_USED, reason=reason)
    return line


def _key_of(row: PublishedRow, zips: Iterable[ArchiveZip]) -> str | None:
    """Return the key of the zip that a row of a partition came from."""
    day = row.open_time.date()
    for archive in zips:
        file = ArchiveFile.from_key(archive.key)
        if (
            file.frequency.value == row.source
            and file.first_day <= day <= file.last_day
        ):
            return archive.key
    return None


def _judged(
    place: SymbolFiles, publications: Sequence[PublishedRow]
) -> list[PublishedRow]:
    """Judge what became of each publication, as parsing and merging decide."""
    ordered = sorted(publications, key=lambda p: p.open_time)
    used = [n for n, p in enumerate(ordered) if p.outcome is RowOutcome.KEPT]
    bars = _frame(place, [ordered[number] for number in used])
    chosen = choose_bars(
        bars.with_columns(number=pl.Series(used, dtype=pl.Int64)),
        data_type="klines",
        trade_type=place.trade_type,
        interval=place.interval,
    )
    for dropped in (chosen.duplicates, chosen.conflicts):
        for number, winner in dropped.select("number", "kept_number").iter_rows():
            reason = _why_dropped(place, ordered[number], ordered[winner])
            ordered[number] = replace(
                ordered[number], outcome=RowOutcome.DROPPED, reason=reason
            )
    return ordered


def _frame(place: SymbolFiles, publications: Sequence[PublishedRow]) -> pl.DataFrame:
    """Return publications as bars, each zip a `file`; the API and all others are one.

    Their close times are not known, and decide nothing.
    """
    schema = parsed_klines(place.trade_type)
    later = sorted({p.key or "" for p in publications})
    rows = [
        {"open_time": p.open_time, "source": p.source, "file": later.index(p.key or "")}
        | dict(p.values)
        for p in publications
    ]
    return pl.DataFrame(rows, schema=schema | {"file": pl.UInt32()})


def _why_dropped(place: SymbolFiles, dropped: PublishedRow, kept: PublishedRow) -> str:
    if kept.is_traded != dropped.is_traded:
        return "it has no trades, what was kept has"
    wrong = has_impossible_values("klines", place.trade_type)
    is_wrong = _frame(place, [dropped, kept]).select(wrong).to_series()
    if is_wrong[0] and not is_wrong[1]:
        return "its values are impossible, what was kept is possible"
    if dropped.source != kept.source:
        return f"{kept.source} takes precedence over {dropped.source}"
    if dropped.key == kept.key:
        return "a later line of the zip has the same time"
    return "a later file has the same bar"


_WHY_NO_BAR = {
    State.BEFORE_TRADING: "the result begins later: with the first trade, or `start`",
    State.BETWEEN_SEGMENTS: "it lies between two segments",
    State.AFTER_TRADING: "the symbol has ended: the result ends with the last trade",
    State.NOT_BUILT: "the result was not built up to it",
}


def _as_in_result(
    publications: Sequence[PublishedRow], *, state: State
) -> list[PublishedRow]:
    """Mark what would be kept where the result has no bar of its time."""
    reason = _WHY_NO_BAR.get(state)
    return [
        replace(p, outcome=RowOutcome.NOT_USED, reason=reason)
        if reason is not None and p.outcome is RowOutcome.KEPT
        else p
        for p in publications
    ]


def _state(
    place: SymbolFiles,
    result: Result,
    *,
    bar: Mapping[str, Any] | None,
    gap: Mapping[str, Any] | None,
) -> State:
    if bar is not None:
        return State.BAR
    built_until = max(result.as_of or "", surroundings.last_judged_day(place) or "")
    if built_until and place.open_time.date().isoformat() > built_until:
        return State.NOT_BUILT
    first, last = result.first_open_time, result.last_open_time
    if first is None or last is None or place.open_time > last:
        return State.AFTER_TRADING
    if place.open_time < first:
        return State.BEFORE_TRADING
    return State.BETWEEN_SEGMENTS if gap and gap["split"] else State.MISSING


def _why(*, gap: Mapping[str, Any] | None, condition: Mapping[str, Any] | None) -> str:
    """Return the class of the gap, or else the condition of the day."""
    if gap is not None:
        return f"; class: {gap['class'] or 'not classified'}"
    if condition is not None and condition["reason"] is not None:
        return f"; the day is {condition['condition']}: {condition['reason']}"
    return ""


def _summary(
    state: State,
    *,
    why: str,
    place: SymbolFiles,
    result: Result,
    bar: Mapping[str, Any] | None,
) -> str:
    """Summarize the bar in one sentence."""
    if bar is not None and bar["source"] == "filled":
        return f"filled: nothing usable was published, flat at the last close{why}"
    if bar is not None:
        return f"published; taken from {bar['source']}"
    first, last = result.first_open_time, result.last_open_time
    if first is None or last is None:
        return "no bar: the symbol has never traded in the built data"
    return {
        State.BETWEEN_SEGMENTS: f"no bar: between two segments{why}",
        State.MISSING: f"no bar: nothing was published, and built without fills{why}",
        State.BEFORE_TRADING: f"no bar: before the first, {first:%Y-%m-%d %H:%M}",
        State.AFTER_TRADING: f"no bar: after the last, {last:%Y-%m-%d %H:%M}{why}",
        State.NOT_BUILT: f"no bar: the result was built until {result.as_of}; build it "
        f"again for {place.open_time.date()}",
    }[state]


def _warnings(
    place: SymbolFiles,
    zips: Iterable[ArchiveZip],
    publications: Iterable[PublishedRow],
    *,
    bar: Mapping[str, Any] | None,
) -> list[str]:
    """Return what does not fit together."""
    found = [
        f"{each.path}: the zip on disk is ANOTHER REVISION than the result was built "
        f"from: SHA-256 {each.sha256_on_disk}, built from {each.sha256}; {_AGAIN}"
        for each in zips
        if each.is_another_revision
    ]
    found += [
        f"{each.path}: the server lists another revision since {each.listed_at}: ETag "
        f"{each.listed_etag}, built from {each.etag}; {_AGAIN}"
        for each in zips
        if each.listed_etag and each.etag and each.listed_etag != each.etag
    ]
    made_of = surroundings.inputs_of(place)
    for path in _partitions_on_disk(place):
        if _sha256(path) not in made_of:
            found.append(
                f"{place.relative(path)}: the result was built from another state of "
                f"this partition; {_AGAIN}"
            )
    kept = [p for p in publications if p.outcome is RowOutcome.KEPT]
    if bar is not None and len(kept) == 1 and _differs(kept[0], bar):
        found.append(f"the bar differs from its publication; {_AGAIN}")
    if bar is not None and bar["source"] != "filled" and not kept:
        found.append(f"nothing on disk publishes this bar any more; {_AGAIN}")
    return found


def _partitions_on_disk(place: SymbolFiles) -> list[Path]:
    paths = map(place.partition, place.partitions)
    return [*(path for path in paths if path.is_file()), *place.backfills]


def _differs(publication: PublishedRow, bar: Mapping[str, Any]) -> bool:
    return any(publication.values.get(name) != bar[name] for name in _COMPARED)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
