"""What a bucket holds, whoever makes it: the interface of an object store."""

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class StoredObject:
    """The entry of one object in a listing."""

    key: str
    size: int
    """Bytes."""
    etag: str
    """MD5 in hexadecimal digits, without quotes."""
    last_modified: dt.datetime
    """UTC, to the second."""


class ObjectStore(Protocol):
    """Objects by key; may be asked by several threads at once."""

    def keys(self, prefix: str, *, after: str = "") -> Iterator[str]:
        """Yield the keys that begin with `prefix` and come after `after`, in order.

        The order is that of the keys' UTF-8 bytes, which is Python's order of str.
        """

    def describe(self, keys: Sequence[str]) -> list[StoredObject]:
        """Return the entries of the existing `keys` in a listing."""

    def read(self, key: str) -> tuple[StoredObject, bytes] | None:
        """Return the object `key` and its bytes, or None if there is none."""
