"""Real files in a folder that is laid out as the bucket is."""

import datetime as dt
import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from bhds.errors import ConfigError
from bhds.sandbox.objects import StoredObject


class RealFiles:
    """The object store of a folder that holds `data/...`; files may come and go.

    The ETag is the file's MD5, its last modification that of the file. Checksums are
    there only where the folder has them. Names that begin with a dot are left out.

    Raises
    ------
    ConfigError
        If `folder` has no folder `data`.
    """

    def __init__(self, folder: Path) -> None:
        if not (folder / "data").is_dir():
            msg = f"folder {folder}: expected it to hold a folder `data` as the bucket"
            raise ConfigError(msg)
        self._folder = folder.resolve()
        self._etags: dict[tuple[Path, int, int], str] = {}

    def keys(self, prefix: str, *, after: str = "") -> Iterator[str]:
        """Yield the keys below `prefix` that come after `after`, in order."""
        yield from self._keys_in(self._folder, "", prefix=prefix, after=after)

    def describe(self, keys: Sequence[str]) -> list[StoredObject]:
        """Return size, MD5 and time of `keys`; files that are gone are left out."""
        found = (self._described(key) for key in keys)
        return [each for each in found if each is not None]

    def read(self, key: str) -> tuple[StoredObject, bytes] | None:
        """Return a file and its bytes, or None if there is none of that name."""
        described = self._described(key)
        if described is None:
            return None
        return described, (self._folder / key).read_bytes()

    def _keys_in(
        self, folder: Path, path: str, *, prefix: str, after: str
    ) -> Iterator[str]:
        """Yield what is in `folder`, whose keys begin with `path`."""
        with os.scandir(folder) as entries:
            names = sorted(
                (path + entry.name + ("/" if entry.is_dir() else ""), entry.is_dir())
                for entry in entries
                if not entry.name.startswith(".")
            )
        for name, is_folder in names:
            if is_folder:
                inside = name.startswith(prefix) or prefix.startswith(name)
                if inside and (name > after or after.startswith(name)):
                    yield from self._keys_in(
                        self._folder / name, name, prefix=prefix, after=after
                    )
            elif name.startswith(prefix) and name > after:
                yield name

    def _described(self, key: str) -> StoredObject | None:
        # No way out of the folder, and no name that a listing leaves out.
        if any(not part or part.startswith(".") for part in key.split("/")):
            return None
        path = self._folder / key
        if not path.is_file():
            return None
        status = path.stat()
        version = (path, status.st_mtime_ns, status.st_size)
        etag = self._etags.get(version)
        if etag is None:
            content = path.read_bytes()
            etag = hashlib.md5(content, usedforsecurity=False).hexdigest()
            self._etags[version] = etag
        modified = dt.datetime.fromtimestamp(int(status.st_mtime), tz=dt.UTC)
        return StoredObject(key, status.st_size, etag, modified)
