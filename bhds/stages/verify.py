"""Hash the files on disk again, record their status, and quarantine damaged ones.

1. Every zip and CHECKSUM is hashed, in threads. Most zips are settled by that: they
   are what came (the ledger) and what was published (the CHECKSUM).
2. The others are looked at closer: their MD5 against the listed ETag, their content
   against its CRC-32s.
3. What differs from what came is damage. It is moved to `aws_data/.quarantine`, so
   that the next plan finds it missing and fetches it again.

What the server itself served corrupt is no damage: it is reported and stays, or it
would be fetched for ever.
"""

import errno
import logging
import os
import shutil
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace
from functools import partial
from pathlib import Path

import polars as pl
from rich.filesize import decimal

from bhds import layout
from bhds.archive.download import ledger
from bhds.archive.integrity.hashing import hash_directory
from bhds.archive.integrity.local_files import DiskFile, Finding, judge_pair
from bhds.archive.keys import CHECKSUM_SUFFIX
from bhds.archive.listing.directory import Directory
from bhds.archive.listing.tables import ListingTable, TableStore
from bhds.core.errors import FetchError
from bhds.core.markets import Frequency, TradeType
from bhds.io.storage import replacing, write_parquet
from bhds.schemas.archive_tables import VERIFICATION, IntegrityStatus

logger = logging.getLogger(__name__)

REVISION = 1
"""Raise by one when the same files must be judged otherwise."""


_TAG_LENGTH = 12
_NAMED_FILES = 3


def write_verification(
    target: str,
    *,
    trade_type: str,
    frequency: str,
    data_type: str,
    verification: str,
    threads: int,
) -> None:
    """Verify the files that one listing covers, and write what was found.

    Damage is a warning and a row of the table, no failure: the next run fetches the
    files again.

    Parameters
    ----------
    target
        Where the table goes, below the data directory, which is the current one.
    trade_type, frequency, data_type
        What is verified.
    verification
        The name of the table: `verification`, or `verification-<interval>`.
    threads
        How many files are read at once, at least 1.

    Raises
    ------
    FetchError
        As `verify_directory`.
    KeyGrammarError
        If the data type has intervals and the table's name has none, or conversely.
    """
    began = time.monotonic()
    interval = verification.removeprefix("verification").removeprefix("-") or None
    directory = Directory(
        TradeType(trade_type), Frequency(frequency), data_type, interval
    )
    table = verify_directory(directory, data_dir=Path(), threads=threads)
    metadata = {"stage": "verify", "revision": str(REVISION)}
    write_parquet(table, target, metadata=metadata)
    _log_summary(table, target=target, elapsed_s=time.monotonic() - began)
    if count := _count_absent(table, directory=directory, data_dir=Path()):
        logger.warning(
            "%s: %d zips are not on disk and not verified: they came once, and were "
            "discarded or removed; the sources of their partitions have their hashes",
            *(target, count),
        )


def verify_directory(
    directory: Directory, *, data_dir: Path, threads: int
) -> pl.DataFrame:
    """Verify the zips and CHECKSUMs on disk below a directory; quarantine damage.

    Left out are files of other names, files behind symbolic links, and those that
    vanish or change meanwhile. Files are read in pieces, however large they are.

    Parameters
    ----------
    directory
        What is verified; of a data type with intervals, the files of one.
    data_dir
        The data directory. Files are compared with the ledger and the last listing
        there; those that neither knows, with their CHECKSUMs alone.
    threads
        How many files are read at once, at least 1.

    Returns
    -------
    polars.DataFrame
        `VERIFICATION`, sorted by unique `key`. Integrity statuses are those of parsing,
        except that a zip which matches its CHECKSUM is `ok` without being unpacked, and
        that a CHECKSUM which is damaged counts as missing.

    Raises
    ------
    FetchError
        If a file or folder may not be read, or the ledger is broken; nothing is
        moved then.
    """
    try:
        hashed = hash_directory(directory, data_dir=data_dir, threads=threads)
        # Read after the files: what was put into place before has its row by now.
        known = _with_records(hashed, directory=directory, data_dir=data_dir)
        settled, others = _settle(known)
        findings = _judge(others, data_dir=data_dir, threads=threads)
    except OSError as error:
        msg = (
            f"verify: {error.filename or data_dir}: {error.strerror or error}; "
            "expected what can be read, see to its permissions and the disk, and run "
            "again"
        )
        raise FetchError(msg) from error
    kept = [_quarantine(finding, data_dir=data_dir) for finding in findings]
    judged = _table(finding for finding in kept if finding is not None)
    return pl.concat([settled, judged]).sort("key")


def _with_records(
    files: pl.DataFrame, *, directory: Directory, data_dir: Path
) -> pl.DataFrame:
    """Add what the listing and the ledger say of each file."""
    listed = TableStore(data_dir).table(directory) or ListingTable.empty()
    columns = ["key", "size", "md5", "sha256", "first_seen"]
    rows = ledger.read(data_dir, columns=columns).join(files, on="key", how="semi")
    # A revision on disk stays when the server has lost a newer one.
    came = ledger.newest(rows.filter(pl.col("sha256").is_not_null()))
    asked = ledger.newest(rows).select("key", is_gone=pl.col("md5").is_null())
    records = (
        listed.frame.select("key", "etag", listed_size="size"),
        came.select("key", fetched_size="size", fetched_sha256="sha256"),
        asked,
    )
    for record in records:
        files = files.join(record, on="key", how="left", maintain_order="left")
    return files.with_columns(pl.col("is_gone").fill_null(value=False))


def _count_absent(table: pl.DataFrame, *, directory: Directory, data_dir: Path) -> int:
    """Count the listed zips that came once, and are not among those verified."""
    listed = TableStore(data_dir).table(directory) or ListingTable.empty()
    came = ledger.read(data_dir, columns=["key", "md5"]).drop_nulls("md5")
    zips = listed.frame.filter(~pl.col("key").str.ends_with(CHECKSUM_SUFFIX))
    absent = zips.join(came, on="key", how="semi").join(table, on="key", how="anti")
    return absent.height


def _settle(files: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Part the `VERIFICATION` of zips that hashes settle from files that they do not.

    A zip is settled if its CHECKSUM names its hash, and both are what came, as far as
    the ledger knows them.
    """
    is_as_fetched = pl.col("sha256") == pl.coalesce("fetched_sha256", "sha256")
    zip_key = pl.col("key").str.strip_suffix(CHECKSUM_SUFFIX)
    checksums = files.filter("is_checksum", is_as_fetched).select(
        zip_key, text=pl.col("text").str.strip_chars_end("\r\n")
    )
    name = pl.col("key").str.extract("[^/]+$", 0)
    sound = (
        files.filter(~pl.col("is_checksum"), is_as_fetched)
        .drop("text")
        .join(checksums, on="key")
        .filter(pl.col("text") == pl.concat_str("sha256", pl.lit("  "), name))
        .with_columns(
            published_sha256="sha256",
            integrity_status=pl.lit(IntegrityStatus.OK.value),
            reason=None,
        )
        .with_columns(damage=None, quarantined_to=None)
    )
    settled = sound.select(pl.col(c).cast(t) for c, t in VERIFICATION.items())
    is_settled = zip_key.is_in(settled["key"].implode())
    return settled, files.filter(~is_settled)


def _judge(files: pl.DataFrame, *, data_dir: Path, threads: int) -> list[Finding]:
    """Look closer at files: a finding for each zip and each damaged CHECKSUM."""
    archives: dict[str, DiskFile] = {}
    checksums: dict[str, DiskFile] = {}
    for row in files.select(f.name for f in fields(DiskFile)).iter_rows():
        file = DiskFile(*row)
        of_kind = checksums if file.key.endswith(CHECKSUM_SUFFIX) else archives
        of_kind[file.key.removesuffix(CHECKSUM_SUFFIX)] = file
    names = sorted(archives.keys() | checksums.keys())
    with ThreadPoolExecutor(threads) as pool:
        found = pool.map(
            partial(judge_pair, data_dir=data_dir),
            map(archives.get, names),
            map(checksums.get, names),
        )
        return [finding for findings in found for finding in findings]


def _quarantine(finding: Finding, *, data_dir: Path) -> Finding | None:
    """Move a damaged file away; None if it was replaced or removed meanwhile."""
    if finding.damage is None:
        return finding
    file = finding.file
    # By content, so that nothing there is ever replaced by something else.
    tag = file.sha256[:_TAG_LENGTH] if file.sha256 else f"unreadable-{file.inode}"
    target = f"{layout.QUARANTINE}/{file.path.removeprefix(f'{layout.AWS}/')}.{tag}"
    try:
        stat = os.lstat(data_dir / file.path)
        if (stat.st_size, stat.st_mtime_ns, stat.st_ino) != (
            file.size,
            file.mtime_ns,
            file.inode,
        ):
            return None
        _move(data_dir / file.path, data_dir / target)
    except FileNotFoundError:
        return None
    except OSError as error:
        logger.info("%s: cannot be moved to %s (%s)", file.path, target, error)
        return finding
    logger.info("%s: moved to %s: %s", file.path, target, finding.reason)
    return replace(finding, quarantined_to=target)


def _move(source: Path, target: Path) -> None:
    """Rename a file, or copy it where the target is on another file system."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        source.replace(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        with replacing(target) as partial_copy:
            shutil.copyfile(source, partial_copy)
        source.unlink()


def _table(findings: Iterable[Finding]) -> pl.DataFrame:
    """Return the `VERIFICATION` of findings, in their order."""
    of_file = {"key", "path", "size", "listed_size", "sha256", "etag"}
    rows = [
        [getattr(f.file if name in of_file else f, name) for name in VERIFICATION]
        for f in findings
    ]
    return pl.DataFrame(rows, schema=VERIFICATION, orient="row")


def _log_summary(table: pl.DataFrame, *, target: str, elapsed_s: float) -> None:
    is_damaged = pl.col("damage").is_not_null()
    zips = table.filter(~pl.col("key").str.ends_with(CHECKSUM_SUFFIX))
    statuses = (
        zips["integrity_status"].cast(pl.String).value_counts().sort("integrity_status")
    )
    counts = [
        f"{count} {integrity_status}" for integrity_status, count in statuses.rows()
    ]
    damaged = table.filter(is_damaged)
    size_bytes = int(table["size"].sum())
    logger.info(
        "%s: %d zips (%s), %d damaged files; %s in %.1f s, %s/s",
        *(target, zips.height, ", ".join(counts) or "none", damaged.height),
        *(decimal(size_bytes), elapsed_s, decimal(int(size_bytes / elapsed_s))),
    )
    if damaged.is_empty():
        return
    names = [
        f"{path} ({damage})"
        for path, damage in damaged.head(_NAMED_FILES).select("path", "damage").rows()
    ]
    more = ", ..." if damaged.height > _NAMED_FILES else ""
    logger.warning(
        "%s: %d files are damaged: %s%s; %d were moved to %s, move the others away by "
        "hand, and run again to fetch them",
        *(target, damaged.height, ", ".join(names), more),
        *(damaged["quarantined_to"].count(), layout.QUARANTINE),
    )
