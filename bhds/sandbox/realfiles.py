"""Real files in a folder that is laid out as the bucket is."""

import datetime as dt
import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from bhds.core.errors import ConfigError
from bhds.sandbox.objects import StoredObject


class RealFiles:
    """The object store of a folder that holds `data/...`; files may come and go.

    The ETag is the file's MD5, its last modification that of the file. Checksums are
    there only where the folder has them. Left out are names that begin with a dot or
    are not UTF-8, what is no regular file, and symbolic links that lead out of `folder`
    or, of folders, back to one that they are in.

    Raises
    ------
    ConfigError
        If `folder` has no folder `data`.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()
        data = self._resolved("data")
        if data is None or not data.is_dir():
            msg = f"folder {folder}: expected it to hold a folder `data` as the bucket"
            raise ConfigError(msg)
        self._etags: dict[tuple[Path, int, int], str] = {}

    def keys(self, prefix: str, *, after: str = "") -> Iterator[str]:
        """Yield the keys below `prefix` that come after `after`, in order."""
        yield from self._keys_in((self._folder,), "", prefix=prefix, after=after)

    def describe(self, keys: Sequence[str]) -> list[StoredObject]:
        """Return size, MD5 and time of `keys`; files that are gone are left out."""
        found = (self._described(key) for key in keys)
        return [each for each in found if each is not None]

    def read(self, key: str) -> tuple[StoredObject, bytes] | None:
        """Return a file and its bytes, or None if there is none of that name."""
        path, described = self._resolved(key), self._described(key)
        if path is None or described is None:
            return None
        with suppress(OSError):
            return described, path.read_bytes()
        return None

    def _keys_in(
        self, folders: tuple[Path, ...], path: str, *, prefix: str, after: str
    ) -> Iterator[str]:
        """Yield the keys of the last of nested `folders`; they begin with `path`."""
        entries: list[tuple[str, Path]] = []
        with suppress(OSError), os.scandir(folders[-1]) as found:
            for entry in found:
                place: Path | None = folders[-1] / entry.name
                if entry.is_symlink() or not _is_shown(entry.name):
                    place = self._resolved(path + entry.name)
                if place is not None and place.is_file():
                    entries.append((path + entry.name, place))
                elif place is not None and place.is_dir() and place not in folders:
                    entries.append((f"{path}{entry.name}/", place))
        for name, place in sorted(entries):
            if not name.endswith("/"):
                if name.startswith(prefix) and name > after:
                    yield name
            elif (name.startswith(prefix) or prefix.startswith(name)) and (
                name > after or after.startswith(name)
            ):
                yield from self._keys_in(
                    (*folders, place), name, prefix=prefix, after=after
                )

    def _resolved(self, key: str) -> Path | None:
        """Return the place of `key`, or None if there is none that is served."""
        try:
            path = (self._folder / key).resolve(strict=True)
            inside = path.relative_to(self._folder)
        except (OSError, ValueError, RuntimeError):
            return None  # gone, out of the folder, too long, a circle of links
        parts = (*key.split("/"), *inside.parts)
        return path if all(map(_is_shown, parts)) else None

    def _described(self, key: str) -> StoredObject | None:
        path = self._resolved(key)
        # A pipe or a device would never end.
        if path is None or not path.is_file():
            return None
        with suppress(OSError):
            status = path.stat()
            version = (path, status.st_mtime_ns, status.st_size)
            etag = self._etags.get(version)
            if etag is None:
                content = path.read_bytes()
                etag = hashlib.md5(content, usedforsecurity=False).hexdigest()
                self._etags[version] = etag
            modified = dt.datetime.fromtimestamp(int(status.st_mtime), tz=dt.UTC)
            return StoredObject(key, status.st_size, etag, modified)
        return None


def _is_shown(name: str) -> bool:
    """Check that a name is UTF-8, not empty, and does not begin with a dot."""
    is_utf8 = not any("\ud800" <= character <= "\udfff" for character in name)
    return is_utf8 and name[:1] not in ("", ".")
