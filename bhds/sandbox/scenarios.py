"""The scenarios of the sandbox: each shows one defect of the archive, by its number.

They are data: `scenarios.yaml` has the symbols of each, and the actions of `admin` that
make the defect appear. The user's list, with what BHDS does about each defect, is
docs/known-limitations.md. All dates are fixed: most are the days before
`exchange.PRESENT`, and defects of a certain time are where the real ones were.
"""

import datetime as dt
from functools import cache
from importlib import resources
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, TypeAdapter

from bhds.core.markets import TradeType
from bhds.sandbox.exchange import PRESENT
from bhds.sandbox.universe import Halt, Moment, Symbol

INTERVALS = ("1m", "3m", "5m", "15m", "30m", "1h")
"""The intervals whose files have the defect: `{interval}` in a key."""


def _with_defaults(given: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a symbol that trades in every minute."""
    market = given.get("market", TradeType.UM_FUTURES)
    is_cm = market == TradeType.CM_FUTURES
    quote = "USD" if is_cm else "USDT"
    return {
        "market": market,
        "base_asset": given["name"].removesuffix("_PERP").removesuffix(quote),
        "quote_asset": quote,
        "contract_type": "" if market == TradeType.SPOT else "PERPETUAL",
        "price": 100,
        "price_decimals": 2,
        "tick": "0.01",
        "quantity_decimals": 0 if is_cm else 3,
        "quantity_per_trade": 2,
        "trades_per_minute": 20,
        "contract_size": 10 if is_cm else 0,
    } | given


Actions = tuple[dict[str, dict[str, Any]], ...]
"""Actions of `admin` with their fields, one entry per action."""


class Scenario(BaseModel):
    """One defect of the catalogue."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str
    what: str
    """What the exchange does, and to which symbol."""
    symbols: tuple[Annotated[Symbol, BeforeValidator(_with_defaults)], ...]
    """The symbols that show it, listed with the scenario; defaults as above."""
    outages: dict[TradeType, tuple[Halt, ...]] = {}
    """When whole markets stand still."""
    setup: Actions = ()
    """The actions that make the defect appear."""
    later: Actions = ()
    """The actions of what happens later, such as the replacement of a file."""
    since: Moment = PRESENT
    """The earliest time that the exchange's clock may show."""


@cache
def load_scenarios() -> dict[str, Scenario]:
    """Return all scenarios by number, `D01` to `D32`, in order."""
    shipped = resources.files("bhds.sandbox").joinpath("scenarios.yaml")
    read = yaml.safe_load(shipped.read_text(encoding="utf-8"))
    return TypeAdapter(dict[str, Scenario]).validate_python(read)


def available_at(now: dt.datetime) -> list[str]:
    """Return the numbers of the scenarios that a clock which shows `now` allows."""
    return [number for number, each in load_scenarios().items() if each.since <= now]
