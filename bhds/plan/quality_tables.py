"""Which quality tables the plan requests, and what each is made from.

All paths are relative to the data directory.
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterator
from functools import cached_property

from bhds import layout
from bhds.config import Dataset
from bhds.core.errors import ConfigError, SelectionError
from bhds.core.markets import Interval, TradeType
from bhds.core.resample_rule import ResampleRule
from bhds.plan.plan import Plan
from bhds.plan.series import Series

_TRADES = ("trades", "aggTrades")
_DAY = dt.timedelta(days=1)


class QualityTables:
    """The tables of markets: gaps, conflicts, days, reconciliation, volumes."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan

    @cached_property
    def paths(self) -> list[str]:
        """Every table that the configured datasets request."""
        found = []
        for trade_type, interval in self._results:
            kinds = ["gaps", "conflicts"]
            if any(self._longer[series] for series in self._of(trade_type, interval)):
                kinds.append("reconciliation")
            found += [layout.quality_table(trade_type, k, interval) for k in kinds]
            found.append(_condition(trade_type, "klines", interval))
        for dataset in self._records:
            series = (dataset.data_type, dataset.interval)
            found.append(_condition(dataset.trade_type, *series))
        for trade_type in self._checked:
            found.append(layout.quality_table(trade_type, "volume_checks", None))
        return sorted(set(found))

    def of_symbols(self, what: str, trade_type: str, interval: str) -> list[str]:
        """Return the files of all symbols that a table of a market puts together.

        Parameters
        ----------
        what
            What is kept of each symbol beside its result: `gaps`, `days`, `conflicts`
            or `reconciliation`.
        trade_type, interval
            What the results are of.

        Raises
        ------
        SelectionError
            If no configured dataset has such results.
        """
        found = [
            series.table_path(what)
            for series in self._of(trade_type, interval)
            if what != "reconciliation" or self._longer[series]
        ]
        if not found:
            more = ", and one of longer ones" if what == "reconciliation" else ""
            msg = (
                f"{trade_type} {interval}: no dataset has {what} of it; configure one "
                f"of klines{more}"
            )
            raise SelectionError(msg)
        return found

    def not_reconciled(self, trade_type: str, interval: str) -> list[str]:
        """Return the lists of days that differ from published bars, of all symbols.

        There are none of symbols, nor of markets, without longer published bars.
        """
        return [
            series.table_path("not_reconciled")
            for series in self._of(trade_type, interval)
            if self._longer[series]
        ]

    def published(self, series: Series) -> dict[str, list[str]]:
        """Return the partitions of longer published bars of a symbol, by interval.

        Raises
        ------
        SelectionError
            If there are none.
        """
        found = {
            longer.interval or "": self._plan.archived_tables(longer)
            for longer in self._longer[series]
        }
        if not found:
            msg = (
                f"{series}: no bars of a longer interval are configured to compare "
                "with; add a dataset of klines of a longer interval"
            )
            raise SelectionError(msg)
        return found

    def record_partitions(self, trade_type: str, series: str) -> list[str]:
        """Return the partitions and backfills of data without results, by symbol.

        `series` is the data type and, of bars, the interval: `metrics`,
        `markPriceKlines-1m`.

        Raises
        ------
        SelectionError
            If no configured dataset has such.
        """
        found = [
            path
            for each in self._records_of(trade_type, series)
            for path in self._plan.sources_of_result(each)
        ]
        if not found:
            msg = f"{trade_type} {series}: no dataset of it is parsed; configure one"
            raise SelectionError(msg)
        return found

    def records_ended(self, trade_type: str, series: str) -> list[str]:
        """Return the symbols of `record_partitions` that are known to have ended."""
        return [
            each.symbol
            for each in self._records_of(trade_type, series)
            if self._plan.has_ended(each)
        ]

    def ends(
        self, trade_type: str, series: str, *, as_of: dt.date
    ) -> dict[str, dt.date]:
        """Return the last days wanted of symbols of which that is before `as_of`.

        `series` is as in `record_partitions`, of results too.
        """
        ends = {
            s.symbol: self._plan.end(s) for s in self._records_of(trade_type, series)
        }
        return {symbol: end for symbol, end in ends.items() if end < as_of}

    def _records_of(self, trade_type: str, series: str) -> list[Series]:
        data_type, _, interval = series.partition("-")
        wanted = (trade_type, data_type, interval or None)
        return [
            Series(planned.dataset.trade_type, data_type, symbol, interval or None)
            for planned in self._plan.datasets
            if (
                planned.dataset.trade_type,
                planned.dataset.data_type,
                planned.dataset.interval,
            )
            == wanted
            for symbol in planned.symbols
            if symbol in planned.symbols_with_any
        ]

    def conditions_of_trades(self, trade_type: str) -> list[str]:
        """Return the tables of the days of trades and of aggTrades of a market."""
        configured = {
            planned.dataset.data_type
            for planned in self._plan.datasets
            if planned.dataset.trade_type == trade_type and planned.symbols_with_any
        }
        return [
            _condition(trade_type, name, None) for name in _TRADES if name in configured
        ]

    def conditions_of_bars(self, trade_type: str) -> list[str]:
        """Return the tables of the days of bars that trades are compared with.

        Those of a day at most, the shortest first.

        Raises
        ------
        SelectionError
            If a market has not both trades and such bars.
        """
        market = TradeType(trade_type)
        if market not in self._checked:
            msg = (
                f"{trade_type}: no symbol has both {' or '.join(_TRADES)} and klines "
                "of a day at most; configure a dataset of either"
            )
            raise SelectionError(msg)
        return [
            _condition(trade_type, "klines", interval)
            for interval in self._bar_lengths(market)
        ]

    @cached_property
    def _checked(self) -> list[TradeType]:
        """The markets of which a symbol has both trades and bars of a day at most."""
        return [
            planned.dataset.trade_type
            for planned in self._plan.datasets
            if planned.dataset.data_type in _TRADES
            and any(
                series.symbol in planned.partitions
                for interval in self._bar_lengths(planned.dataset.trade_type)
                for series in self._of(planned.dataset.trade_type, interval)
            )
        ]

    def _bar_lengths(self, trade_type: TradeType) -> list[str]:
        """Return the intervals of results of a market, of a day at most, sorted."""
        lengths = {
            interval: duration
            for market, interval in self._results
            if market == trade_type
            and (duration := Interval.parse(interval).duration) is not None
            and duration <= _DAY
        }
        return sorted(lengths, key=lambda interval: lengths[interval])

    @cached_property
    def _results(self) -> dict[tuple[TradeType, str], list[Series]]:
        """The series that become results, by market and interval."""
        found: dict[tuple[TradeType, str], list[Series]] = defaultdict(list)
        for series in self._plan.wanted_results:
            found[series.trade_type, series.interval or ""].append(series)
        return dict(found)

    @property
    def _records(self) -> Iterator[Dataset]:
        for planned in self._plan.datasets:
            dataset = planned.dataset
            is_parsed = dataset.entry.table is not None and not dataset.has_results
            if is_parsed and planned.symbols_with_any:
                yield dataset

    @cached_property
    def _longer(self) -> dict[Series, list[Series]]:
        """The series of longer published bars of each series that becomes results."""
        intervals: dict[TradeType, dict[str, set[str]]] = defaultdict(dict)
        for (trade_type, interval), series in self._results.items():
            intervals[trade_type][interval] = {
                each.symbol for each in series if self._plan.is_archived(each)
            }
        return {
            series: [
                Series(trade_type, series.data_type, series.symbol, longer)
                for longer, symbols in intervals[trade_type].items()
                if series.symbol in symbols and _is_longer(longer, than=interval)
            ]
            for (trade_type, interval), found in self._results.items()
            for series in found
        }

    def _of(self, trade_type: str, interval: str) -> list[Series]:
        return self._results.get((TradeType(trade_type), interval), [])


def _is_longer(interval: str, *, than: str) -> bool:
    """Return whether bars of one interval can be built from those of another."""
    if interval == than:
        return False
    try:
        ResampleRule(Interval.parse(interval)).check_base(Interval.parse(than))
    except ConfigError:
        return False
    return True


def _condition(trade_type: str, data_type: str, interval: str | None) -> str:
    series = "-".join(filter(None, (data_type, interval)))
    return layout.quality_table(trade_type, "condition", series)
