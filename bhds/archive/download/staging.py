"""The staging folder: where the files of a batch lie until they are published.

It mirrors the paths below `aws_data`. A staged file has the ETag of its revision in its
name, so a part is never continued with bytes of another revision.
"""

import datetime as dt
import math
import os
import re
import shutil
import struct
from collections import defaultdict
from collections.abc import Container, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from bhds import layout
from bhds.archive.download import aria2

"""The staging folder, below the data directory."""

_PLAIN_MD5 = re.compile(r"[0-9a-f]{32}")
_UNSAFE_IN_NAME = re.compile(r"[^0-9A-Za-z-]")
_RECORD = struct.Struct(">HIIIQQI")
_NUMBER, _PIECE = struct.Struct(">I"), struct.Struct(">III")
_BLOCK = 1 << 14  # bytes that a bit of a piece on its way stands for


@dataclass(frozen=True)
class RequestedFile:
    """One file to download: a zip or a CHECKSUM."""

    key: str
    path: Path
    """Its final place, below `aws_data` in the data directory."""
    size: int
    """Bytes, as listed."""
    etag: str | None
    """As listed, without quotes; None where the listing has none."""
    last_modified: dt.datetime | None = None
    """As listed, UTC."""

    @property
    def md5(self) -> str | None:
        """The listed MD5; None where the ETag is none: one of several parts."""
        is_md5 = self.etag is not None and _PLAIN_MD5.fullmatch(self.etag)
        return self.etag if is_md5 else None


@dataclass(frozen=True)
class StagedFile:
    """A file that is staged, in whole or in part."""

    wanted: RequestedFile
    entry: "os.DirEntry[str]"
    is_ended: bool
    """Whether aria2 has fetched it to what it took for the end."""


class Staging:
    """The places of a batch's files in the staging folder."""

    def __init__(self, wanted: Sequence[RequestedFile], *, data_dir: Path) -> None:
        root = data_dir.absolute() / layout.AWS
        self.folder = data_dir.absolute() / layout.STAGING
        folders: dict[Path, Path] = {}
        self._wanted = wanted
        self._places: dict[str, str] = {}
        for file in wanted:
            folder = file.path.parent
            if folder not in folders:
                folders[folder] = self.folder / folder.absolute().relative_to(root)
            tag = _UNSAFE_IN_NAME.sub("_", file.etag or "unlisted")
            self._places[file.key] = f"{folders[folder]}/{file.path.name}.{tag}"

    def place(self, wanted: RequestedFile) -> str:
        """Return where a file is staged."""
        return self._places[wanted.key]

    def name(self, wanted: RequestedFile) -> str:
        """Return where a file is staged, below the staging folder."""
        return self._places[wanted.key].removeprefix(f"{self.folder}/")

    def look(self, *, but: Container[str] = ()) -> Iterator[StagedFile]:
        """Find the files that are staged, in whole or in part.

        By folder: to request each file by itself costs as much as to hash a small one.
        Left out are files with the keys `but`.
        """
        for folder, files in self._by_folder.items():
            entries = _entries(folder)
            for name in files.keys() & entries.keys():
                if files[name].key in but:
                    continue
                is_ended = name + aria2.CONTROL_SUFFIX not in entries
                yield StagedFile(files[name], entries[name], is_ended)

    def clear(self, *, but: Container[str] = ()) -> None:
        """Delete what cannot be continued, whatever is in the folder.

        That is: other revisions, more bytes than there should be, anything of a file
        whose revision is not known, and parts whose record is damaged, missing its
        part, or of another size than listed. Left alone are files with the keys `but`.
        """
        for folder, files in self._by_folder.items():
            untagged = {name.rpartition(".")[0] for name in files}
            entries = _entries(folder)
            for name, entry in entries.items():
                place = name.removesuffix(aria2.CONTROL_SUFFIX)
                if place not in files:
                    if place.rpartition(".")[0] in untagged:
                        Path(entry).unlink()
                elif files[place].key not in but and not (
                    _may_be_whole(entry, files[place])
                    if name == place
                    else place in entries and _can_continue(entry, files[place])
                ):
                    self.discard(files[place])

    def copy(self, wanted: RequestedFile) -> None:
        """Stage the file that is in place."""
        self.discard(wanted)
        place = Path(self.place(wanted))
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(wanted.path, place)

    def discard(self, wanted: RequestedFile) -> None:
        """Delete a staged file and the record of its parts."""
        place = self.place(wanted)
        for path in (place, place + aria2.CONTROL_SUFFIX):
            with suppress(FileNotFoundError):
                Path(path).unlink()

    @cached_property
    def _by_folder(self) -> dict[str, dict[str, RequestedFile]]:
        """The files by the folder and the name under which they are staged."""
        found: dict[str, dict[str, RequestedFile]] = defaultdict(dict)
        for file in self._wanted:
            folder, _, name = self._places[file.key].rpartition("/")
            found[folder][name] = file
        return found


def _entries(folder: str) -> dict[str, "os.DirEntry[str]"]:
    """Return what is in a folder by its name; nothing if there is no folder."""
    try:
        with os.scandir(folder) as found:
            return {entry.name: entry for entry in found}
    except FileNotFoundError:
        return {}


def _may_be_whole(entry: "os.DirEntry[str]", wanted: RequestedFile) -> bool:
    with suppress(FileNotFoundError):  # discarded with its record
        return wanted.etag is not None and entry.stat().st_size <= wanted.size
    return True


def _can_continue(entry: "os.DirEntry[str]", wanted: RequestedFile) -> bool:
    """Check that aria2 can go on by a record of parts, and that it is of this size.

    Notes
    -----
    aria2 gives a file up whose record it cannot read, as an empty one that power loss
    or a full disk leaves, and one whose size is not that of the server's answer. It
    waits for ever where a record has all pieces, and crashes where a piece is not of
    its length. The format is in aria2's technical notes, "Control file (*.aria2)
    format".
    """
    try:
        record = Path(entry).read_bytes()
        return _has_pieces_to_come(record, size=wanted.size)
    except FileNotFoundError:
        return True
    except struct.error:
        return False


def _has_pieces_to_come(record: bytes, *, size: int) -> bool:
    header = _RECORD.unpack_from(record)
    version, extension, hash_length, piece_length, total, _, n_bytes = header
    is_of_file = (version, extension, hash_length, total) == (1, 0, 0, size)
    if not is_of_file or piece_length == 0:
        return False
    at = _RECORD.size + n_bytes
    pieces = _unset(record[_RECORD.size : at], number=math.ceil(size / piece_length))
    to_come = set(pieces)
    (begun,) = _NUMBER.unpack_from(record, at)
    at += _NUMBER.size
    for _ in range(begun):
        index, length, n_bytes = _PIECE.unpack_from(record, at)
        at += _PIECE.size + n_bytes
        blocks = _unset(record[at - n_bytes : at], number=math.ceil(length / _BLOCK))
        expected = min(piece_length, size - index * piece_length)
        if index not in to_come or length != expected or not blocks:
            return False
        to_come.remove(index)
    return bool(pieces) and at == len(record)


def _unset(field: bytes, *, number: int) -> list[int]:
    """Return which bits of a field are not set; none if it is not of this number."""
    bits = "".join(f"{byte:08b}" for byte in field)
    if len(field) != math.ceil(number / 8) or "1" in bits[number:]:
        return []
    return [index for index, bit in enumerate(bits[:number]) if bit == "0"]
