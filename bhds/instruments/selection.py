"""Select symbols by a filter, or by their names."""

import difflib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase

from bhds.core.errors import SelectionError
from bhds.core.markets import TradeType
from bhds.instruments.classes import ContractType, SymbolClass, classify
from bhds.instruments.exchange_info import Known

SETTLED = "SETTLED"
"""What a filter calls settled contracts, whatever they were before."""

_SELECTABLE = (
    ContractType.PERPETUAL,
    ContractType.TRADIFI_PERPETUAL,
    ContractType.DELIVERY,
)
"""The types that a filter may name; those of other types pass every filter of types."""


class ExclusionReason(StrEnum):
    """Why a symbol was not selected."""

    EXCLUDED = "excluded by name"
    UNMATCHED = "no known quote asset"
    QUOTE = "other quote asset"
    CONTRACT_TYPE = "other contract type"
    STABLE_PAIR = "stable pair"
    LEVERAGED = "leveraged token"


@dataclass(frozen=True)
class Selection:
    """The outcome of a filter: every symbol is in one of the two, both sorted."""

    selected: list[str]
    excluded: dict[str, ExclusionReason]


def select(
    symbols: Iterable[str],
    *,
    trade_type: TradeType,
    quote: Sequence[str] | None,
    contract_type: Sequence[str] | None,
    stable_pairs: bool,
    leveraged: bool,
    include: Sequence[str],
    exclude: Sequence[str],
    known: Known | None = None,
) -> Selection:
    """Divide a market's symbols into those that a filter selects and the rest.

    Parameters
    ----------
    symbols
        The names that exist, in any order.
    trade_type
        The market that the symbols belong to.
    quote
        Quote assets to keep; None keeps all.
    contract_type
        `PERPETUAL`, `TRADIFI_PERPETUAL`, `DELIVERY` and `SETTLED`, those to keep;
        None keeps all. `SETTLED` keeps settled contracts of every type; a settled
        perpetual is also kept by `PERPETUAL`. Has no effect on spot and options, nor
        on the index pairs of cm, which belong to every contract.
    stable_pairs
        Whether to keep pairs of money against money, such as `USDCUSDT`.
    leveraged
        Whether to keep leveraged tokens.
    include
        Names or globs (`1000*`) to select whatever the filters say.
    exclude
        Names or globs to leave out whatever else says; what none of `symbols` fits
        is ignored, so that one list can serve several markets.
    known
        See `classify`.

    Returns
    -------
    Selection
        Each of `symbols` once. The same for any order of them.

    Raises
    ------
    SelectionError
        If an item of `include` fits no symbol, or a contract type does not exist.

    Notes
    -----
    A settled perpetual is the past of a perpetual, and gone from the exchange's own
    list: to drop it unasked would be the survivorship bias that flatters every
    backtest. `exclude: ["*SETTLED"]` drops it.
    """
    names = set(symbols)
    _check_contract_types(contract_type)
    included = _matching(include, names, where=trade_type)
    selected, excluded = [], {}
    for name in sorted(names):
        reason: ExclusionReason | None
        if any(fnmatchcase(name, pattern) for pattern in exclude):
            reason = ExclusionReason.EXCLUDED
        elif name in included:
            reason = None
        else:
            reason = _reason_against(
                classify(name, trade_type=trade_type, known=known),
                quote=quote,
                contract_type=contract_type,
                stable_pairs=stable_pairs,
                leveraged=leveraged,
            )
        if reason is None:
            selected.append(name)
        else:
            excluded[name] = reason
    return Selection(selected, excluded)


def _reason_against(
    symbol: SymbolClass,
    *,
    quote: Sequence[str] | None,
    contract_type: Sequence[str] | None,
    stable_pairs: bool,
    leveraged: bool,
) -> ExclusionReason | None:
    """Return the first filter that a symbol fails, None if it passes them all."""
    is_of_type = _is_of_type(symbol, contract_type)
    if symbol.contract_type is ContractType.UNCLASSIFIED:
        return None if quote is None and is_of_type else ExclusionReason.UNMATCHED
    if quote is not None and symbol.quote not in quote:
        return ExclusionReason.QUOTE
    if not is_of_type:
        return ExclusionReason.CONTRACT_TYPE
    if symbol.stable_pair and not stable_pairs:
        return ExclusionReason.STABLE_PAIR
    if symbol.leveraged and not leveraged:
        return ExclusionReason.LEVERAGED
    return None


def _is_of_type(symbol: SymbolClass, wanted: Sequence[str] | None) -> bool:
    if wanted is None or (symbol.settled and SETTLED in wanted):
        return True
    if symbol.contract_type in {*_SELECTABLE, ContractType.UNCLASSIFIED}:
        return symbol.contract_type in wanted
    return True


def _check_contract_types(contract_type: Sequence[str] | None) -> None:
    known = (*_SELECTABLE, SETTLED)
    for name in contract_type or ():
        if name not in known:
            msg = f"contract type {name!r}: expected one of {', '.join(known)}"
            raise SelectionError(msg)


def select_named(
    names: Sequence[str], symbols: Iterable[str], *, where: str
) -> list[str]:
    """Return the named symbols, sorted and each once, if all of them exist.

    Parameters
    ----------
    names
        Exact names.
    symbols
        The names that exist.
    where
        What was searched, for the message: `um_futures klines`.

    Raises
    ------
    SelectionError
        If a name is not among `symbols`; the message names the nearest that is.
    """
    existing = set(symbols)
    unknown = [name for name in names if name not in existing]
    if unknown:
        msg = "; ".join(
            _unknown_symbol(name, existing, where=where) for name in unknown
        )
        raise SelectionError(msg)
    return sorted(set(names))


def _matching(
    patterns: Sequence[str], names: Collection[str], *, where: str
) -> set[str]:
    """Return the names that the patterns fit; every pattern must fit one."""
    exact = [pattern for pattern in patterns if not set(pattern) & set("*?[")]
    matching = set(select_named(exact, names, where=where))
    for pattern in set(patterns) - set(exact):
        found = {name for name in names if fnmatchcase(name, pattern)}
        if not found:
            msg = (
                f"symbol pattern {pattern!r} fits none of the {len(names)} symbols in "
                f"{where}; expected a glob such as '1000*'; correct or remove it"
            )
            raise SelectionError(msg)
        matching |= found
    return matching


def _unknown_symbol(name: str, existing: Collection[str], *, where: str) -> str:
    # Most names share their quote asset: less likeness than this is just that.
    near = difflib.get_close_matches(name.upper(), sorted(existing), n=1, cutoff=0.75)
    advice = f"did you mean {near[0]!r}?" if near else "no symbol has a similar name"
    return f"symbol {name!r} is not in {where}; {advice}"
