"""Lists of a real bucket's keys, served as a bucket that can be listed only."""

import bisect
import datetime as dt
import hashlib
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from itertools import takewhile
from pathlib import Path

from bhds.core.errors import ConfigError
from bhds.sandbox.objects import StoredObject
from bhds.sandbox.publication import CHECKSUM

_ROOT = "https://data.binance.vision/"
_ZIP = ".zip"
_FIRST_UPLOAD = dt.datetime(2023, 1, 1, tzinfo=dt.UTC)
_UPLOAD_SPAN_S = 2 * 365 * 86_400
_SMALLEST_ZIP = 1_000
_SIZE_SPAN = 100_000
_SHA256_DIGITS = 64


class KeyList:
    """The object store of the zips that key lists name, each with its CHECKSUM.

    A key list is a zip of one text file with the URL of a zip of the archive,
    `https://data.binance.vision/<key>`, in each line. Sizes, ETags and times are made
    up from the keys, the same each time. There is nothing to be read.

    Raises
    ------
    ConfigError
        If a file is no key list.
    """

    def __init__(self, files: Iterable[Path]) -> None:
        zips = dict.fromkeys(key for file in files for key in _listed_keys(file))
        self._keys = sorted(each for key in zips for each in (key, key + CHECKSUM))

    def keys(self, prefix: str, *, after: str = "") -> Iterator[str]:
        """Yield the keys below `prefix` that come after `after`, in order."""
        start = bisect.bisect_left(self._keys, prefix)
        if after >= prefix:
            start = bisect.bisect_right(self._keys, after, lo=start)
        rest = (self._keys[place] for place in range(start, len(self._keys)))
        return takewhile(lambda key: key.startswith(prefix), rest)

    def describe(self, keys: Sequence[str]) -> list[StoredObject]:
        """Return size, ETag and time of `keys`."""
        return [_described(key) for key in keys]

    def read(self, key: str) -> None:  # noqa: ARG002 -- as in every object store
        """Return None: there are keys, but no bytes."""
        return


def _listed_keys(file: Path) -> list[str]:
    """Read a key list."""
    try:
        with zipfile.ZipFile(file) as archive:
            members = archive.namelist()
            texts = [archive.read(member).decode("utf-8") for member in members]
    except (OSError, UnicodeDecodeError, zipfile.BadZipFile) as error:
        msg = f"key list {file}: {error}; expected a zip of one text file of URLs"
        raise ConfigError(msg) from error
    if len(texts) != 1:
        msg = f"key list {file}: it holds {len(texts)} files, expected one of URLs"
        raise ConfigError(msg)
    lines = texts[0].splitlines()
    for number, line in enumerate(lines, start=1):
        if not (line.startswith(_ROOT) and line.endswith(_ZIP)):
            msg = f"key list {file}, line {number}: {line!r}: expected {_ROOT}<key>.zip"
            raise ConfigError(msg)
    return [line.removeprefix(_ROOT) for line in lines]


def _described(key: str) -> StoredObject:
    """Generate the entries of a listing."""
    digest = hashlib.md5(key.encode(), usedforsecurity=False)
    number = int.from_bytes(digest.digest()[:8])
    modified = _FIRST_UPLOAD + dt.timedelta(seconds=number % _UPLOAD_SPAN_S)
    if key.endswith(CHECKSUM):
        name = key.removesuffix(CHECKSUM).rpartition("/")[2]
        size = _SHA256_DIGITS + len("  ") + len(name.encode())
    else:
        size = _SMALLEST_ZIP + number % _SIZE_SPAN
    return StoredObject(key, size, digest.hexdigest(), modified)
