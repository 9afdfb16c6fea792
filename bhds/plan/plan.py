"""The plan: which symbols, partitions and files, and what must be fetched.

Made once, in the process that reads the Snakefile; rules then ask it for names. All
paths are relative to the data directory.
"""

import datetime as dt
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import product
from typing import Any, TypeAlias

import polars as pl

from bhds import instruments, layout
from bhds.bars.vwap import contract_size
from bhds.config import Dataset
from bhds.core.errors import ConfigError, SelectionError
from bhds.core.markets import ARCHIVE_INTERVALS, TradeType
from bhds.core.unlisted import Unlisted
from bhds.plan.backfills import Backfill
from bhds.plan.batches import Batch, batches
from bhds.plan.dataset import Partition, PlannedDataset, directories
from bhds.plan.files import DUE, as_on_disk
from bhds.plan.series import ResampleGroup, Series, needs_phase
from bhds.plan.targets import NamedFiles
from bhds.schemas.datatypes import FUNDING

_GroupKey: TypeAlias = tuple[TradeType, str, tuple[str, ...], bool]
_NOTHING_NAMED = NamedFiles()


class Plan:
    """Names of everything that the settings and the targets request.

    Parameters
    ----------
    configured
        The datasets of the settings.
    implied
        Datasets that single file targets stand for. They add to what can be made,
        but not to what `results_all` and its like request.
    listings
        Paths of the listings that the plan was made from.
    requested_at
        By the path of a backfill that was refused an answer before: what makes it
        differ from the one that was.
    known
        What the exchange itself says of the symbols of a market, where it was recorded.
    named
        What the targets name.
    lists_files
        Whether files on disk have rules, too: Snakemake lists and deletes what a rule
        has made.
    offline
        Whether nothing can be downloaded: files on disk are used as they are.

    Raises
    ------
    ConfigError
        If two configured datasets select the same symbol of the same series, or
        would write the same resampled file.
    """

    def __init__(
        self,
        configured: Sequence[PlannedDataset],
        *,
        implied: Sequence[PlannedDataset] = (),
        listings: Sequence[str] = (),
        requested_at: Mapping[str, str] | None = None,
        known: Mapping[TradeType, instruments.Known] | None = None,
        named: NamedFiles = _NOTHING_NAMED,
        lists_files: bool = False,
        offline: bool = False,
    ) -> None:
        self.datasets = tuple(configured)
        self.listings = list(listings)
        self.requested_at = dict(requested_at or {})
        self.known = dict(known or {})
        self.implied = tuple(implied)
        self._named = named
        self._lists_files = lists_files
        self._offline = offline
        self._owners: dict[Series, PlannedDataset] = {}
        for planned in configured:
            for series in _series(planned):
                self._own(series, planned)
        for planned in implied:
            for series in _series(planned):
                self._owners.setdefault(series, planned)
        self._check_resampled()

    def _own(self, series: Series, planned: PlannedDataset) -> None:
        if series in self._owners:
            msg = (
                f"datasets: {series} is selected by two datasets; exclude it from one "
                "of them, so that its settings are certain"
            )
            raise ConfigError(msg)
        self._owners[series] = planned

    def _check_resampled(self) -> None:
        twice = [path for path, n in Counter(self.resampled).items() if n > 1]
        if twice:
            msg = (
                f"datasets: {twice[0]} would be made from two base intervals; take the "
                "resample rule out of one of the datasets"
            )
            raise ConfigError(msg)

    @cached_property
    def batches(self) -> list[Batch]:
        """The download jobs of everything that is missing or was replaced.

        Each file is in one batch. What targets name comes first, in batches of its own,
        and zips that they name have one even if they are on disk. Zips that may be
        discarded are in none unless named: parse jobs fetch what they need.
        """
        found: list[Batch] = []
        seen = pl.DataFrame(schema={"key": pl.String})
        for planned in (*self.implied, *self.datasets):
            files = self._files(planned).join(seen, on="key", how="anti")
            zips, *others = self._named.apart(files, planned.dataset)
            found += batches(zips, with_present=True)
            if planned.dataset.discards:
                others = []
            for each in others:
                found += batches(each, with_present=self._lists_files)
            seen = pl.concat([seen, planned.files.select("key")])
        return found

    @cached_property
    def raw(self) -> list[str]:
        """Every zip and CHECKSUM that is kept."""
        return [
            path
            for planned in self.datasets
            if not planned.dataset.discards
            for path in self._files(planned)["path"]
        ]

    def _files(self, planned: PlannedDataset) -> pl.DataFrame:
        return as_on_disk(planned.files) if self._offline else planned.files

    def is_in_archive(self, path: str) -> bool:
        """Check whether a zip or CHECKSUM is one of the files that can be fetched."""
        planned = (*self.implied, *self.datasets)
        return any((each.files["path"] == path).any() for each in planned)

    @cached_property
    def parsed(self) -> list[str]:
        """Every partition and its sources."""
        return [path for planned in self.datasets for path in _partition_files(planned)]

    @cached_property
    def api(self) -> list[str]:
        """Every backfill and its sources, and what shows the phase of 3d bars."""
        backfills = [
            path for planned in self.datasets for path in _backfill_files(planned)
        ]
        phases = {
            path
            for group in self.resample_groups
            if group.has_phase
            for series in self.wanted_results
            if series[::3] == (group.trade_type, group.interval)
            and re.fullmatch(group.symbol_pattern, series.symbol)
            for path in self.phase_of(group, series.symbol)
            if path == self.phase_path(group.trade_type, series.symbol)
        }
        return backfills + sorted(phases)

    @cached_property
    def selected(self) -> frozenset[str]:
        """The partitions, backfills and sources that the settings or targets select."""
        planned = (*self.datasets, *self.implied)
        files = (_partition_files(p) + _backfill_files(p) for p in planned)
        return frozenset(self.api).union(*files)

    @property
    def outdated_partitions(self) -> Iterator[str]:
        """Yield the partitions of zips that are to be fetched."""
        for planned in (*self.datasets, *self.implied):
            if planned.dataset.entry.table is None:
                continue
            to_fetch = self._files(planned).filter(pl.col("state").is_in(DUE))
            dataset = planned.dataset
            for symbol, name in to_fetch.select("symbol", "partition").unique().rows():
                series = Series(
                    dataset.trade_type, dataset.data_type, symbol, dataset.interval
                )
                yield layout.table(series.folder, name)

    @cached_property
    def without_results(self) -> list[str]:
        """Where it ends for data types that do not become results.

        These are partitions, backfills and their sources, or zips and CHECKSUMs of what
        is only downloaded.
        """
        paths: list[str] = []
        for planned in self.datasets:
            if planned.dataset.entry.table is None:
                paths.extend(self._files(planned)["path"])
            elif not planned.dataset.has_results:
                paths += _partition_files(planned)
                paths += _backfill_files(planned)
        return paths

    @property
    def wanted_results(self) -> Iterator[Series]:
        """Yield the series of configured datasets that become results."""
        return (series for series, _ in self._wanted())

    @cached_property
    def verifications(self) -> list[str]:
        """The tables of what is found on disk, one for each listing."""
        return sorted(
            {
                directory.verification_path
                for planned in self.datasets
                for directory in directories(planned.dataset)
            }
        )

    @cached_property
    def funding(self) -> list[str]:
        """The funding of every symbol that has any, or may have."""
        return [
            series.funding_path
            for planned in self.datasets
            if planned.dataset.data_type == FUNDING
            for series in _series(planned)
            if series.symbol in planned.symbols_with_any
        ]

    @cached_property
    def results(self) -> list[str]:
        """Every result and the gaps found in it."""
        return [
            path for s, _ in self._wanted() for path in (s.result_path, s.gaps_path)
        ]

    @cached_property
    def resampled(self) -> list[str]:
        """Every resampled file."""
        return [
            layout.resampled(s.trade_type, rule, s.symbol)
            for s, planned in self._wanted()
            for rule in planned.dataset.rule_names
        ]

    @cached_property
    def resample_groups(self) -> list[ResampleGroup]:
        """The rules of each dataset, and for which symbols they make which files.

        No file belongs to two groups. No two groups have the same name, and each has
        the same one in processes whose plan has fewer symbols.
        """
        planned = [p for p in self.datasets if p.dataset.rule_names]
        shared = Counter(
            (p.dataset.trade_type, rule)
            for p in planned
            for rule in p.dataset.rule_names
        )
        patterns: dict[_GroupKey, str] = {}
        for p in planned:
            for key in _group_keys(p):
                market, _, rules, _ = key
                alone = all(shared[market, rule] == 1 for rule in rules)
                pattern = "[^/]+" if alone else _any_of(p.symbols)
                _widen(patterns, key, pattern)
        for p in self.implied:
            for key, symbol in product(_implied_keys(p), p.symbols):
                market, _, (rule,), _ = key
                groups = [ResampleGroup(*of, each) for of, each in patterns.items()]
                if not any(group.makes(market, rule, symbol) for group in groups):
                    _widen(patterns, key, _any_of([symbol]))
        numbers = self._numbers_of_groups()
        return [
            ResampleGroup(*key, pattern, numbers[key])
            for key, pattern in patterns.items()
        ]

    def _numbers_of_groups(self) -> dict[_GroupKey, int]:
        """Return the number of each possible group, from 1 by market and interval."""
        keys = [key for p in self.datasets for key in _group_keys(p)]
        keys += [key for p in self.implied for key in _implied_keys(p)]
        numbers: dict[_GroupKey, int] = {}
        counts: Counter[tuple[TradeType, str]] = Counter()
        for key in keys:
            if key not in numbers:
                counts[key[:2]] += 1
                numbers[key] = counts[key[:2]]
        return numbers

    def base_interval(self, trade_type: str, rule: str, symbol: str) -> str:
        """Return the interval of the results that a resampled file is made from.

        Raises
        ------
        SelectionError
            If nothing makes such a file.
        """
        for group in self.resample_groups:
            if group.makes(trade_type, rule, symbol):
                return group.interval
        msg = f"{trade_type}: no dataset resamples by {rule!r}; add it to `resample`"
        raise SelectionError(msg)

    def phase_of(self, group: ResampleGroup, symbol: str) -> list[str]:
        """Return the file that shows on which days the 3d bars of a symbol open.

        That is the result of its published 3d bars if these are configured, else the
        answer of the API for one bar if it may be queried, else none.
        """
        if (group.trade_type, symbol) in self._with_3d_bars:
            return [layout.result(group.trade_type, "3d", symbol)]
        series = Series(group.trade_type, "klines", symbol, group.interval)
        return (
            [self.phase_path(group.trade_type, symbol)]
            if self._backfill(series)
            else []
        )

    @staticmethod
    def phase_path(trade_type: str, symbol: str) -> str:
        """Return where the answer of the API for one 3d bar of a symbol goes."""
        return layout.phase(trade_type, symbol)

    def phase_first_day(self, trade_type: str, symbol: str) -> dt.date:
        """Return the first UTC day of which klines of a symbol come from the API.

        Raises
        ------
        SelectionError
            If none come from the API.
        """
        days = [
            backfill.first_day
            for interval in ARCHIVE_INTERVALS
            if (series := Series(TradeType(trade_type), "klines", symbol, interval))
            in self._owners
            if (backfill := self._backfill(series)) is not None
        ]
        if not days:
            msg = (
                f"{trade_type} {symbol}: its klines are not requested from the API; "
                "see `api.enabled`"
            )
            raise SelectionError(msg)
        return min(days)

    @cached_property
    def _with_3d_bars(self) -> frozenset[tuple[str, str]]:
        """The symbols, by market, whose published 3d bars are configured."""
        return frozenset(
            (series.trade_type, series.symbol)
            for series in self.wanted_results
            if series.interval == "3d"
        )

    def backfill(self, series: Series) -> Backfill:
        """Return the backfill of a series.

        Raises
        ------
        SelectionError
            If there is nothing to request from the API in the time wanted, or it may
            not be queried.
        """
        found = self._backfill(series)
        if found is None:
            msg = f"{series}: nothing is requested from the API; see `api.enabled`"
            raise SelectionError(msg)
        return found

    def _backfill(self, series: Series) -> Backfill | None:
        return self._owner(series).backfills.get(series.symbol)

    def archived_tables(self, series: Series) -> list[str]:
        """Return the partitions of a series, in time order; there may be none.

        Raises
        ------
        SelectionError
            If neither the settings nor the targets name it.
        """
        names = self._owner(series).partitions.get(series.symbol, ())
        return [layout.table(series.folder, name) for name in names]

    def sources_of_result(self, series: Series) -> list[str]:
        """Return the partitions, and the backfill, that a result is made from.

        The partitions are in time order.

        Raises
        ------
        SelectionError
            If there are none.
        """
        found = self.archived_tables(series)
        if self._backfill(series):
            found.append(layout.backfill(*series))
        if not found:
            raise SelectionError(_absent(series))
        return found

    def last_day(self, series: Series) -> dt.date:
        """Return the last UTC day that the result of a series may hold.

        Raises
        ------
        SelectionError
            If it has neither partitions nor backfills.
        """
        partitions = self._owner(series).partitions.get(series.symbol, {})
        days = [partition.last_day for partition in partitions.values()]
        if backfill := self._backfill(series):
            days.append(backfill.last_day)
        if not days:
            raise SelectionError(_absent(series))
        return max(days)

    def end(self, series: Series) -> dt.date:
        """Return the last UTC day wanted of a series.

        Raises
        ------
        SelectionError
            If neither the settings nor the targets name it.
        """
        return self._owner(series).last_day

    def funding_of(self, series: Series) -> list[str]:
        """Return the path of the funding that a result takes in; none if it does not.

        Raises
        ------
        SelectionError
            If neither the settings nor the targets name the series.
        """
        events = Series(series.trade_type, FUNDING, series.symbol, None)
        owner = self._owners.get(events)
        if not self.dataset(series).results.funding or owner is None:
            return []
        return [events.funding_path] if events.symbol in owner.symbols_with_any else []

    def funding_sources(self, series: Series) -> list[str]:
        """Return the partitions and backfills of the funding that a result takes in.

        In time order; none if it takes in none. Not `funding_of`, which ends with the
        contract: that is known by its results.

        Raises
        ------
        SelectionError
            As `funding_of`.
        """
        if not self.funding_of(series):
            return []
        return self.sources_of_result(
            Series(series.trade_type, FUNDING, series.symbol, None)
        )

    def end_of_funding(self, series: Series) -> list[str]:
        """Return the path of the gaps of a contract's result, which say if it ended.

        Of several results that of the shortest bars; none if there is no result.
        """
        return self._ends.get((series.trade_type, series.symbol), [])

    @cached_property
    def _ends(self) -> dict[tuple[str, str], list[str]]:
        """The gaps of the result of the shortest bars, by market and symbol."""
        found: dict[tuple[str, str], list[str]] = {}
        with_results = [
            planned
            for planned in (*self.datasets, *self.implied)
            if planned.dataset.has_results
        ]
        with_results.sort(key=lambda each: _length(each.dataset.base_interval))
        for planned in with_results:
            for series in _series(planned):
                if series.symbol in planned.symbols_with_any:
                    key = (series.trade_type, series.symbol)
                    found.setdefault(key, [series.gaps_path])
        return found

    def split_rule(self, series: Series) -> dict[str, Any]:
        """Return when a gap splits a series: the fields of `config.SplitRule`.

        Contracts on shares and commodities rest at week-ends, which is no halt.

        Raises
        ------
        SelectionError
            If neither the settings nor the targets name the series.
        """
        contract_type = self._class_of(series)
        is_tradifi = contract_type is instruments.ContractType.TRADIFI_PERPETUAL
        return self.dataset(series).results.split.rule_for(is_tradifi=is_tradifi)

    def has_ended(self, series: Series) -> bool:
        """Return whether it is known that the symbol of a series has ended.

        Raises
        ------
        SelectionError
            If neither the settings nor the targets name the series.
        """
        return series.symbol in self._owner(series).ended

    def is_trading(self, series: Series) -> bool:
        """Return whether the exchange says that the symbol of a series is traded.

        Raises
        ------
        SelectionError
            If neither the settings nor the targets name the series.
        """
        return series.symbol in self._owner(series).trading

    def unlisted(self, series: Series) -> Unlisted:
        """Return when the symbol of a series is known not to have been listed.

        Raises
        ------
        SelectionError
            If neither the settings nor the targets name the series.
        """
        return self._owner(series).unlisted.get(series.symbol, ())

    def contract_usd(self, trade_type: str, symbol: str) -> float | None:
        """Return what one contract of a COIN-M future is worth; None of other markets.

        As the exchange says, where it was recorded, else `bars.vwap.contract_size`.
        """
        if trade_type != TradeType.CM_FUTURES:
            return None
        entry = self.known.get(TradeType.CM_FUTURES, {}).get(symbol, {})
        return float(entry.get("contractSize") or contract_size(symbol))

    def _class_of(self, series: Series) -> instruments.ContractType:
        market = TradeType(series.trade_type)
        known = self.known.get(market)
        found = instruments.classify(series.symbol, trade_type=market, known=known)
        return found.contract_type

    def is_archived(self, series: Series) -> bool:
        """Return whether the archive has files of a series in the time wanted."""
        return series.symbol in self._owner(series).partitions

    def partitions(self, series: Series) -> dict[str, Partition]:
        """Return the partitions of a series by name, in time order.

        Raises
        ------
        SelectionError
            If the archive has no file of the series in the time wanted.
        """
        found = self._owner(series).partitions.get(series.symbol)
        if not found:
            raise SelectionError(_absent(series))
        return found

    def partition(self, series: Series, name: str) -> Partition:
        """Return one partition of a series.

        Raises
        ------
        SelectionError
            If the archive has no file of it in the time wanted.
        """
        found = self.partitions(series)
        if name not in found:
            raise SelectionError(_absent(series) + f"; partitions: {', '.join(found)}")
        return found[name]

    def dataset(self, series: Series) -> Dataset:
        """Return the settings that apply to a series.

        Raises
        ------
        SelectionError
            If neither the settings nor the targets name it.
        """
        return self._owner(series).dataset

    def _owner(self, series: Series) -> PlannedDataset:
        if series not in self._owners:
            raise SelectionError(_absent(series))
        return self._owners[series]

    def _wanted(self) -> Iterator[tuple[Series, PlannedDataset]]:
        """Yield the configured series that become results."""
        for planned in self.datasets:
            if planned.dataset.has_results:
                for series in _series(planned):
                    if series.symbol in planned.symbols_with_any:
                        yield series, planned


def _series(planned: PlannedDataset) -> Iterator[Series]:
    dataset = planned.dataset
    for symbol in planned.symbols:
        yield Series(dataset.trade_type, dataset.data_type, symbol, dataset.interval)


def _partition_files(planned: PlannedDataset) -> list[str]:
    """Return every partition of a dataset and its sources; none if not parsed."""
    if planned.dataset.entry.table is None:
        return []
    return [
        path
        for series in _series(planned)
        for name in planned.partitions.get(series.symbol, ())
        for path in _with_sources(layout.table(series.folder, name))
    ]


def _backfill_files(planned: PlannedDataset) -> list[str]:
    """Return every backfill of a dataset and its sources."""
    return [
        path
        for series in _series(planned)
        if series.symbol in planned.backfills
        for path in _with_sources(layout.backfill(*series))
    ]


def _with_sources(table: str) -> tuple[str, str]:
    return table, layout.sources_of(table)


def _length(interval: str) -> int:
    """Return the place of an interval among those of the archive, by length."""
    return ARCHIVE_INTERVALS.index(interval)


def _group_keys(planned: PlannedDataset) -> Iterator[_GroupKey]:
    """Yield the groups of a configured dataset's resample rules."""
    names = planned.dataset.rule_names
    market, interval = planned.dataset.trade_type, planned.dataset.base_interval
    for rules in planned.resample_parts or ((names,) if names else ()):
        yield market, interval, rules, needs_phase(interval, names)


def _implied_keys(planned: PlannedDataset) -> Iterator[_GroupKey]:
    """Yield a group for each resample rule of an implied dataset."""
    market, interval = planned.dataset.trade_type, planned.dataset.base_interval
    for rule in planned.dataset.rule_names:
        yield market, interval, (rule,), needs_phase(interval, [rule])


def _widen(patterns: dict[_GroupKey, str], key: _GroupKey, pattern: str) -> None:
    """Make a group match what another pattern matches as well."""
    patterns[key] = f"{patterns[key]}|{pattern}" if key in patterns else pattern


def _any_of(symbols: Iterable[str]) -> str:
    return "|".join(map(re.escape, symbols))


def _absent(series: Series) -> str:
    return (
        f"{series}: the archive lists no file of it in the time wanted; check the "
        "name, and the settings `start`, `end` and `as_of`"
    )
