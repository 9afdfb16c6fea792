"""The sandbox exchange as one object: what tests hold and change."""

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from bhds.core.errors import ConfigError, SelectionError
from bhds.core.markets import TradeType
from bhds.io import runs
from bhds.sandbox.bucket import SyntheticBucket
from bhds.sandbox.defects import SPOILERS, Defect
from bhds.sandbox.faults import Faults
from bhds.sandbox.filecache import FileCache
from bhds.sandbox.limits import LimitEnforcer
from bhds.sandbox.objects import ObjectStore
from bhds.sandbox.prices import KlineSource
from bhds.sandbox.publication import Hole, Publication
from bhds.sandbox.realfiles import RealFiles
from bhds.sandbox.rest import RestApi
from bhds.sandbox.timegrid import to_ms
from bhds.sandbox.universe import Halt, Symbol, Universe, load_universe

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
        The budgets of the API and their clock; default: those of the real exchange.

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
        limiter: LimitEnforcer | None = None,
    ) -> None:
        if universe is None:
            universe = load_universe() if serve_dir is None else Universe()
        real = RealFiles(serve_dir) if serve_dir is not None else None
        self.publication = Publication(now)
        self.limiter = limiter or LimitEnforcer()
        """The budgets, what was granted of them, and how often they were overrun."""
        self._temporary = ExitStack()
        if cache_dir is None:
            cache_dir = self._temporary.enter_context(runs.scratch("sandbox"))
        self._cache = FileCache(cache_dir)
        self._opened: list[SyntheticBucket] = []
        self._open(universe)
        self.store: ObjectStore = real or self._bucket
        """What the bucket serves."""
        labels = {endpoint.label for endpoint in self.api.endpoints.values()}
        self.api_faults = Faults(labels)
        """How the API fails to answer, and how long its answers take."""
        self.listing_faults = Faults({"listing"})
        """The same of the bucket's listings."""
        self.download_faults = Faults()
        """The same of the bucket's files, by their keys."""
        self.requests: Counter[str] = Counter()
        """Requests so far, by kind: `listing`, `zip`, `checksum`, `spot/klines`, ..."""
        self.scenarios: list[str] = []
        """The numbers of the scenarios that `admin` added."""

    def _open(self, universe: Universe) -> None:
        """Serve what follows from `universe`."""
        self.universe = universe
        self.klines = KlineSource(universe)
        self.api = RestApi(self.klines, self.publication, limiter=self.limiter)
        self._bucket = SyntheticBucket(self.klines, self.publication, self._cache)
        self._opened.append(self._bucket)

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
        for bucket in self._opened:
            bucket.close()
        self._temporary.close()

    @property
    def now(self) -> dt.datetime:
        """The present, UTC."""
        return self.publication.now

    def set_now(self, now: dt.datetime) -> None:
        """Move the present; `now` must be aware."""
        self.publication.now = now.astimezone(dt.UTC)

    def extend(
        self,
        symbols: Iterable[Symbol],
        *,
        outages: Mapping[TradeType, tuple[Halt, ...]] | None = None,
    ) -> None:
        """List more symbols, and let markets have stood still more often.

        The data of the other symbols stay as they are but for the outages.

        Raises
        ------
        ConfigError
            If the bucket serves other files than those of the universe, or that has
            one of the symbols already.
        """
        if self.store is not self._bucket:
            msg = (
                "symbols: expected a bucket of synthetic files; serve neither real "
                "files nor lists of keys"
            )
            raise ConfigError(msg)
        self._open(self.universe.extended(symbols, outages=outages))
        self.store = self._bucket

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

    def misname(self, key: str, *, name: str) -> None:
        """Publish the zip `key` under another `name`, in the same folder.

        Raises
        ------
        SelectionError
            If there never is such a zip.
        """
        self._bucket.data_type_of(key)
        self.publication.misnamed[key] = f"{key.rpartition('/')[0]}/{name}"

    def republish(self, key: str) -> None:
        """Replace the published zip `key` by a revision of which some rows differ.

        Raises
        ------
        SelectionError
            If no such zip is published.
        """
        described = self._bucket.zip_described(key)
        self.publication.republish(key, last_modified=described.last_modified)

    def spoil(self, key: str, how: Defect) -> None:
        """Spoil the zip `key`, as if it had always been wrong; defects add up.

        Times of modification stay as they are. What is not published yet appears with
        its defects.

        Raises
        ------
        SelectionError
            If there never is such a zip.
        ConfigError
            If its data type cannot have the defect.
        """
        data_type = self._bucket.data_type_of(key)
        possible = SPOILERS[how].data_types
        if possible is not None and data_type not in possible:
            msg = (
                f"key {key!r}: expected {sorted(possible)} for the defect {how.value!r}"
            )
            raise ConfigError(msg)
        self.publication.spoil(key, how)

    def repair(self, key: str) -> None:
        """Publish the zip `key` as it was before it was spoiled.

        Raises
        ------
        SelectionError
            If `key` is not spoiled.
        """
        if key not in self.publication.spoiled:
            msg = f"key {key!r}: expected one that is spoiled; spoil it first"
            raise SelectionError(msg)
        del self.publication.spoiled[key]

    def api_withhold(
        self,
        trade_type: TradeType,
        symbol: str,
        start: dt.datetime,
        end: dt.datetime,
        *,
        data_type: str | None = None,
        interval: str | None = None,
    ) -> None:
        """Withhold the bars of a symbol that open in a range from the API.

        The archive is not concerned. Holes add up.

        Parameters
        ----------
        trade_type
            The market.
        symbol
            The symbol, or for index prices the pair, of the requests.
        start, end
            Aware; bars that open at `start` or later and before `end` are missing.
        data_type
            The only type of bars that is concerned, as `klines`; None: all.
        interval
            The only interval that is concerned, as in the bucket (`1mo` is a month);
            None: all. A bar that opens before `start` stays, with all its parts.

        Raises
        ------
        ConfigError
            If the API has no such bars, or the range is empty.
        """
        hole = Hole(trade_type, symbol, to_ms(start), to_ms(end), data_type, interval)
        self.api.check(hole)
        self.publication.holes.append(hole)
