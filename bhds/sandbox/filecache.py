"""Built files on disk, each with its digests, so that none is built twice."""

import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bhds.io.storage import replacing

_MD5_BYTES = 16
_SHA256_BYTES = 32
_HEAD_BYTES = _MD5_BYTES + _SHA256_BYTES
_LOCKS = 64


@dataclass(frozen=True)
class FileDigests:
    """Size and digests of one file."""

    size: int
    md5: bytes
    sha256: bytes


class FileCache:
    """Files by a name that stands for their content; safe for several threads.

    A file holds the MD5 and the SHA-256 of the content, then the content. Several
    processes may share a folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[str, FileDigests] = {}
        self._locks = [threading.Lock() for _ in range(_LOCKS)]

    def digests(self, name: str, build: Callable[[], bytes]) -> FileDigests:
        """Return the digests of the file `name`, which `build` makes if need be."""
        known = self._known.get(name)
        return known or self._load(name, build)[0]

    def content(self, name: str, build: Callable[[], bytes]) -> bytes:
        """Return the file `name`, which `build` makes if need be."""
        return self._load(name, build)[1]

    def _load(self, name: str, build: Callable[[], bytes]) -> tuple[FileDigests, bytes]:
        path = self._folder / name[:2] / name
        with self._locks[int(name[:8], 16) % _LOCKS]:
            try:
                stored = path.read_bytes()
            except FileNotFoundError:
                content = build()
                stored = hashlib.md5(content, usedforsecurity=False).digest()
                stored += hashlib.sha256(content).digest() + content
                with replacing(path) as partial:
                    partial.write_bytes(stored)
        digests = FileDigests(
            len(stored) - _HEAD_BYTES,
            stored[:_MD5_BYTES],
            stored[_MD5_BYTES:_HEAD_BYTES],
        )
        self._known[name] = digests
        return digests, stored[_HEAD_BYTES:]
