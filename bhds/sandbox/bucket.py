"""The synthetic bucket: zips and checksums, built when they are first requested."""

import datetime as dt
import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from bhds.core.errors import SelectionError
from bhds.sandbox import defects, formats, tape
from bhds.sandbox.datasets import FolderFeed, member_time
from bhds.sandbox.datasets.index import FeedIndex
from bhds.sandbox.defects import SPOILERS, Defect
from bhds.sandbox.filecache import FileCache, FileDigests
from bhds.sandbox.objects import StoredObject
from bhds.sandbox.prices import KlineSource
from bhds.sandbox.publication import CHECKSUM, Publication
from bhds.sandbox.timegrid import Period, from_ms, period_of_label, to_ms

_ZIP = ".zip"
_MONTH = re.compile(r"-(\d{4}-\d{2})(-\d{2})?\.zip")


@dataclass(frozen=True)
class _File:
    """A zip that may be published: a period of a feed."""

    feed: FolderFeed
    period: Period
    revision: int
    defects: tuple[Defect, ...]
    name: str
    """The name under which it is published."""

    @property
    def key(self) -> str:
        return self.feed.key(self.period)

    @property
    def announced(self) -> "_File":
        """The file that the CHECKSUM is of."""
        having = (each for each in self.defects if SPOILERS[each].is_announced)
        return replace(self, defects=tuple(having))


class SyntheticBucket:
    """The object store of a universe; safe for use by several threads."""

    def __init__(
        self, source: KlineSource, publication: Publication, cache: FileCache
    ) -> None:
        self._source = source
        self._universe = source.universe
        self._publication = publication
        self._cache = cache
        self._pool = ThreadPoolExecutor(os.cpu_count(), "sandbox-build")
        self._feeds = FeedIndex(self._universe)
        self._fingerprints: dict[tuple[Any, ...], bytes] = {}

    def close(self) -> None:
        """Stop the threads that build files."""
        self._pool.shutdown(cancel_futures=True)

    def keys(self, prefix: str, *, after: str = "") -> Iterator[str]:
        """Yield the published keys below `prefix` that come after `after`."""
        start = max(prefix, after)
        for feed in self._feeds.overlapping(prefix, start=start):
            for key in self._feed_keys(feed):
                if key.startswith(prefix) and key > after:
                    yield key

    def describe(self, keys: Sequence[str]) -> list[StoredObject]:
        """Return size, digest and time of `keys`, building those files in threads."""
        # Files of one month are made from the same bars: one thread for each month.
        groups = [list(group) for _, group in groupby(keys, _month_of)]
        described = self._pool.map(self._describe_each, groups)
        return [found for group in described for found in group]

    def read(self, key: str) -> tuple[StoredObject, bytes] | None:
        """Return a published object and its bytes, or None."""
        file = self._find(key)
        if file is None:
            return None
        if key.endswith(CHECKSUM):
            return self._describe(key, file), self._checksum(file)
        content = self._cache.content(self._cache_name(file), lambda: self._build(file))
        return self._describe(key, file), content

    def zip_described(self, key: str) -> StoredObject:
        """Return the entry of the zip `key` in a listing.

        Raises
        ------
        SelectionError
            If no such zip is published.
        """
        file = self._find(key)
        if file is None or not key.endswith(_ZIP):
            msg = f"key {key!r}: expected a published zip; see the listing"
            raise SelectionError(msg)
        return self._describe(key, file)

    def data_type_of(self, key: str) -> str:
        """Return the data type of the zip `key`, which may be yet to be published.

        Raises
        ------
        SelectionError
            If there never is such a zip.
        """
        file = self._file(key)
        if file is None:
            msg = f"key {key!r}: expected a zip that this universe yields"
            raise SelectionError(msg)
        return file.feed.data_type.name

    def _feed_keys(self, feed: FolderFeed) -> Iterator[str]:
        now_ms = to_ms(self._publication.now)
        periods = feed.periods(self._source, now_ms=now_ms)
        keys: Iterable[str] = map(feed.key, periods)
        if self._publication.misnamed:
            keys = sorted(map(self._publication.published_key, keys))
        for key in keys:
            for each in (key, key + CHECKSUM):
                if not self._publication.is_withheld(each):
                    yield each

    def _find(self, key: str) -> _File | None:
        """Return the zip that a published `key` is, or is the checksum of."""
        if self._publication.is_withheld(key):
            return None
        original = self._publication.original_key(key.removesuffix(CHECKSUM))
        file = None if original is None else self._file(original)
        if file is None:
            return None
        published_ms = file.feed.data_type.published_ms(file.feed, file.period)
        return file if published_ms <= to_ms(self._publication.now) else None

    def _file(self, key: str) -> _File | None:
        """Return the zip `key`, whether it is published or not."""
        path, slash, name = key.rpartition("/")
        feed = self._feeds.find(path + slash)
        if feed is None:
            return None
        label = name.removeprefix(feed.stem).removesuffix(_ZIP)
        try:
            period = period_of_label(feed.frequency, label)
        except ValueError:
            return None
        if feed.key(period) != key or feed.data_type.is_empty(
            self._source, feed, period
        ):
            return None
        return _File(
            feed,
            period,
            self._publication.revision(key),
            self._publication.spoiled.get(key, ()),
            self._publication.published_key(key).rpartition("/")[2],
        )

    def _describe_each(self, keys: Sequence[str]) -> list[StoredObject]:
        files = ((key, self._find(key)) for key in keys)
        return [self._describe(key, file) for key, file in files if file is not None]

    def _describe(self, key: str, file: _File) -> StoredObject:
        last_modified = self._last_modified(file)
        if key.endswith(CHECKSUM):
            text = self._checksum(file)
            etag = hashlib.md5(text, usedforsecurity=False).hexdigest()
            later = last_modified + dt.timedelta(seconds=1)
            return StoredObject(key, len(text), etag, later)
        digests = self._digests(file)
        return StoredObject(key, digests.size, digests.md5.hex(), last_modified)

    def _last_modified(self, file: _File) -> dt.datetime:
        republished = self._publication.revisions.get(file.key)
        if republished:
            return republished.last_modified
        return from_ms(file.feed.data_type.published_ms(file.feed, file.period))

    def _digests(self, file: _File) -> FileDigests:
        return self._cache.digests(self._cache_name(file), lambda: self._build(file))

    def _checksum(self, file: _File) -> bytes:
        return formats.checksum_file(
            self._digests(file.announced).sha256,
            name=file.name,
            market=file.feed.symbol.market,
        )

    def _build(self, file: _File) -> bytes:
        """Make a zip: the one place that the rows of every file pass through."""
        feed, period = file.feed, file.period
        spoilers = [SPOILERS[each] for each in file.defects]
        rows = feed.data_type.rows(self._source, feed, period)
        if file.revision:
            rows = feed.data_type.revised(rows, file.revision)
        for spoiler in spoilers:
            rows = spoiler.rows(rows)
        text = feed.data_type.csv(rows, feed, period)
        for spoiler in spoilers:
            text = spoiler.text(text)
        archive = formats.zip_archive(
            text,
            member=file.name.removesuffix(_ZIP) + ".csv",
            market=feed.symbol.market,
            modified=member_time(feed, period),
        )
        for spoiler in spoilers:
            archive = spoiler.archive(archive)
        return archive

    def _cache_name(self, file: _File) -> str:
        """Return a hexadecimal name for all that a file's bytes follow from."""
        symbol = file.feed.symbol
        revision = file.feed.data_type.content_revision
        identity = (symbol.market, symbol.name, revision)
        origin = self._fingerprints.get(identity)
        if origin is None:
            halts = self._universe.halts(symbol)
            parts: tuple[Any, ...] = (revision, self._universe.seed, symbol, halts)
            if symbol.trades_published:
                parts = (*parts, tape.REVISION)
            if symbol.quiet_weekends or symbol.funding_interval_before:
                special = (symbol.quiet_weekends, symbol.funding_interval_before)
                parts = (*parts, special)
            if symbol.dividends:
                parts = (*parts, symbol.dividends)
            origin = hashlib.blake2b(repr(parts).encode()).digest()
            self._fingerprints[identity] = origin
        text = f"{file.key} {file.revision}"
        if not file.key.endswith(f"/{file.name}"):
            text += f" {file.name}"
        if file.defects:
            text += f" {','.join(file.defects)} {defects.REVISION}"
        return hashlib.blake2b(text.encode(), key=origin, digest_size=16).hexdigest()


def _month_of(key: str) -> tuple[str, str]:
    """Return the folder of `key` and the month that its name states."""
    path, _, name = key.rpartition("/")
    stated = _MONTH.search(name)
    return path, stated[1] if stated else name
