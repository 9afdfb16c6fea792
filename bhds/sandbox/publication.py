"""The state of the sandbox that may change: its clock, and what it holds back."""

import datetime as dt
from dataclasses import dataclass, field

CHECKSUM = ".CHECKSUM"
"""What the name of a checksum adds to that of its zip."""


@dataclass(frozen=True)
class Republished:
    """The newest revision of a file that was replaced."""

    number: int
    """1 for the first replacement."""
    last_modified: dt.datetime


@dataclass
class Publication:
    """What is published at present."""

    now: dt.datetime
    """The sandbox's clock, UTC; it stands still until it is set."""
    withheld: set[str] = field(default_factory=set)
    """Keys that are not published; that of a zip holds its checksum back too."""
    revisions: dict[str, Republished] = field(default_factory=dict)
    """By the key of the zip."""

    def is_withheld(self, key: str) -> bool:
        """Tell whether `key`, or the zip that it is the checksum of, is held back."""
        return key in self.withheld or key.removesuffix(CHECKSUM) in self.withheld

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
