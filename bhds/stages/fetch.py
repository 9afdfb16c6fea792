"""The files of the download stage: look up what is listed, fetch it into place."""

import os
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from bhds.archive.download import batch, unreachable
from bhds.archive.download.staging import RequestedFile
from bhds.archive.keys import CHECKSUM_SUFFIX, ArchiveFile, key_of_path
from bhds.archive.listing.directory import Directory
from bhds.core.errors import FetchError


@dataclass(frozen=True)
class FetchOptions:
    """How a job downloads its files; Snakemake compares plain parameters only."""

    base_url: str
    http: Mapping[str, Any]
    offline: bool
    """Whether no server may be contacted: a job of missing files fails at once."""
    keeps_sound: bool
    """Whether files in place that are as listed stay as they are."""


@dataclass(frozen=True)
class PartitionZips:
    """The zips of one partition; Snakemake does not compare it."""

    paths: tuple[str, ...]
    """Below the data directory."""
    discards: bool
    """Whether they are discarded once the partition is built; then the job that builds
    it fetches those that it needs."""


def fetch_paths(
    paths: Sequence[str],
    *,
    base_url: str,
    http: Mapping[str, Any],
    offline: bool = False,
    keeps_sound: bool = False,
    may_all_be_gone: bool = False,
    is_removed_on_failure: bool = False,
) -> None:
    """Download listed files into place.

    Parameters
    ----------
    paths
        Paths of zips and CHECKSUMs, relative to the data directory, which is the
        current one.
    base_url
        The address that keys are appended to.
    http
        `proxy`, `timeout_s` and `connections`, as in the settings.
    offline, keeps_sound
        As of `FetchOptions`.
    may_all_be_gone, is_removed_on_failure
        As for `download.fetch_batch`.

    Raises
    ------
    FetchError
        If a file could not be had, or is not listed any more.
    """
    if offline and keeps_sound:
        return
    if offline:
        unreachable.refuse(Path(), base_url=base_url)
        msg = f"{paths[0]} and {len(paths) - 1} more: missing and offline: true"
        raise FetchError(msg)
    listed = listed_rows(paths)
    absent = [path for path in paths if key_of_path(path) not in listed]
    if absent:
        msg = (
            f"{absent[0]} and {len(absent) - 1} more: no longer in the listing; "
            "run again to plan with the present listing"
        )
        raise FetchError(msg)
    if keeps_sound:
        zips = [path for path in paths if not path.endswith(CHECKSUM_SUFFIX)]
        paths = outdated_pairs(zips, listed=listed)
    batch.fetch_batch(
        [_wanted(path, listed[key_of_path(path)]) for path in paths],
        data_dir=Path(),
        base_url=base_url,
        proxy=http["proxy"],
        timeout_s=max(1, round(http["timeout_s"])),
        connections=http["connections"],
        may_all_be_gone=may_all_be_gone,
        is_removed_on_failure=is_removed_on_failure,
    )


def fetch_by_settings(
    paths: Sequence[str], *, settings: Mapping[str, Any], may_all_be_gone: bool = False
) -> None:
    """Download listed files into place, within a job that needs them.

    Parameters
    ----------
    paths, may_all_be_gone
        As for `fetch_paths`.
    settings
        The configuration as read from YAML and the command line.

    Raises
    ------
    FetchError
        As of `fetch_paths`, or if `offline` is true.
    """
    # Here for its pydantic, which other jobs do not need.
    from bhds import config  # noqa: PLC0415

    loaded = config.load(settings, environment=os.environ)
    if loaded.offline:
        msg = f"{paths[0]} and {len(paths) - 1} more: not on disk, and offline is true"
        raise FetchError(msg)
    fetch_paths(
        paths,
        base_url=loaded.endpoints.archive_download,
        http=loaded.download_http,
        may_all_be_gone=may_all_be_gone,
    )


def listed_rows(paths: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Look up what the listings on disk say of some files, by their keys.

    Returns
    -------
    dict
        `key`, `size`, `etag` and `last_modified` by key; files that are not listed
        are left out.
    """
    by_listing: dict[str, list[str]] = defaultdict(list)
    for path in paths:
        file = ArchiveFile.from_path(path.removesuffix(CHECKSUM_SUFFIX))
        directory = Directory(
            file.trade_type, file.frequency, file.data_type, file.interval
        )
        by_listing[directory.listing_path].append(key_of_path(path))
    found: dict[str, dict[str, Any]] = {}
    for listing_path, keys in by_listing.items():
        if Path(listing_path).exists():
            rows = pl.scan_parquet(listing_path, glob=False).filter(
                pl.col("key").is_in(keys)
            )
            found |= {row["key"]: row for row in rows.collect().iter_rows(named=True)}
    return found


def outdated_pairs(
    zips: Iterable[str], *, listed: Mapping[str, Mapping[str, Any]]
) -> list[str]:
    """Return the listed zips that are not on disk as listed, each with its CHECKSUM.

    Parameters
    ----------
    zips
        Paths below the data directory, which is the current one.
    listed
        Rows of these zips and of their CHECKSUMs, as `listed_rows` has them.
    """
    found: list[str] = []
    for path in zips:
        if key_of_path(path) not in listed:
            continue
        rows = {p: listed.get(key_of_path(p)) for p in (path, path + CHECKSUM_SUFFIX)}
        pair = [_wanted(each, row) for each, row in rows.items() if row]
        if not all(map(batch.is_as_listed, pair)):
            found += [str(wanted.path) for wanted in pair]
    return found


def _wanted(path: str, row: Mapping[str, Any]) -> RequestedFile:
    return RequestedFile(
        key=row["key"],
        path=Path(path),
        size=row["size"],
        etag=row["etag"],
        last_modified=row["last_modified"],
    )
