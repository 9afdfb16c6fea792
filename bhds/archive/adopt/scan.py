"""Find the zips of a folder, and the file of the archive that each is.

Known are the folders of the bucket, of the original BHDS and of other data directories;
elsewhere a file's name shows its symbol, interval and period alone.
"""

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from bhds import layout
from bhds.archive.keys import CHECKSUM_SUFFIX, ArchiveFile
from bhds.core.errors import FetchError, KeyGrammarError
from bhds.core.markets import ARCHIVE_INTERVALS, Frequency, TradeType
from bhds.schemas.datatypes import DATA_TYPES

_MARKETS = {market.bucket_path: market for market in TradeType} | {
    market.value: market for market in TradeType
}
_IN_FOLDERS = re.compile(
    f".*/({'|'.join(_MARKETS)})/((?:daily|monthly)(?:/[^/]+){{3,4}})", re.DOTALL
)
"""The path of a zip in the folders of the bucket or of a data directory."""

_NAME = re.compile(r"([^-]+)-([^-]+)-([0-9-]+)\.zip")


class Outcome(StrEnum):
    """What became of a file that was found."""

    TAKEN = "taken"
    PRESENT = "present"
    DIFFERENT = "different"
    DAMAGED = "damaged"
    UNLIKE_CHECKSUM = "unlike_checksum"
    BAD_CHECKSUM = "bad_checksum"
    LONE_CHECKSUM = "lone_checksum"
    UNDECIDED = "undecided"
    UNNAMED = "unnamed"
    UNPUBLISHED = "unpublished"
    IRREGULAR = "irregular"
    UNREADABLE = "unreadable"
    OTHER = "other"

    @property
    def description(self) -> str:
        """What the outcome means."""
        return _DESCRIPTIONS[self]


_DESCRIPTIONS = {
    Outcome.TAKEN: "taken",
    Outcome.PRESENT: "already in place",
    Outcome.DIFFERENT: "not taken: other bytes are in place",
    Outcome.DAMAGED: "not taken: no sound zip",
    Outcome.UNLIKE_CHECKSUM: "not taken: differs from its CHECKSUM",
    Outcome.BAD_CHECKSUM: "not taken: CHECKSUM without a hash of its zip",
    Outcome.LONE_CHECKSUM: "not taken: CHECKSUM of a zip that is not taken",
    Outcome.UNDECIDED: "not taken: the market or data type is not known",
    Outcome.UNNAMED: "not taken: not named as in the archive",
    Outcome.UNPUBLISHED: "not taken: the archive has no such data",
    Outcome.IRREGULAR: "not taken: a link, device or pipe",
    Outcome.UNREADABLE: "not taken: cannot be read",
    Outcome.OTHER: "not taken: neither zip nor CHECKSUM",
}


@dataclass(frozen=True)
class FoundFile:
    """A file that was found, and what became of it."""

    path: str
    size: int
    """Bytes."""
    outcome: Outcome
    detail: str | None = None
    """Why, where the outcome alone does not say it."""


@dataclass(frozen=True)
class Flat:
    """What the names of files outside the known folders do not show."""

    trade_type: TradeType | None = None
    data_type: str | None = None
    """Of bars; other names show it."""


@dataclass
class Group:
    """The zips and CHECKSUMs that have one place, by the path of the zip."""

    file: ArchiveFile
    zips: dict[str, int] = field(default_factory=dict)
    """Bytes by path."""
    checksums: dict[str, int] = field(default_factory=dict)
    """Bytes by the path of the zip."""


class RefusedError(Exception):
    """A file that is not taken."""

    def __init__(self, outcome: Outcome, detail: str | None = None) -> None:
        super().__init__(outcome, detail)
        self.outcome = outcome
        self.detail = detail


def scan(folder: Path, *, groups: dict[str, Group], flat: Flat) -> Iterator[FoundFile]:
    """Add the zips and CHECKSUMs of a folder to `groups`; yield what is neither."""
    root = os.path.abspath(folder)  # noqa: PTH100 - without following links
    try:
        with os.scandir(root):
            pass
    except OSError as error:
        msg = (
            f"{folder}: cannot be read ({error.strerror}); name a folder with zips, or "
            "change its rights"
        )
        raise FetchError(msg) from error
    errors: list[OSError] = []
    for parent, folder_names, names in os.walk(root, onerror=errors.append):
        folder_names.sort()
        for name in folder_names:
            path = f"{parent}/{name}"
            if os.path.islink(path):  # noqa: PTH114 - no object for each
                yield FoundFile(path, 0, Outcome.IRREGULAR)
        for name in sorted(names):
            path = f"{parent}/{name}"
            try:
                status = os.lstat(path)
            except OSError as error:
                yield FoundFile(path, 0, Outcome.UNREADABLE, error.strerror)
                continue
            zip_path = path.removesuffix(CHECKSUM_SUFFIX)
            try:
                file = _archive_file(zip_path, mode=status.st_mode, flat=flat)
            except RefusedError as refused:
                yield FoundFile(path, status.st_size, refused.outcome, refused.detail)
                continue
            group = groups.setdefault(file.key, Group(file))
            of_kind = group.zips if path == zip_path else group.checksums
            of_kind[zip_path] = status.st_size
    for failed in errors:
        yield FoundFile(str(failed.filename), 0, Outcome.UNREADABLE, failed.strerror)


def _archive_file(zip_path: str, *, mode: int, flat: Flat) -> ArchiveFile:
    """Return which file of the archive a zip is, or a CHECKSUM is of."""
    if not stat.S_ISREG(mode):
        raise RefusedError(Outcome.IRREGULAR)
    if not zip_path.endswith(".zip"):
        raise RefusedError(Outcome.OTHER)
    file = _named(zip_path, flat=flat)
    known = DATA_TYPES.get(file.data_type)
    feeds = () if known is None else known.feeds_of(file.trade_type, file.interval)
    if file.frequency not in {feed.frequency for feed in feeds}:
        raise RefusedError(Outcome.UNPUBLISHED)
    return file


def _named(path: str, *, flat: Flat) -> ArchiveFile:
    """Return which file of the archive a zip is, by its folders or its name."""
    missing: list[str] = []
    try:
        match = _IN_FOLDERS.fullmatch(path)
        if match is not None:
            market = _MARKETS[match[1]]
            file = ArchiveFile.from_path(f"{layout.AWS}/{market}/{match[2]}")
        else:
            match = _NAME.fullmatch(path.rpartition("/")[2])
            if match is None:
                raise RefusedError(Outcome.UNNAMED)
            symbol, series, period = match.groups()
            is_bars = series in ARCHIVE_INTERVALS
            data_type = (flat.data_type or "klines") if is_bars else series
            if flat.trade_type is None:
                missing.append("--trade-type")
            if is_bars and flat.data_type is None:
                missing.append("--data-type")
            file = ArchiveFile(
                flat.trade_type or TradeType.SPOT,
                Frequency.DAILY if period.count("-") > 1 else Frequency.MONTHLY,
                data_type,
                symbol,
                series if is_bars else None,
                period,
            )
    except KeyGrammarError as error:
        raise RefusedError(Outcome.UNNAMED, str(error)) from error
    if missing:
        raise RefusedError(Outcome.UNDECIDED, f"name {' and '.join(missing)}")
    return file
