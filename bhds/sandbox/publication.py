"""The state of the sandbox that may change: its clock, and what is amiss."""

import datetime as dt
from dataclasses import dataclass, field

from bhds.core.markets import TradeType
from bhds.sandbox.defects import Defect

CHECKSUM = ".CHECKSUM"
"""What the name of a checksum adds to that of its zip."""


@dataclass(frozen=True)
class Republished:
    """The newest revision of a file that was replaced."""

    number: int
    """1 for the first replacement."""
    last_modified: dt.datetime


@dataclass(frozen=True)
class Hole:
    """Bars that the API does not have, whatever the archive has."""

    trade_type: TradeType
    symbol: str
    """The symbol, or of index prices the pair, whose bars these are."""
    start_ms: int
    """Bars that open at this time or later, before `end_ms`, are missing."""
    end_ms: int
    data_type: str | None = None
    """The only type of bars that is concerned, as `klines`; None: all."""
    interval: str | None = None
    """The only interval that is concerned, as in the bucket (`1mo`); None: all."""


@dataclass
class Publication:
    """What is published at present."""

    now: dt.datetime
    """The sandbox's clock, UTC; it stands still until it is set."""
    withheld: set[str] = field(default_factory=set)
    """Keys that are not published; that of a zip holds its checksum back too."""
    revisions: dict[str, Republished] = field(default_factory=dict)
    """By the key of the zip."""
    spoiled: dict[str, tuple[Defect, ...]] = field(default_factory=dict)
    """By the key of the zip, what is wrong with it, in the order of `Defect`."""
    misnamed: dict[str, str] = field(default_factory=dict)
    """By the key of the zip, the other key that it is published under."""
    holes: list[Hole] = field(default_factory=list)
    """What the API does not have."""

    def is_withheld(self, key: str) -> bool:
        """Check whether `key`, or the zip of this checksum, is withheld."""
        return key in self.withheld or key.removesuffix(CHECKSUM) in self.withheld

    def published_key(self, key: str) -> str:
        """Return the key that the zip `key` is published under, as a rule its own."""
        return self.misnamed.get(key, key)

    def original_key(self, key: str) -> str | None:
        """Return the zip that is published under `key`; None if that one is misnamed.

        This does not show whether it is published.
        """
        for original, published in self.misnamed.items():
            if key in (original, published):
                return original if key == published else None
        return key

    def revision(self, key: str) -> int:
        """Return the number of the newest revision of the zip `key`, from 0 on."""
        republished = self.revisions.get(key)
        return republished.number if republished else 0

    def republish(self, key: str, *, last_modified: dt.datetime) -> None:
        """Replace the zip `key`, last modified at `last_modified`, by a revision."""
        moment = max(self.now, last_modified + dt.timedelta(seconds=1))
        self.revisions[key] = Republished(
            self.revision(key) + 1, moment.replace(microsecond=0)
        )

    def spoil(self, key: str, how: Defect) -> None:
        """Add a defect to the zip `key`."""
        having = {*self.spoiled.get(key, ()), how}
        self.spoiled[key] = tuple(each for each in Defect if each in having)
