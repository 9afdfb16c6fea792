"""What files of one symbol are of: a series, and the rules that resample it."""

import re
from collections.abc import Iterable
from typing import NamedTuple

from bhds import layout
from bhds.core.markets import TradeType
from bhds.core.resample_rule import ResampleRule


class Series(NamedTuple):
    """What one folder of parsed partitions holds."""

    trade_type: TradeType
    data_type: str
    symbol: str
    interval: str | None

    def __str__(self) -> str:
        return " ".join(filter(None, self))

    @property
    def folder(self) -> str:
        """The folder of its partitions."""
        return layout.parsed_folder(*self)

    @property
    def backfill_folder(self) -> str:
        """The folder of its backfills."""
        return layout.backfill_folder(*self)

    @property
    def funding_path(self) -> str:
        """Where the funding events of its symbol go."""
        return layout.funding(self.trade_type, self.symbol)

    @property
    def result_path(self) -> str:
        """Where the result of its bars goes."""
        return layout.result(self.trade_type, self.interval or "", self.symbol)

    @property
    def gaps_path(self) -> str:
        """Where the gaps found in its bars go."""
        return self.table_path("gaps")

    def table_path(self, kind: str) -> str:
        """Return where a table next to its result goes."""
        return layout.symbol_table(
            self.trade_type, self.interval or "", kind, self.symbol
        )


class ResampleGroup(NamedTuple):
    """Symbols whose results are resampled by the same rules, in one job a symbol."""

    trade_type: TradeType
    interval: str
    rules: tuple[str, ...]
    has_phase: bool
    """Whether its datasets make 3d bars of others, whose phase has to be known."""
    symbol_pattern: str
    """A regular expression that matches the symbols."""
    number: int = 1
    """From 1, among the groups of the market and the interval."""

    @property
    def name(self) -> str:
        """Return the market and the interval, and the number from 2 on."""
        more = f"_{self.number}" if self.number > 1 else ""
        return f"{self.trade_type}_{self.interval}{more}"

    def makes(self, trade_type: str, rule: str, symbol: str) -> bool:
        """Return whether the group makes a rule's file of a symbol."""
        return (
            self.trade_type == trade_type
            and rule in self.rules
            and re.fullmatch(self.symbol_pattern, symbol) is not None
        )


def needs_phase(interval: str, rules: Iterable[str]) -> bool:
    """Check whether resample rules make 3d bars of others."""
    parsed = map(ResampleRule.parse, rules)
    return interval != "3d" and any(rule.interval.has_phase for rule in parsed)
