"""The words of a run: one or two lines while it goes on, a summary at its end."""

from collections import Counter

from rich.filesize import decimal

from bhds.archive import keys
from bhds.archive.download import progress
from bhds.run_display.run_state import RunState
from bhds.run_display.stages import STAGES

_SHOWN_SYMBOLS = 20


def going_on(
    state: RunState, *, downloads: progress.Downloads | None, requests: int
) -> list[str]:
    """Describe a run that goes on, in one line or two.

    Parameters
    ----------
    state
        The run.
    downloads
        The downloads of the run; None if it has none, or all are made.
    requests
        Requests to the API in this run.

    Returns
    -------
    list of str
        Such as `parse 12 of 60, results 1 of 8; 40 of 111 jobs, about 2 min left` and
        `downloads: 120 of 182 files, 1.2 of 14.1 GB, 23.4 MB/s; 12 API requests`.
    """
    counts = [
        state.stages[stage.name] for stage in STAGES if stage.name in state.stages
    ]
    running = [
        f"{count.stage.name} {count.done:,} of {count.total:,}"
        for count in counts
        if count.running
    ]
    line = f"{', '.join(running) or 'planning'}; {state.done:,} of {state.total:,} jobs"
    if state.failed:
        line += f", {state.failed:,} failed"
    left = state.seconds_left(download_s=downloads.seconds_left if downloads else 0.0)
    if left:
        line += f", about {progress.duration(left)} left"
    more = [] if downloads is None else [downloads.described]
    if requests:
        more.append(f"{requests:,} API requests")
    return [line, "; ".join(more)] if more else [line]


def summary(state: RunState, *, seconds: float, size_bytes: int, requests: int) -> str:
    """Return one line on how a run ended.

    Parameters
    ----------
    state
        The run.
    seconds
        How long it took.
    size_bytes
        What it downloaded.
    requests
        Requests to the API that it made.
    """
    if state.is_up_to_date:
        return "bhds: nothing to be done: every file that was requested is up to date"
    stages = [
        f"{stage.name} {state.stages[stage.name].done:,}"
        for stage in STAGES
        if stage.name in state.stages
    ]
    parts = [
        f"{state.done:,} jobs in {progress.duration(seconds)} ({', '.join(stages)})"
    ]
    if size_bytes:
        parts.append(f"{decimal(size_bytes)} downloaded")
    if requests:
        parts.append(f"{requests:,} API requests")
    if state.warnings:
        parts.append(f"{state.warnings:,} warnings")
    if state.done == state.total:
        return f"bhds: done: {'; '.join(parts)}"
    left = state.total - state.done - state.failed
    return (
        f"bhds: {state.failed:,} jobs failed, {left:,} that need them were not run; "
        f"{'; '.join(parts)}; the same command goes on from here"
    )


def dry_run(state: RunState) -> list[str]:
    """Describe what a run would do: jobs by stage, and the zips missing by symbol."""
    if state.is_up_to_date:
        return ["Nothing to be done: every file that was requested is up to date."]
    lines = [f"A run would do {state.total:,} jobs:"]
    for stage in STAGES:
        count = state.stages.get(stage.name)
        if count is not None:
            lines.append(f"  {stage.name:<9} {count.total:>8,}")
    zips = state.missing_zips
    if zips:
        symbols = Counter(keys.ArchiveFile.from_path(path).symbol for path in zips)
        lines.append(f"Zips to download: {len(zips):,}, of {len(symbols):,} symbols:")
        shown = sorted(symbols.items(), key=lambda item: (-item[1], item[0]))
        lines += [f"  {name:<20} {n:>6,}" for name, n in shown[:_SHOWN_SYMBOLS]]
        if len(symbols) > _SHOWN_SYMBOLS:
            lines.append(f"  and {len(symbols) - _SHOWN_SYMBOLS:,} symbols more")
        lines.append("`bhds plan --files` lists each of them.")
    lines.append("The same command with --verbose lists each job.")
    return lines
