"""Read what file targets are about: which series, and which files of the archive.

A single file can be requested by its path whether the settings select it or not: the
path says market, data type, symbol and interval.
"""

import posixpath
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from bhds import layout
from bhds.archive.keys import CHECKSUM_SUFFIX
from bhds.config import Dataset, validated
from bhds.core.errors import ConfigError
from bhds.core.markets import ARCHIVE_INTERVALS, Interval
from bhds.core.resample_rule import ResampleRule
from bhds.schemas.datatypes import BAR_TYPES, RECORD_TYPES

_INTERVAL = "|".join(ARCHIVE_INTERVALS)
_PATTERNS = [
    *(
        re.compile(layout.regex(folder, data_type="|".join(types), interval=of) + end)
        for folder, end in (
            (layout.archive_symbol_folder, r"/(?P<file>.+)"),
            (layout.parsed_folder, r"/(?P<partition>[^/.]+)\..+"),
            (layout.backfill_folder, r"/(?P<partition>[^/.]+)\..+"),
        )
        for types, of in ((BAR_TYPES, _INTERVAL), (RECORD_TYPES, None))
    ),
    re.compile(layout.regex(layout.funding)),
    re.compile(layout.regex(layout.result, interval=_INTERVAL)),
    re.compile(
        layout.regex(
            layout.symbol_table, interval=_INTERVAL, kind="gaps|days|conflicts"
        )
    ),
    re.compile(layout.regex(layout.resampled)),
]
_RESULTS_OF = "klines"
_RESAMPLED_BASE = "1m"


@dataclass(frozen=True)
class NamedFiles:
    """What targets name: what is downloaded for them comes in jobs of its own.

    So who requests one zip, one partition or one result fetches nothing else.
    """

    zips: frozenset[str] = frozenset()
    """Paths of zips that are requested themselves, or their CHECKSUMs."""
    _partitions: dict[tuple[str | None, ...], set[str]] = field(default_factory=dict)
    """Names of partitions, by market, data type, interval and symbol."""
    _symbols: dict[str, set[str]] = field(default_factory=dict)
    """Symbols of other files, by market."""

    @classmethod
    def of(cls, targets: Iterable[str]) -> "NamedFiles":
        """Read what targets name; those that are no path of a series name nothing."""
        zips: set[str] = set()
        partitions: dict[tuple[str | None, ...], set[str]] = defaultdict(set)
        symbols: dict[str, set[str]] = defaultdict(set)
        for target in targets:
            parts = _describe(target)
            if parts is None:
                continue
            if "file" in parts:
                zips.add(posixpath.normpath(target).removesuffix(CHECKSUM_SUFFIX))
            elif "partition" in parts:
                keys = ("trade_type", "data_type", "interval", "symbol")
                partitions[tuple(map(parts.get, keys))].add(parts["partition"])
            else:
                symbols[parts["trade_type"]].add(parts["symbol"])
        return cls(frozenset(zips), partitions, symbols)

    def apart(self, files: pl.DataFrame, dataset: Dataset) -> Iterator[pl.DataFrame]:
        """Yield the named zips of a dataset, then what is named less closely.

        That is the files of named partitions, those of named symbols, and the rest.

        Parameters
        ----------
        files
            `path`, `symbol`, `partition`.
        dataset
            What they are of.
        """
        market = dataset.trade_type
        series = (market, dataset.data_type, dataset.interval)
        of_partitions = [
            (pl.col("symbol") == symbol)
            & (
                pl.col("partition").is_in(names)
                | pl.lit(layout.WHOLE_HISTORY in names)  # a backfill needs them all
            )
            for (*key, symbol), names in self._partitions.items()
            if tuple(key) == series
        ]
        for is_named in (
            pl.col("path").str.strip_suffix(CHECKSUM_SUFFIX).is_in(self.zips),
            pl.any_horizontal(*of_partitions, pl.lit(value=False)),
            pl.col("symbol").is_in(self._symbols.get(market, set())),
        ):
            yield files.filter(is_named)
            files = files.filter(~is_named)
        yield files


def implied_datasets(
    targets: Iterable[str], *, configured: Sequence[Dataset]
) -> list[Dataset]:
    """Return one dataset for each series that a target path names.

    It has the settings of the first configured dataset of the same market, data
    type and interval, and defaults where there is none. A resampled file of which
    the path names no base interval is made from the market's first configured one
    that has the rule, else from the first that the rule fits, else from 1m. Targets
    that are no such path imply nothing.

    Raises
    ------
    ConfigError
        If the path of a resampled file names no rule.
    """
    described = {target: _describe(target) for target in targets}
    datasets = (
        _dataset(target, parts, configured)
        for target, parts in described.items()
        if parts is not None
    )
    unique = {dataset.model_dump_json(): dataset for dataset in datasets}
    return list(unique.values())


def _describe(target: str) -> dict[str, str] | None:
    path = posixpath.normpath(target)
    for pattern in _PATTERNS:
        match = pattern.fullmatch(path)
        if match is not None:
            return match.groupdict()
    return None


def _dataset(
    target: str, parts: dict[str, str], configured: Sequence[Dataset]
) -> Dataset:
    data_type = parts.get("data_type", _RESULTS_OF)
    alike = [
        d
        for d in configured
        if (d.trade_type, d.data_type) == (parts["trade_type"], data_type)
    ]
    interval = parts.get("interval")
    if "rule" in parts:
        interval = _base_interval(target, parts["rule"], alike)
    like = next((d for d in alike if d.interval == interval), None)
    raw: dict[str, Any] = like.model_dump() if like is not None else {}
    raw |= {"trade_type": parts["trade_type"], "data_type": data_type}
    raw |= {"interval": interval, "symbols": [parts["symbol"]]}
    if "file" in parts:  # a zip that is asked for by name, wanted or not
        raw |= {"frequency": parts["frequency"], "start": None, "end": None}
    if data_type == _RESULTS_OF:
        raw["results"] = {**raw.get("results", {}), "resample": _resample(parts)}
    return validated(Dataset, raw, where=target)


def _base_interval(target: str, rule: str, market: Sequence[Dataset]) -> str:
    """Choose the results that a rule's bars are made from, among some datasets.

    Those of the first dataset that has the rule, else of the first that it fits.
    """
    wanted = _parsed(target, rule)
    for dataset in market:
        if rule in [resample.rule.name for resample in dataset.results.resample]:
            return dataset.base_interval
    fitting = (d.base_interval for d in market if _fits(wanted, d))
    return next(fitting, _RESAMPLED_BASE)


def _parsed(target: str, rule: str) -> ResampleRule:
    try:
        parsed = ResampleRule.parse(rule)
    except ConfigError as error:
        msg = f"{target}: {error}"
        raise ConfigError(msg) from error
    if parsed.name != rule:
        msg = f"{target}: resample rule {rule!r} is {parsed.name!r} in paths; use that"
        raise ConfigError(msg)
    return parsed


def _fits(rule: ResampleRule, dataset: Dataset) -> bool:
    try:
        rule.check_base(Interval.parse(dataset.base_interval))
    except ConfigError:
        return False
    return True


def _resample(parts: dict[str, str]) -> list[dict[str, str | None]]:
    if "rule" not in parts:
        return []
    interval, _, offset = parts["rule"].partition("_")
    return [{"interval": interval, "offset": offset or None}]
