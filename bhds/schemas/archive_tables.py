"""The tables of the archive: what the bucket lists, what came, and how sound it is."""

from enum import StrEnum

import polars as pl

from bhds.core.timegrid import TIME
from bhds.schemas.columns import SYMBOL, Column, TableSchema


class IntegrityStatus(StrEnum):
    """What is thought of a zip; the rows of the first three are used."""

    OK = "ok"
    """The zip matches its CHECKSUM and its content is sound."""
    CHECKSUM_MISSING = "checksum-missing"
    """There is no CHECKSUM, or an unreadable one; the content is sound."""
    CHECKSUM_STALE = "checksum-stale"
    """Differs from its CHECKSUM, but is what the bucket lists, and is sound."""
    CORRUPT = "corrupt"
    """The content cannot be trusted."""
    VANISHED = "vanished"
    """An empty file: the server no longer had what it had listed."""


class Damage(StrEnum):
    """What became of a file on disk."""

    TRUNCATED = "truncated"
    """Shorter than what came, or than listed."""
    BIT_ROT = "bit rot"
    """Other bytes than came."""
    UNREADABLE = "unreadable"
    """The disk, or its file system, cannot read it."""
    FAILED_TRANSFER = "failed transfer"
    """Corrupt as it came, and not what is listed: a version that kept such fetched it.
    """


KEY = Column("key", pl.String(), "The object's name in the bucket")
PATH = Column("path", pl.String(), "The file, below the data directory")
SIZE = Column("size", pl.Int64(), "What the bucket lists", unit="bytes")
ETAG = Column(
    "etag",
    pl.String(),
    "What the bucket lists, without quotes: the MD5 of an object that "
    "was uploaded in one part",
)
LAST_MODIFIED = Column(
    "last_modified", TIME, "When the object was uploaded", unit="UTC"
)

LISTING_SCHEMA = TableSchema(
    KEY,
    SIZE,
    ETAG,
    LAST_MODIFIED,
)

SYMBOLS_SCHEMA = TableSchema(
    SYMBOL,
)

LEDGER = TableSchema(
    KEY,
    ETAG.but(
        "What the bucket listed, without quotes; null for a file that was adopted"
    ),
    SIZE,
    LAST_MODIFIED,
    Column(
        "md5",
        pl.String(),
        "Of the bytes that came, hexadecimal; null where the server no "
        "longer had the file",
    ),
    Column(
        "sha256",
        pl.String(),
        "Of the bytes that came, hexadecimal; null where the server no "
        "longer had the file",
    ),
    Column("first_seen", TIME, "When the revision came", unit="UTC"),
    Column(
        "requested_at",
        TIME,
        "When the batch that it came with began to download; null where "
        "part of it was already in the staging folder",
        unit="UTC",
    ),
    Column(
        "served_size",
        pl.Int64(),
        "What came, which may differ from what is listed",
        unit="bytes",
    ),
    Column(
        "proof",
        pl.String(),
        "What proves bytes sound that are not as listed: `CHECKSUM` or "
        "`CRC`; else null",
    ),
)

VERIFICATION = TableSchema(
    KEY,
    PATH,
    SIZE.but("What was found on disk"),
    Column(
        "listed_size",
        pl.Int64(),
        "What the bucket lists; null for a file that is not listed",
        unit="bytes",
    ),
    Column(
        "sha256",
        pl.String(),
        "Of what was on disk, hexadecimal; null where it was unreadable",
    ),
    Column(
        "published_sha256",
        pl.String(),
        "The hash in the CHECKSUM; null without one that can be read",
    ),
    ETAG.but("What the bucket lists; null for a file that is not listed"),
    Column(
        "integrity_status",
        pl.Enum(IntegrityStatus),
        "The outcome of checking the zip",
    ),
    Column("reason", pl.String(), "Why the integrity status is not `ok`"),
    Column(
        "damage",
        pl.Enum(Damage),
        "How the file was damaged on this disk; null if it was not",
    ),
    Column(
        "quarantined_to",
        pl.String(),
        "Where the damaged file is now, below the data directory; null "
        "where it could not be moved",
    ),
)

REVISIONS = TableSchema(
    Column("trade_type", pl.String(), "The market"),
    Column("data_type", pl.String(), "The data type"),
    SYMBOL,
    Column("interval", pl.String(), "Length of the bars; null of other data"),
    Column("partition", pl.String(), "Year or month of the partition, or `all`"),
    KEY,
    Column("old_sha256", pl.String(), "Of the zip before, hexadecimal"),
    Column(
        "new_sha256",
        pl.String(),
        "Of the zip since, hexadecimal; null where it lost to other zips",
    ),
    Column("first_day", pl.Date(), "The first day compared", unit="UTC"),
    Column("last_day", pl.Date(), "The last day compared, included", unit="UTC"),
    Column(
        "rows_before",
        pl.Int64(),
        "Rows of these days before; null, as all counts, where they could "
        "not be compared",
        unit="rows",
    ),
    Column("rows_after", pl.Int64(), "Rows of these days since", unit="rows"),
    Column("rows_added", pl.Int64(), "Rows whose key is new", unit="rows"),
    Column("rows_removed", pl.Int64(), "Rows whose key is gone", unit="rows"),
    Column(
        "rows_changed",
        pl.Int64(),
        "Rows with the same key and another value in any column",
        unit="rows",
    ),
    Column(
        "column",
        pl.String(),
        "The column that differs; null in the only row of a zip of which none does",
    ),
    Column(
        "column_rows_changed",
        pl.Int64(),
        "Rows with another value in `column`",
        unit="rows",
    ),
    Column(
        "max_abs_change",
        pl.Float64(),
        "The largest change of a number",
        unit="as the column",
    ),
    Column(
        "max_rel_change",
        pl.Float64(),
        "The largest change of a number, as a part of its old value; old "
        "values of 0 do not count",
        unit="fraction",
    ),
    Column(
        "noticed_at",
        TIME,
        "When the new zip came or, where that is not known, when the rows "
        "were compared",
        unit="UTC",
    ),
)

SUPPLEMENTS = TableSchema(
    KEY,
    ETAG.but(
        "What the bucket listed when the zip was used; null where it "
        "could not be fetched"
    ),
    Column("recorded_at", TIME, "When the partition was built", unit="UTC"),
)

UNUSABLE_ZIPS = TableSchema(
    PATH.but("The sources of a partition, below the data directory"),
    Column("recorded_at", TIME, "When a zip of theirs could not be used", unit="UTC"),
)
