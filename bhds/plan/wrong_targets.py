"""Find targets that cannot be built, and name the nearest that can."""

import difflib
import posixpath
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path, PurePosixPath

from bhds import layout
from bhds.archive.keys import CHECKSUM_SUFFIX, ArchiveFile
from bhds.core.errors import KeyGrammarError
from bhds.core.markets import ARCHIVE_INTERVALS, Frequency, TradeType
from bhds.schemas.datatypes import BAR_TYPES, RECORD_TYPES

_BARS = {"data_type": "|".join(BAR_TYPES), "interval": "|".join(ARCHIVE_INTERVALS)}
_RECORDS = {"data_type": "|".join(RECORD_TYPES), "interval": None}
_KINDS = [
    re.compile(pattern)
    for pattern in (
        *(layout.regex(layout.partition, **fields) for fields in (_BARS, _RECORDS)),
        *(layout.regex(layout.backfill, **fields) for fields in (_BARS, _RECORDS)),
        layout.regex(layout.phase),
        layout.regex(layout.exchange_info),
        layout.regex(layout.result, interval=_BARS["interval"]),
        layout.regex(layout.symbol_table, interval=_BARS["interval"]),
        layout.regex(layout.funding),
        layout.regex(layout.resampled),
        layout.regex(layout.segment, interval=_BARS["interval"]),
        layout.regex(layout.segments, interval=_BARS["interval"]),
        layout.regex(layout.resampled_segment),
        layout.regex(layout.quality_table),
        layout.regex(layout.quality_table, series=None),
        layout.regex(layout.archive_table),
        re.escape(layout.REPORT),
    )
]
_SUFFIXES = (layout.TABLE_SUFFIX, layout.RESULT_SUFFIX)
_FOLDERS = (
    *layout.STAGES,
    *TradeType,
    *Frequency,
    *BAR_TYPES,
    *RECORD_TYPES,
    *ARCHIVE_INTERVALS,
    *layout.SYMBOL_TABLES,
    *("quality", "resampled_klines", "split_klines", "split_resampled_klines"),
)
"""Names of folders, which a mistyped one may be near to."""


def find(
    targets: Iterable[str],
    *,
    names: Collection[str],
    data_dir: Path,
    is_archived: Callable[[str], bool],
) -> dict[str, str]:
    """Find the targets that cannot be built.

    Parameters
    ----------
    targets
        Names of targets and rules, and paths below the data directory.
    names
        The names of all rules.
    data_dir
        The data directory.
    is_archived
        Whether the archive has the file of a path.

    Returns
    -------
    dict
        What to say of each: with the nearest that can be built, if any is near.
    """
    wrong = {}
    for target in targets:
        path = posixpath.normpath(target)
        if _is_raw(path):
            if not is_archived(path):
                wrong[target] = (
                    f"{target}: the archive has no such file; check its date"
                )
        elif target not in names and not _is_kind(path):
            wrong[target] = _explained(target, names=names, data_dir=data_dir)
    return wrong


def _explained(target: str, *, names: Collection[str], data_dir: Path) -> str:
    nearest = next(_nearest(target, names=names, data_dir=data_dir), None)
    hint = "" if nearest is None else f", as {nearest}"
    return (
        f"{target}: no such target; expected the name of a target or the path of a "
        f"file below the data directory{hint} (docs/reference/targets.md)"
    )


def _nearest(target: str, *, names: Collection[str], data_dir: Path) -> Iterator[str]:
    """Yield what may have been meant, the most likely first."""
    if "/" not in target:
        yield from difflib.get_close_matches(target, names, n=1)
        return
    parts = PurePosixPath(target).parts
    for number, part in enumerate(parts):
        if number and part in layout.STAGES:
            path = "/".join(parts[number:])
            yield from (path for path in (path, *_repaired(path)) if _is_kind(path))
    yield from _repaired("/".join(parts))
    if PurePosixPath(target).is_absolute() and not Path(target).is_relative_to(
        data_dir.absolute()
    ):
        yield f"{layout.REPORT} for {data_dir.absolute() / layout.REPORT}"


def _repaired(path: str) -> Iterator[str]:
    """Yield the path with another suffix, and with mistyped folders put right."""
    for suffix in _SUFFIXES:
        for other in _SUFFIXES:
            changed = path.removesuffix(suffix) + other
            if path.endswith(suffix) and _is_kind(changed):
                yield changed
        changed = str(PurePosixPath(path).with_name(layout.WHOLE_HISTORY + suffix))
        if path.endswith(suffix) and _is_kind(changed):
            yield changed
    parts = path.split("/")
    likely = []
    for number, part in enumerate(parts[:-1]):
        for near in difflib.get_close_matches(part, _FOLDERS, n=5, cutoff=0.5):
            changed = "/".join([*parts[:number], near, *parts[number + 1 :]])
            if _is_kind(changed):
                alike = difflib.SequenceMatcher(None, near, part).ratio()
                likely.append((alike, changed))
    yield from (changed for _, changed in sorted(likely, reverse=True))


def _is_kind(path: str) -> bool:
    """Check whether there may be a file of this path."""
    if path.endswith(".sources.json"):
        path = path.removesuffix(".sources.json") + layout.TABLE_SUFFIX
    return any(kind.fullmatch(path) for kind in _KINDS) or _is_raw(path)


def _is_raw(path: str) -> bool:
    """Check whether there may be a zip or CHECKSUM of this path."""
    try:
        ArchiveFile.from_path(path.removesuffix(CHECKSUM_SUFFIX))
    except KeyGrammarError:
        return False
    return True
