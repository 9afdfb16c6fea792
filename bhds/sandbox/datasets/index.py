"""Where the folders of a universe are found by their paths."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import lru_cache

from bhds.core.markets import Frequency, TradeType
from bhds.sandbox.datasets import DATA_TYPES, FolderFeed, PublishedType
from bhds.sandbox.universe import Universe
from bhds.schemas import datatypes


class FeedIndex:
    """All feeds of a universe, in the order of their paths; safe for several threads.

    Those of a data type are generated at the first request, because a thousand symbols
    have more than a hundred thousand.
    """

    def __init__(self, universe: Universe) -> None:
        self._universe = universe
        self._tops: dict[str, tuple[PublishedType, TradeType, Frequency]] = {}
        for data_type in DATA_TYPES:
            for entry in datatypes.DATA_TYPES[data_type.name].feeds:
                market, frequency = entry.trade_type, entry.frequency
                top = f"data/{market.bucket_path}/{frequency}/{data_type.name}/"
                self._tops[top] = (data_type, market, frequency)
        # No folder is inside another one, so keys are in order where folders are.
        self._top_paths = sorted(self._tops)
        self._feeds = lru_cache(maxsize=None)(self._made_feeds)

    def find(self, path: str) -> FolderFeed | None:
        """Return the feed whose folder is `path`, or None if there is none."""
        place = bisect_right(self._top_paths, path)
        if not place or not path.startswith(self._top_paths[place - 1]):
            return None
        return self._feeds(self._top_paths[place - 1])[0].get(path)

    def overlapping(self, prefix: str, *, start: str) -> Iterator[FolderFeed]:
        """Yield the feeds whose keys may begin with `prefix` and be `start` or later.

        `start` is `prefix` or comes after it.
        """
        for top in _overlapping(self._top_paths, prefix, start):
            feeds, paths = self._feeds(top)
            for path in _overlapping(paths, prefix, start):
                yield feeds[path]

    def _made_feeds(self, top: str) -> tuple[dict[str, FolderFeed], list[str]]:
        data_type, market, frequency = self._tops[top]
        feeds = {
            feed.path: feed
            for feed in data_type.feeds(self._universe, market, frequency)
        }
        return feeds, sorted(feeds)


def _overlapping(paths: Sequence[str], prefix: str, start: str) -> Iterator[str]:
    """Yield those of the sorted `paths` that keys from `start` on may be below."""
    # The folder before that place may hold it.
    for place in range(max(0, bisect_right(paths, start) - 1), len(paths)):
        path = paths[place]
        if path.startswith(prefix) or prefix.startswith(path):
            if path >= start or start.startswith(path):
                yield path
        elif path > prefix:
            return
