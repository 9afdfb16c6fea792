"""One dataset of the settings, resolved to its symbols, files and partitions."""

import datetime as dt
import hashlib
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import polars as pl

from bhds import layout
from bhds.archive.listing.cache import Listing
from bhds.archive.listing.directory import Directory
from bhds.archive.listing.inventory import with_days
from bhds.config import Dataset
from bhds.core.listing_period import ListingPeriod
from bhds.core.unlisted import Unlisted
from bhds.plan import files as archive
from bhds.plan.backfills import Backfill, backfills_of
from bhds.plan.frequency import choose_frequency


@dataclass(frozen=True, slots=True)
class Partition:
    """One partition of one symbol, as the archive covers it."""

    archives: tuple[str, ...]
    """Paths of the zips; each has its CHECKSUM beside it, if the bucket has one."""
    first_day: dt.date | None
    """The first UTC day wanted, where the archive has earlier ones; else None."""
    last_day: dt.date
    """The last UTC day that is both wanted and covered."""
    digest: str | None = None
    """Stands for the keys and ETags of zips and CHECKSUMs that may be discarded: so
    these show whether the partition is out of date, and not the files. Else None."""


@dataclass(frozen=True)
class PlannedDataset:
    """A dataset and what the archive has for it."""

    dataset: Dataset
    symbols: tuple[str, ...]
    """The symbols selected, whether the archive has files in the time wanted or not."""
    files: pl.DataFrame
    """One row per file: `symbol, partition, frequency, first_day, last_day, key, path,
    size, disk_size, etag, is_checksum, state, was_fetched`; in time
    order of each symbol, a zip before its CHECKSUM."""
    backfills: Mapping[str, Backfill] = field(default_factory=dict)
    """What is requested from the API, of each symbol."""
    listing_periods: Mapping[str, ListingPeriod] = field(default_factory=dict)
    """From the archive's files of each symbol, whether in the time wanted or not."""
    ended: frozenset[str] = frozenset()
    """The symbols of which it is known that they have ended."""
    trading: frozenset[str] = frozenset()
    """The symbols of which the exchange says, on the day of their last file or later,
    that they are traded."""
    unlisted: Mapping[str, Unlisted] = field(default_factory=dict)
    """When symbols were not listed, of those of which any such time is known."""
    going_on: frozenset[str] = frozenset()
    """The symbols of which the archive has files that begin after the time wanted."""
    first_day: dt.date | None = None
    """The first UTC day wanted; None: all history."""
    last_day: dt.date = dt.date.max
    """The last UTC day wanted."""
    resample_parts: tuple[tuple[str, ...], ...] = ()
    """The names of its resample rules: those together whose files the same symbols have
    on disk. So a rule that is new to the settings is built by jobs of its own."""

    @property
    def name(self) -> str:
        """The dataset in words, such as `um_futures klines 1m`."""
        dataset = self.dataset
        words = (dataset.trade_type, dataset.data_type, dataset.interval)
        return " ".join(filter(None, words))

    @cached_property
    def partitions(self) -> dict[str, dict[str, Partition]]:
        """The partitions of each symbol that has any, by symbol and name."""
        zips = self.files.filter(~pl.col("is_checksum"))
        grouped = zips.group_by("symbol", "partition", maintain_order=True).agg(
            "path", pl.col("first_day").min(), pl.col("last_day").max()
        )
        start = self.first_day
        digests = self._digests()
        found: dict[str, dict[str, Partition]] = defaultdict(dict)
        for symbol, name, paths, first_day, last_day in grouped.iter_rows():
            first = start if start is not None and start > first_day else None
            digest = digests.get((symbol, name))
            found[symbol][name] = Partition(tuple(paths), first, last_day, digest)
        return dict(found)

    def _digests(self) -> dict[tuple[str, str], str]:
        """Return `Partition.digest` by symbol and partition; none of zips that stay."""
        if not self.dataset.discards:
            return {}
        revision = pl.format("{} {}", "key", pl.col("etag").fill_null("-"))
        grouped = self.files.group_by("symbol", "partition").agg(
            revision.sort().str.join("\n")
        )
        return {
            (symbol, name): hashlib.sha256(text.encode()).hexdigest()[:16]
            for symbol, name, text in grouped.iter_rows()
        }

    @cached_property
    def symbols_with_any(self) -> frozenset[str]:
        """The symbols that have a partition or a backfill."""
        return frozenset(self.partitions.keys() | self.backfills.keys())


def directories(dataset: Dataset) -> list[Directory]:
    """Return the bucket's directories that a dataset is taken from."""
    return [
        Directory(
            dataset.trade_type, feed.frequency, dataset.data_type, dataset.interval
        )
        for feed in dataset.feeds
    ]


def plan_dataset(
    dataset: Dataset,
    *,
    listings: Sequence[Listing],
    data_dir: Path,
    newest: pl.DataFrame,
    supplements: pl.DataFrame,
    offline: bool,
    as_of: dt.date,
) -> PlannedDataset:
    """Resolve a dataset to its files, from the listings, the ledger and the disk.

    Parameters
    ----------
    dataset
        The settings.
    listings
        What the bucket holds of the dataset's directories, for its symbols.
    data_dir
        The data directory.
    newest
        The newest row of the ledger for each file that was fetched.
    supplements
        `key` and `etag` of daily zips that parse jobs wanted beside monthly ones; see
        `bhds.parse.supplements`.
    offline
        Whether no server may be contacted for those that are not on disk.
    as_of
        The last UTC day wanted of any dataset.
    """
    first_day, last_day = dataset.first_day(as_of), dataset.last_day(as_of)
    files = pl.concat(
        _files(listing, data_dir=data_dir, newest=newest, discards=dataset.discards)
        for listing in listings
    )
    archives = files.filter(~pl.col("is_checksum"))
    zips = choose_frequency(
        archives,
        dataset.frequency,
        trade_type=dataset.trade_type,
        data_type=dataset.data_type,
        interval=dataset.interval,
    )
    listing_periods = _listing_periods(zips)
    more = _outdated_supplements(archives, supplements, offline=offline)
    zips = pl.concat([zips, more.join(zips, on="key", how="anti")])
    going_on = zips.filter(pl.col("first_day") > last_day)["symbol"]
    zips = archive.within(zips, first_day=first_day, last_day=last_day)
    form = dataset.entry.partition_size(dataset.interval).value
    wanted = (
        files.join(zips, on=["symbol", "frequency", "period"], how="semi")
        .with_columns(
            partition=pl.col("first_day").dt.strftime(form),
            last_day=pl.min_horizontal("last_day", pl.lit(last_day)),
        )
        .sort("symbol", "first_day", "frequency", "is_checksum")
    )
    symbols = {symbol for listing in listings for symbol in listing.symbols}
    return PlannedDataset(
        dataset,
        tuple(sorted(symbols)),
        wanted,
        listing_periods=listing_periods,
        going_on=frozenset(going_on),
        first_day=first_day,
        last_day=last_day,
        resample_parts=_resample_parts(dataset, symbols, data_dir=data_dir),
    )


def _resample_parts(
    dataset: Dataset, symbols: Collection[str], *, data_dir: Path
) -> tuple[tuple[str, ...], ...]:
    parts: dict[frozenset[str], list[str]] = defaultdict(list)
    for rule in dataset.rule_names:
        folder = data_dir / layout.resampled_folder(dataset.trade_type, rule)
        present = {path.stem for path in folder.glob(layout.bars(".", "*"))}
        parts[frozenset(present.intersection(symbols))].append(rule)
    return tuple(map(tuple, parts.values()))


def with_backfills(
    planned: PlannedDataset,
    *,
    today: dt.date,
    listing_periods: Mapping[str, ListingPeriod] | None = None,
) -> PlannedDataset:
    """Add requests to the API, if it has data of that type.

    Parameters
    ----------
    planned
        The dataset.
    today
        The present UTC day: a day that has not come is not requested, or it would not
        be when it has.
    listing_periods
        What other series show of the symbols: those begin no later, and those without
        any file of the dataset end with these.
    """
    dataset = planned.dataset
    if not dataset.entry.has_api:
        return planned
    known = dict(listing_periods or {})
    for symbol, listing_period in planned.listing_periods.items():
        first_day = min(
            listing_period.first_day, known.get(symbol, listing_period).first_day
        )
        known[symbol] = ListingPeriod(first_day, listing_period.last_day)
    backfills = backfills_of(
        {symbol: known[symbol] for symbol in planned.symbols if symbol in known},
        start=planned.first_day,
        last_day=min(planned.last_day, today),
        # Daily zips of klines begin years after the monthly ones.
        is_whole=dataset.frequency != "daily",
    )
    return replace(planned, backfills=backfills)


def _listing_periods(zips: pl.DataFrame) -> dict[str, ListingPeriod]:
    """Return the listing period of each symbol, as far as its zips show."""
    days = zips.group_by("symbol").agg(
        pl.col("first_day").min(), pl.col("last_day").max()
    )
    return {
        symbol: ListingPeriod(first, last) for symbol, first, last in days.iter_rows()
    }


def _outdated_supplements(
    archives: pl.DataFrame, supplements: pl.DataFrame, *, offline: bool
) -> pl.DataFrame:
    """Return the zips that parse jobs could not fetch, or used in another revision.

    Such a zip is an input of its partition from then on. The others are not, or each
    partition that has one would be built twice.
    """
    used_etag = pl.col("used_etag")
    is_outdated = used_etag.is_null() | (pl.col("etag") != used_etag)
    wanted = supplements.rename({"etag": "used_etag"})
    found = archives.join(wanted, on="key").filter(is_outdated)
    if offline:
        found = found.filter(pl.col("disk_size").is_not_null())
    return found.drop("used_etag")


def _files(
    listing: Listing, *, data_dir: Path, newest: pl.DataFrame, discards: bool
) -> pl.DataFrame:
    """Return the files of a directory: those listed, and those only on disk.

    Those that were on disk count, too, if they may be discarded.
    """
    directory = listing.directory
    folders = [archive.local_folder(directory, symbol) for symbol in listing.symbols]
    disk = archive.scan_disk(folders, data_dir=data_dir)
    listed = archive.listed_files(listing.table, directory=directory)
    # The server may withdraw what we hold: a whole local file is still an input.
    # An empty one only said that the server had lost a file which it had listed.
    held = disk.filter(pl.col("disk_size") > 0).select("path", "disk_size")
    if discards:
        held = pl.concat([held, archive.fetched_files(newest, directory=directory)])
        in_folders = pl.col("path").str.replace("/[^/]*$", "").is_in(folders)
        held = held.filter(in_folders).unique("path", maintain_order=True)
    held = held.join(listed, on="path", how="anti")
    unlisted = archive.unlisted_files(held, directory=directory)
    files = archive.with_state(
        pl.concat([listed, unlisted]),
        disk=disk,
        newest=newest,
        listed_at=listing.listed_whole_at,
        discards=discards,
    )
    return with_days(files, directory.frequency)
