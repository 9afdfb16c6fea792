"""Read from a symbol's name, and the tables in `bhds/data`, what is traded under it."""

import csv
import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib import resources
from typing import Any

from bhds.core.markets import TradeType
from bhds.instruments.exchange_info import Known


class ContractType(StrEnum):
    """What is traded under a symbol."""

    SPOT = "SPOT"
    PERPETUAL = "PERPETUAL"
    TRADIFI_PERPETUAL = "TRADIFI_PERPETUAL"
    """A perpetual on a share, an index fund or a commodity: quiet at week-ends."""
    DELIVERY = "DELIVERY"
    PAIR = "PAIR"
    """No contract but the index that all contracts of a cm pair share (`BTCUSD`)."""
    OPTION = "OPTION"
    """All options on a pair (`BTCUSDT`), or the index of their volatility
    (`BTCBVOLUSDT`)."""
    UNCLASSIFIED = "UNCLASSIFIED"
    """The name does not follow the market's grammar, or ends in no known quote."""


@dataclass(frozen=True)
class SymbolClass:
    """What a symbol's name says.

    `base` and `quote` are None together, and the contract type is then
    `UNCLASSIFIED`. A base keeps its multiplier, as in exchangeInfo: `1000SHIB`.
    """

    symbol: str
    base: str | None
    quote: str | None
    contract_type: ContractType
    settled: bool
    """The exchange renamed the symbol when it settled it: a closed past."""
    delivery_date: dt.date | None
    """The UTC day on which a delivery contract expires (at 08:00 UTC)."""
    leveraged: bool
    """A token with built-in leverage, such as `BTCUP` or `ETHBEAR`; spot only."""
    stable_pair: bool
    """Base and quote are both money: fiat, or a token pegged to it."""


_SETTLED = "(?P<settled>(?:_?SETTLED[0-9]*)*)"
_GRAMMAR = {
    TradeType.SPOT: re.compile(f"(?P<pair>[^_]+?){_SETTLED}"),
    TradeType.UM_FUTURES: re.compile(
        f"(?P<pair>[^_]+?)(?:_(?P<date>[0-9]{{6}}))?{_SETTLED}"
    ),
    TradeType.CM_FUTURES: re.compile(
        f"(?P<pair>[^_]+?)(?:_(?:(?P<date>[0-9]{{6}})|(?P<perpetual>PERP)))?{_SETTLED}"
    ),
    TradeType.OPTION: re.compile(f"(?P<pair>[^_]+?){_SETTLED}"),
}
_DAY = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}")
_ONLY_TYPE = {
    TradeType.SPOT: ContractType.SPOT,
    TradeType.OPTION: ContractType.OPTION,
}
"""The markets where all symbols are of one type."""

_LISTED_CONTRACTS = {
    "PERPETUAL": ContractType.PERPETUAL,
    "PERPETUAL_DELIVERING": ContractType.PERPETUAL,
    "TRADIFI_PERPETUAL": ContractType.TRADIFI_PERPETUAL,
    "CURRENT_MONTH": ContractType.DELIVERY,
    "NEXT_MONTH": ContractType.DELIVERY,
    "CURRENT_QUARTER": ContractType.DELIVERY,
    "CURRENT_QUARTER DELIVERING": ContractType.DELIVERY,
    "NEXT_QUARTER": ContractType.DELIVERY,
    "NEXT_QUARTER DELIVERING": ContractType.DELIVERY,
}
"""`contractType` of exchangeInfo; it may also be empty, then the name decides."""


def classify(
    symbol: str, *, trade_type: TradeType, known: Known | None = None
) -> SymbolClass:
    """Read what is traded under a symbol.

    Parameters
    ----------
    symbol
        A name as in the bucket: `BTCUSDT`, `BTCUSDT_260925`, `CVCUSDTSETTLED`.
    trade_type
        The market that the symbol belongs to.
    known
        Entries of a recorded exchangeInfo of that market by symbol. Of an entry,
        `baseAsset`, `quoteAsset`, `contractType`, `permissions` and
        `permissionSets` are used, each before what the name says.

    Returns
    -------
    SymbolClass
        Always: a name that cannot be read is `UNCLASSIFIED`.

    Notes
    -----
    Grammar of names: recorded listings up to 2026-10-05. A contract settled on a
    change of ticker is renamed `ICPUSDT_SETTLED`, `CVCUSDTSETTLED` or, the second
    time, `AERGOUSDTSETTLEDSETTLED`, and stays what it was. Options: the files of
    BVOLIndex themselves name `BTCBVOL` as the base asset of `BTCBVOLUSDT`.
    """
    entry = {} if known is None else known.get(symbol, {})
    name = _read_name(symbol, trade_type=trade_type)
    base, quote = _assets(name, trade_type=trade_type, entry=entry)
    contract_type = ContractType.UNCLASSIFIED
    if base is not None:
        contract_type = _LISTED_CONTRACTS.get(
            entry.get("contractType", "")
        ) or _contract_type(name, trade_type=trade_type, base=base)
    return SymbolClass(
        symbol=symbol,
        base=base,
        quote=quote,
        contract_type=contract_type,
        settled=name is not None and name.settled,
        delivery_date=name.delivery_date if name else None,
        leveraged=trade_type == TradeType.SPOT and _is_leveraged(base, entry=entry),
        stable_pair={base, quote} <= _stable_assets(),
    )


@dataclass(frozen=True)
class _Name:
    """The parts of a symbol that follows its market's grammar."""

    pair: str
    delivery_date: dt.date | None
    marked_perpetual: bool
    settled: bool


def _read_name(symbol: str, *, trade_type: TradeType) -> _Name | None:
    match = _GRAMMAR[trade_type].fullmatch(symbol)
    if match is None:
        return None
    parts = match.groupdict()
    delivery_date = None
    if parts.get("date"):
        try:
            delivery_date = dt.date.fromisoformat(f"20{parts['date']}")
        except ValueError:  # six digits that are not a day
            return None
    return _Name(
        pair=parts["pair"],
        delivery_date=delivery_date,
        marked_perpetual=bool(parts.get("perpetual")),
        settled=bool(parts["settled"]),
    )


def _assets(
    name: _Name | None, *, trade_type: TradeType, entry: Mapping[str, Any]
) -> tuple[str, str] | tuple[None, None]:
    """Return base and quote: as listed, else as the name says, else None twice."""
    if "baseAsset" in entry and "quoteAsset" in entry:
        return entry["baseAsset"], entry["quoteAsset"]
    if name is None:
        return None, None
    if trade_type == TradeType.CM_FUTURES:
        base = name.pair.removesuffix("USD")  # the only quote of these contracts
        return (base, "USD") if base not in {"", name.pair} else (None, None)
    return _split_pair(name.pair)


def _split_pair(pair: str) -> tuple[str, str] | tuple[None, None]:
    """Split `BASEQUOTE` at the longest quote asset that may follow the base.

    The longest, because one quote asset may end in another: AEUR in EUR. AEUR is in
    turn bound to the bases it was traded with, which leaves `ADAEUR` to EUR; and
    BUSD follows any base but BN, which leaves `BNBUSD` to USD.
    """
    quotes = _quote_assets()
    for length in _quote_lengths():
        base, quote = pair[:-length], quotes.get(pair[-length:])
        if base and quote is not None and quote.may_follow(base):
            return base, quote.asset
    return None, None


def _contract_type(
    name: _Name | None, *, trade_type: TradeType, base: str
) -> ContractType:
    """Return the type that a name of known assets says, or fails to say."""
    if trade_type in _ONLY_TYPE:
        return _ONLY_TYPE[trade_type]
    if name is None:
        return ContractType.UNCLASSIFIED
    if name.delivery_date is not None:
        return ContractType.DELIVERY
    if trade_type == TradeType.CM_FUTURES and not name.marked_perpetual:
        return ContractType.PAIR
    if base in _tradifi_underlyings():
        return ContractType.TRADIFI_PERPETUAL
    return ContractType.PERPETUAL


def _is_leveraged(base: str | None, *, entry: Mapping[str, Any]) -> bool:
    permissions = [*entry.get("permissions", ()), *entry.get("permissionSets", ())]
    return base in _leveraged_tokens() or any(
        "LEVERAGED" in ([listed] if isinstance(listed, str) else listed)
        for listed in permissions
    )


def _read_table(name: str) -> list[dict[str, str]]:
    text = resources.files("bhds").joinpath("data", name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


@dataclass(frozen=True)
class _Quote:
    """A quote asset, and what it may follow in a name."""

    asset: str
    bases: frozenset[str]
    """The only bases; empty: any."""
    not_bases: frozenset[str]
    """What would be a base by the letters alone, and is none."""

    def may_follow(self, base: str) -> bool:
        is_known = not self.bases or base in self.bases
        return is_known and base not in self.not_bases


@cache
def _quote_assets() -> dict[str, _Quote]:
    """Return the quote assets by name."""
    return {
        row["asset"]: _Quote(
            row["asset"],
            bases=frozenset(row["bases"].split()),
            not_bases=frozenset(row["not_bases"].split()),
        )
        for row in _read_table("quote_assets.csv")
    }


@cache
def _quote_lengths() -> list[int]:
    """Return the lengths of the quote assets, the longest first."""
    return sorted({len(asset) for asset in _quote_assets()}, reverse=True)


@cache
def _stable_assets() -> frozenset[str | None]:
    """Return fiat money and what is pegged to it.

    Gold tokens (PAXG, XAUT) are not among them, their price against any money moves
    as gold does; nor is USTC, under which name UST trades since it lost its peg, nor
    FRAX, at Binance the former FXS.
    """
    return frozenset(row["asset"] for row in _read_table("stable_assets.csv"))


@cache
def _leveraged_tokens() -> frozenset[str | None]:
    """Return the bases of leveraged tokens; a suffix would take in JUP and SYRUP."""
    return frozenset(row["asset"] for row in _read_table("leveraged_tokens.csv"))


@cache
def _tradifi_underlyings() -> frozenset[str]:
    """Return the bases of perpetuals on shares, funds and commodities.

    ASSUME: none is also a coin with a um perpetual. Those listed after the table was
    made (`tradifi_table_day`) count as ordinary perpetuals unless `known` has them.
    """
    return frozenset(row["asset"] for row in _read_table("tradifi_underlyings.csv"))


@cache
def tradifi_table_day() -> dt.date:
    """Return the UTC day until which the table of these contracts is complete."""
    table = _read_table("tradifi_underlyings.csv")
    days = (match[0] for row in table if (match := _DAY.search(row["source"])))
    return max(map(dt.date.fromisoformat, days))
