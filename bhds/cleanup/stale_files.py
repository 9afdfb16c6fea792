"""Find and remove stale temporary files and quarantined files."""

import datetime as dt
import os
import re
import stat
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from bhds import layout
from bhds.archive.keys import CHECKSUM_SUFFIX, ArchiveFile
from bhds.archive.listing.directory import Directory
from bhds.core.errors import BhdsError, KeyGrammarError
from bhds.io import runs
from bhds.plan.dataset import PlannedDataset, directories
from bhds.plan.summary import with_due

_PARTIAL = re.compile(r"\..+\.([0-9a-f-]+)\.partial")
"""The name under which `bhds.io.storage.replacing` writes."""
_STAGED = re.compile(r"(?P<name>.+\.zip(?:\.CHECKSUM)?)\.[0-9A-Za-z_-]+(?:\.aria2)?")
"""A file's name, the tag of its revision, and the suffix of aria2's control files."""
_MIN_AGE = dt.timedelta(days=1)


def killed_writes(data_dir: Path, *, now: dt.datetime) -> list[str]:
    """Find what writers that were killed left: files not renamed into place.

    Parameters
    ----------
    data_dir
        The data directory; only the folders of BHDS's stages are searched.
    now
        The present, UTC. Files of writers that may be on another machine may be in use
        if they were changed less than a day before.

    Returns
    -------
    list of str
        Paths below the data directory, sorted.
    """
    oldest_in_use = (now - _MIN_AGE).timestamp()
    return sorted(
        path
        for stage in layout.STAGES
        for path in _files_below(stage, data_dir=data_dir)
        if (name := _PARTIAL.fullmatch(path.rpartition("/")[2]))
        and _was_killed(name[1], data_dir / path, oldest_in_use=oldest_in_use)
    )


def _was_killed(maker: str, path: Path, *, oldest_in_use: float) -> bool:
    """Return whether who wrote a file is gone; of others, whether it is old."""
    process = runs.named(maker)
    if process is not None and (process.is_gone or process.is_alive):
        return process.is_gone
    return path.lstat().st_mtime < oldest_in_use


def staged_in_place(planned: Sequence[PlannedDataset], *, data_dir: Path) -> list[str]:
    """Find staged downloads of files that are in place, and not to be replaced.

    Looked at are files of the configured datasets' symbols; what else is staged may
    be usable by other settings.

    Parameters
    ----------
    planned
        All configured datasets.
    data_dir
        The data directory.

    Returns
    -------
    list of str
        Paths below the data directory, sorted.
    """
    symbols = {
        directory: set(found.symbols)
        for found in planned
        for directory in directories(found.dataset)
    }
    due: set[str] = set()
    for found in planned:
        due.update(with_due(found.files).drop_nulls("due")["path"])
    in_place = []
    for path in _files_below(layout.STAGING, data_dir=data_dir):
        target = _target_of(path)
        if target is None or target in due:
            continue
        if _is_of(symbols, target) and (data_dir / target).is_file():
            in_place.append(path)
    return sorted(in_place)


def quarantined(data_dir: Path) -> list[str]:
    """Find the quarantined files: paths below `data_dir`, sorted."""
    return sorted(_files_below(layout.QUARANTINE, data_dir=data_dir))


def sizes(paths: Iterable[str], *, data_dir: Path) -> dict[str, int]:
    """Return the bytes of those files that may be removed, by path.

    Those are regular files, neither links nor behind links, so that nothing outside
    of the data directory is ever touched. Others are left out.
    """
    folders: dict[str, bool] = {}
    found = {}
    for path in paths:
        folder = path.rpartition("/")[0]
        if folder not in folders:
            folders[folder] = _is_plain_folder(folder, data_dir=data_dir)
        size = _regular_size(data_dir / path) if folders[folder] else None
        if size is not None:
            found[path] = size
    return found


def remove(paths: Iterable[str], *, data_dir: Path) -> int:
    """Remove files, and return how many there were.

    Only what `sizes` would return is removed. A file that is gone already is no
    error.

    Raises
    ------
    BhdsError
        If a file cannot be removed; those before it are.
    """
    removed = 0
    for path in sizes(paths, data_dir=data_dir):
        try:
            (data_dir / path).unlink(missing_ok=True)
        except OSError as error:
            msg = (
                f"{data_dir / path}: {error.strerror}; expected a file that can be "
                f"removed; see to its permissions and run again: {removed} files are "
                "removed already"
            )
            raise BhdsError(msg) from error
        removed += 1
    return removed


def _target_of(staged: str) -> str | None:
    """Return the place of a staged file; None if the name is not that of one."""
    folder, _, name = staged.rpartition("/")
    match = _STAGED.fullmatch(name)
    return match and folder.replace(layout.STAGING, layout.AWS, 1) + "/" + match["name"]


def _is_of(symbols: Mapping[Directory, Collection[str]], path: str) -> bool:
    """Return whether a zip or CHECKSUM is of a symbol of one of some directories."""
    try:
        file = ArchiveFile.from_path(path.removesuffix(CHECKSUM_SUFFIX))
    except KeyGrammarError:
        return False
    directory = Directory(
        file.trade_type, file.frequency, file.data_type, file.interval
    )
    return file.symbol in symbols.get(directory, ())


def _files_below(folder: str, *, data_dir: Path) -> Iterator[str]:
    """Yield the paths of all regular files in a folder, links not followed."""
    if not _is_plain_folder(folder, data_dir=data_dir):
        return
    folders = [folder]
    while folders:
        folder = folders.pop()
        with os.scandir(data_dir / folder) as entries:
            for entry in entries:
                path = f"{folder}/{entry.name}"
                if entry.is_dir(follow_symlinks=False):
                    folders.append(path)
                elif entry.is_file(follow_symlinks=False):
                    yield path


def _is_plain_folder(folder: str, *, data_dir: Path) -> bool:
    """Return whether a folder exists, with no link in its path below the data."""
    path = data_dir
    for part in folder.split("/"):
        path /= part
        if part == ".." or path.is_symlink() or not path.is_dir():
            return False
    return True


def _regular_size(path: Path) -> int | None:
    try:
        found = path.lstat()
    except FileNotFoundError:
        return None
    return found.st_size if stat.S_ISREG(found.st_mode) else None
