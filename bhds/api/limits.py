"""The budgets that the exchange grants an address, and how much of each is used."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

_SHARE = 0.95
"""The part of a limit that is used: others at this address need some, too."""


class Pool(StrEnum):
    """A budget that several endpoints of the API share."""

    SPOT = "spot"
    FUTURES = "futures"
    FUNDING = "funding"


@dataclass(frozen=True)
class Limit:
    """What the exchange allows an address, of which a part is used."""

    weight: int
    window_s: float

    @property
    def allowed(self) -> int:
        """The weight that may be occupied at once."""
        return int(self.weight * _SHARE)


LIMITS: Mapping[Pool, Limit] = {
    Pool.SPOT: Limit(weight=6_000, window_s=60),
    Pool.FUTURES: Limit(weight=2_400, window_s=60),
    Pool.FUNDING: Limit(weight=500, window_s=300),
}
"""The published limits; that of funding counts requests."""

LONGEST_PAUSE_S = 3 * 86_400.0
"""The longest ban that is documented; no pause that is ordered lasts longer."""

MOST_WEIGHT = 1_000_000
"""No request, and no window of a server, is counted with more."""
