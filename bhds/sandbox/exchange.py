"""The sandbox exchange as one object: what tests hold and change."""

import datetime as dt
import tempfile
from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import Self

from bhds.errors import SelectionError
from bhds.sandbox.bucket import SyntheticBucket
from bhds.sandbox.filecache import FileCache
from bhds.sandbox.limits import RateLimiter
from bhds.sandbox.objects import ObjectStore
from bhds.sandbox.prices import KlineSource
from bhds.sandbox.publication import Publication
from bhds.sandbox.realfiles import RealFiles
from bhds.sandbox.rest import RestApi
from bhds.sandbox.universe import Universe, load_universe

PRESENT = dt.datetime(2025, 3, 10, 12, tzinfo=dt.UTC)
"""Where the sandbox's clock stands unless it is set."""


class Exchange:
    """An archive and an API over one universe, and what is changed at run time.

    Parameters
    ----------
    universe
        The symbols; default: those that ship with BHDS, or none with `serve_dir`.
    now
        The present, from which follows what is published; UTC.
    cache_dir
        Where built files are kept; default: a temporary folder.
    serve_dir
        A folder of real files, laid out as in the bucket, in place of synthetic ones.
    limiter
        The API's budgets; default: those of the real exchange.

    Raises
    ------
    ConfigError
        If `serve_dir` is not laid out as the bucket is.
    """

    def __init__(
        self,
        universe: Universe | None = None,
        *,
        now: dt.datetime = PRESENT,
        cache_dir: Path | None = None,
        serve_dir: Path | None = None,
        limiter: RateLimiter | None = None,
    ) -> None:
        if universe is None:
            universe = load_universe() if serve_dir is None else Universe()
        self.universe = universe
        self.publication = Publication(now)
        self.klines = KlineSource(universe)
        self.api = RestApi(self.klines, self.publication)
        self.limiter = limiter or RateLimiter()
        self.requests: Counter[str] = Counter()
        """Requests so far, by kind: `listing`, `zip`, `checksum`, `spot/klines`, ..."""
        real = RealFiles(serve_dir) if serve_dir is not None else None
        self._temporary = (
            tempfile.TemporaryDirectory(prefix="bhds-sandbox-")
            if cache_dir is None
            else None
        )
        folder = Path(self._temporary.name) if self._temporary else cache_dir
        self._bucket = SyntheticBucket(
            self.klines, self.publication, FileCache(folder or Path())
        )
        self.store: ObjectStore = real or self._bucket
        """What the bucket serves."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop building files and remove the temporary folder."""
        self._bucket.close()
        if self._temporary is not None:
            self._temporary.cleanup()

    @property
    def now(self) -> dt.datetime:
        """The present, UTC."""
        return self.publication.now

    def set_now(self, now: dt.datetime) -> None:
        """Move the present; `now` must be aware."""
        self.publication.now = now.astimezone(dt.UTC)

    def withhold(self, key: str) -> None:
        """Do not publish `key`; a zip takes its checksum with it."""
        self.publication.withheld.add(key)

    def release(self, key: str) -> None:
        """Publish again what was withheld.

        Raises
        ------
        SelectionError
            If `key` is not withheld.
        """
        if key not in self.publication.withheld:
            msg = f"key {key!r}: expected one that is withheld; withhold it first"
            raise SelectionError(msg)
        self.publication.withheld.remove(key)

    def republish(self, key: str) -> None:
        """Replace the published zip `key` by a revision of which some rows differ.

        Raises
        ------
        SelectionError
            If no such zip is published.
        """
        described = self._bucket.zip_described(key)
        self.publication.republish(key, last_modified=described.last_modified)
