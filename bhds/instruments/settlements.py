"""When contracts were settled, and listed again under the same name."""

import csv
import datetime as dt
import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

from bhds.core.markets import TradeType

_DAY = re.compile("exchangeInfo ([0-9]{4}-[0-9]{2}-[0-9]{2})")


@dataclass(frozen=True)
class Settlement:
    """A row of `bhds/data/settlements.csv`, all times UTC."""

    settled_at: dt.datetime
    """When trading ended."""
    listed_again: dt.datetime | None
    """When another contract of the same name began to trade; None: not until
    `settlements_day`."""
    source: str


@cache
def settlements() -> Mapping[tuple[TradeType, str], tuple[Settlement, ...]]:
    """Return the known settlements by market and symbol, each in the order of time.

    The archive goes on to publish bars without trades and funding of most of these
    contracts for months or years, so files are no evidence that they are listed again.
    """
    found: dict[tuple[TradeType, str], list[Settlement]] = defaultdict(list)
    for row in _rows():
        again = row["listed_again"]
        found[TradeType(row["trade_type"]), row["symbol"]].append(
            Settlement(
                dt.datetime.fromisoformat(row["settled_at"]),
                dt.datetime.fromisoformat(again) if again else None,
                row["source"],
            )
        )
    return {key: tuple(rows) for key, rows in found.items()}


@cache
def settlements_day() -> dt.date:
    """Return the last UTC day on which the sources show what is listed again."""
    days = (day for row in _rows() for day in _DAY.findall(row["source"]))
    return max(map(dt.date.fromisoformat, days))


def _rows() -> list[dict[str, str]]:
    table = resources.files("bhds").joinpath("data", "settlements.csv")
    return list(csv.DictReader(table.read_text(encoding="utf-8").splitlines()))
