"""Print explanations of bars for people."""

from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Console
from rich.filesize import decimal
from rich.text import Text

from bhds.cli.terminal import console
from bhds.explanation import Explanation, LongerExplanation
from bhds.explanation.values import (
    ArchiveZip,
    ExplainedFunding,
    PublishedRow,
    RequestedRange,
    RowOutcome,
    plain,
)

_INDENT = "  "


def show(found: Explanation) -> None:
    """Print the explanation of a bar."""
    out = console()
    series = f"{found.trade_type} {found.symbol} {found.interval}"
    out.print(Text(f"{series}  {_time(found.open_time)} UTC", style="bold"))
    _line(out, found.summary)
    for warning in found.warnings:
        _line(out, f"WARNING: {warning}", style="bold red")
    _show_mapping(out, "Bar", found.bar)
    _show_result(out, found)
    _show_all(out, "Published", map(_published, found.publications))
    _show_all(out, "Conflicts", map(_conflict, found.conflicts))
    _show_all(out, "Zips", map(_zip, found.zips))
    _show_all(out, "Requests to the API", map(_requested, found.missing_ranges))
    _show_mapping(out, "Gap", found.gap)
    events = (
        f"{event.funding_rate:+.8f}{_kind(event)}, due {_time(event.funding_time)}, "
        f"calculated {_time(event.calc_time)}, from {event.source}"
        for event in found.funding
    )
    _show_all(out, "Funding joined", ([event] for event in events))
    _show_mapping(out, f"Day {found.open_time:%Y-%m-%d}", found.condition)


def _kind(event: ExplainedFunding) -> str:
    return f" ({event.rate_type})" if event.rate_type else ""


def show_longer(found: LongerExplanation) -> None:
    """Print the explanation of a resampled bar."""
    out = console()
    series = f"{found.trade_type} {found.symbol} {found.rule}"
    until = _time(found.end)
    out.print(Text(f"{series}  {_time(found.open_time)} to {until} UTC", style="bold"))
    _line(out, found.summary)
    _show_mapping(out, "Bar", found.bar)
    counts = ", ".join(f"{count} {name}" for name, count in found.sources.items())
    set_by = ", ".join(
        f"{name} by {_time(at)}" for name, at in found.set_by.items() if at
    )
    lines = [f"{found.base_bars} of {found.base_interval}: {counts or 'none'}"]
    lines += [set_by] if set_by else []
    lines += [f"explain one of them: bhds explain {found.symbol} <its time>"]
    _show_all(out, "Base bars", [lines])


def _show_result(out: Console, found: Explanation) -> None:
    result = found.result
    lines = [
        f"{result.path}, {result.rows:,} bars from {_time(result.first_open_time)} to "
        f"{_time(result.last_open_time)}",
        f"built by BHDS {result.version}, revision {result.revision}, up to "
        f"{result.as_of}",
    ]
    if found.segment:
        ends = (found.segment["first_open_time"], found.segment["last_open_time"])
        lines.append(
            f"segment {found.segment['number']}: {_time(ends[0])} to {_time(ends[1])}"
        )
    _show_all(out, "Result", [lines])


def _published(row: PublishedRow) -> list[str]:
    where = row.key or ("the API" if row.source == "api" else "a zip")
    line = "" if row.line is None else f", line {row.line}"
    integrity_status = row.outcome.value.replace("_", " ")
    why = "" if row.reason is None else f": {row.reason}"
    lines = [f"{integrity_status}{why}", f"{row.source}, {where}{line}"]
    if row.text is not None:
        lines += [row.text, f"({','.join(row.fields)})"]
    else:
        lines.append(_values(row.values))
    if row.read_from == "partition" and row.outcome is RowOutcome.KEPT:
        lines.append("as parsed: the zip is no longer on disk")
    if row.answered_at is not None:
        lines.append(f"answered {_time(row.answered_at)}")
    return lines


def _conflict(row: Mapping[str, Any]) -> list[str]:
    kept = {
        name.removeprefix("kept_"): value
        for name, value in row.items()
        if name.startswith("kept_")
    }
    dropped = {name: row[name] for name in kept}
    differing = [name for name, value in kept.items() if dropped[name] != value]
    return [
        f"dropped {dropped['source']} {dropped['key'] or ''}: "
        + _values({name: dropped[name] for name in differing}),
        f"kept {kept['source']} {kept['key'] or ''}: "
        + _values({name: kept[name] for name in differing}),
    ]


def _zip(archive: ArchiveZip) -> list[str]:
    reason = f": {archive.reason}" if archive.reason else ""
    disk = "no longer on disk: removed, or discarded once it was parsed"
    if archive.is_another_revision:
        disk = f"ANOTHER REVISION IS ON DISK: SHA-256 {archive.sha256_on_disk}"
    elif archive.is_on_disk:
        disk = "on disk, as it was parsed"
    lines = [
        f"{archive.key} ({decimal(archive.size)}): {archive.integrity_status}{reason}",
        f"SHA-256 {archive.sha256}",
        f"CHECKSUM {archive.published_sha256 or 'none'}",
        disk,
    ]
    lines += [
        f"revision {each.number}{' (used)' if each.is_used else ''}: ETag {each.etag}, "
        f"modified {_time(each.last_modified)}, fetched {_time(each.first_seen)}"
        for each in archive.revisions
    ]
    if archive.listed_at is not None:
        etag = archive.listed_etag or "no such file"
        lines.append(f"listed {_time(archive.listed_at)}: ETag {etag}")
    return lines


def _requested(each: RequestedRange) -> list[str]:
    expected = "" if each.expected is None else f" of {each.expected}"
    lines = [
        f"{_time(each.start)} to {_time(each.end)}, because {each.reason}",
        f"{each.status}: {each.found}{expected} found",
    ]
    if each.answered_at is not None:
        lines.append(f"answered {_time(each.answered_at)}")
    return lines


def _show_all(out: Console, heading: str, blocks: Iterable[list[str]]) -> None:
    for number, lines in enumerate(blocks):
        if number == 0:
            out.print(Text(heading, style="bold"))
        for indent, text in zip(
            [_INDENT, *[2 * _INDENT] * len(lines)], lines, strict=False
        ):
            _line(out, indent + text)


def _show_mapping(out: Console, heading: str, values: Mapping[str, Any] | None) -> None:
    if values:
        out.print(Text(heading, style="bold"))
        shown = {n: v for n, v in values.items() if v is not None}
        out.print(Text(_values(shown)), soft_wrap=True)


def _values(values: Mapping[str, Any]) -> str:
    return _INDENT + "  ".join(f"{n}={plain(v)}" for n, v in values.items())


def _line(out: Console, text: str, *, style: str = "") -> None:
    out.print(Text(text, style=style), soft_wrap=True)


def _time(moment: Any) -> str:
    if moment is None:
        return "unknown"
    return f"{moment:%Y-%m-%d %H:%M:%S}".removesuffix(":00")
