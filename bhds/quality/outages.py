"""The catalogue of known outages: times at which a whole market did not trade."""

import csv
import datetime as dt
from dataclasses import dataclass
from functools import cache
from importlib import resources

import polars as pl

from bhds.core.markets import TradeType
from bhds.core.timegrid import TIME


@dataclass(frozen=True)
class Outage:
    """A row of `bhds/data/outages.csv`: no bar of any symbol opens in it."""

    trade_type: TradeType
    start: dt.datetime
    end: dt.datetime
    """Exclusive; as `start` UTC."""
    source: str
    """Where it is reported."""


@cache
def known_outages() -> tuple[Outage, ...]:
    """Return the catalogue that comes with BHDS, in the order of time."""
    table = resources.files("bhds").joinpath("data", "outages.csv")
    rows = csv.DictReader(table.read_text(encoding="utf-8").splitlines())
    return tuple(
        Outage(
            TradeType(row["trade_type"]),
            dt.datetime.fromisoformat(row["start"]),
            dt.datetime.fromisoformat(row["end"]),
            row["source"],
        )
        for row in rows
    )


def outages_of(trade_type: TradeType) -> pl.DataFrame:
    """Return `start` and `end` of the known outages of a market, sorted by `start`."""
    spans = [
        (outage.start, outage.end)
        for outage in known_outages()
        if outage.trade_type == trade_type
    ]
    return pl.DataFrame(spans, schema={"start": TIME, "end": TIME}, orient="row")
