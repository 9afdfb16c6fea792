"""Which zips need not be read again, because an earlier partition has all their rows.

Zips may be discarded once their partition is built (`raw: discard`). When other zips
come, the partition is made from its own rows and those of the new zips. It must be the
same as one made from all zips: so only zips count of which every row was kept, in the
order published, and whose rows no other zip can have. All others are fetched again.
"""

import datetime as dt
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from bhds.archive.integrity.bounds import MAX_WARNINGS
from bhds.archive.integrity.zip_input import DAY_US, day_us
from bhds.archive.keys import CHECKSUM_SUFFIX, ArchiveFile
from bhds.core.errors import ParseError, ResultError
from bhds.core.timegrid import TIME
from bhds.io import storage
from bhds.parse.provenance import SCHEMA_VERSION
from bhds.schemas.archive_tables import IntegrityStatus


class KeptRowsError(ParseError):
    """The rows of an earlier partition cannot stand for its zips."""


_NEVER_DROPPED = ("rows_outside", "duplicates", "conflicts", "out_of_order")


@dataclass(frozen=True)
class KeptZip:
    """A zip whose rows an earlier partition has."""

    partition: Path
    entry: Mapping[str, Any]
    """Its entry in the sources of that partition."""
    sources: Mapping[str, Any]
    """These sources."""

    @property
    def quantities(self) -> dict[int, float]:
        """What the rows of each day add up to, by the number of the day since 1970."""
        return {
            day_us(dt.date.fromisoformat(day["day"])) // DAY_US: day["quantity"]
            for day in self.sources["days"]
            if "quantity" in day
        }

    def is_of_zip(self, time: str) -> pl.Expr:
        """Return which rows of the partition are between the zip's first and last."""
        if self.entry["first_time"] is None:
            return pl.lit(value=False)
        first, last = (
            pl.lit(dt.datetime.fromisoformat(self.entry[name]), TIME)
            for name in ("first_time", "last_time")
        )
        return pl.col(time).is_between(first, last)

    def rows(self, *, time: str) -> pl.DataFrame:
        """Read the rows of the zip, in the order in which they were published.

        Raises
        ------
        KeptRowsError
            If there are not as many as the sources have, or none can be read.
        """
        try:
            rows = storage.scan_rows(self.partition).filter(self.is_of_zip(time))
            if "source" in rows.collect_schema():
                rows = rows.filter(pl.col("source") == self.entry["frequency"])
            found = rows.collect()
        except (OSError, ResultError, pl.exceptions.PolarsError) as error:
            msg = f"{self.partition}: cannot be read ({error})"
            raise KeptRowsError(msg) from error
        if found.height != self.entry["rows_kept"]:
            msg = (
                f"{self.partition}: {found.height} rows of {self.entry['key']}, "
                f"expected {self.entry['rows_kept']}"
            )
            raise KeptRowsError(msg)
        return found


def kept_zips(
    partition: Path,
    sources: Mapping[str, Any],
    *,
    revision: int,
    listed: Mapping[str, Mapping[str, Any]],
    has_sources: bool,
) -> dict[str, KeptZip]:
    """Return by key the zips that need not be read again.

    Parameters
    ----------
    partition
        An earlier state of the partition.
    sources
        Its sources.
    revision
        That of the parser: rows of another one are not used.
    listed
        What the bucket lists of these zips and their CHECKSUMs, by key.
    has_sources
        Whether each row shows the frequency of its zip.
    """
    if (sources["schema"], sources["revision"]) != (SCHEMA_VERSION, revision):
        return {}
    entries = sources["inputs"]
    return {
        entry["key"]: KeptZip(partition, entry, sources)
        for entry in entries
        if _is_whole(entry)
        and _is_as_listed(entry, listed)
        and not any(
            _reaches_into(other, entry)
            for other in entries
            if not (has_sources and other["frequency"] != entry["frequency"])
        )
    }


def is_extended(
    sources: Mapping[str, Any],
    kept: Mapping[str, KeptZip],
    *,
    zips: Iterable[str],
    first_day: dt.date | None,
    last_day: dt.date | None,
) -> bool:
    """Return whether some zips are those of a partition, unchanged, then later ones.

    Parameters
    ----------
    sources
        Those of the partition.
    kept
        What `kept_zips` returns.
    zips
        Keys of the zips.
    first_day, last_day
        The days wanted of them: rows of others would have to be cut off.
    """
    files = [ArchiveFile.from_key(key) for key in zips]
    new = [file for file in files if file.key not in kept]
    old = [file for file in files if file.key in kept]
    return (
        bool(old)
        and {entry["key"] for entry in sources["inputs"]} == {file.key for file in old}
        and len({file.frequency for file in files}) == 1
        and min(file.first_day for file in old) >= (first_day or dt.date.min)
        and max(file.last_day for file in old) <= (last_day or dt.date.max)
        and max(file.last_day for file in old)
        < min((file.first_day for file in new), default=dt.date.max)
    )


def _is_whole(entry: Mapping[str, Any]) -> bool:
    """Return whether a partition has all rows of a zip, in their order."""
    return (
        entry["integrity_status"] == IntegrityStatus.OK
        and not any(entry[name] for name in _NEVER_DROPPED)
        and len(entry["warnings"]) < MAX_WARNINGS
    )


def _reaches_into(other: Mapping[str, Any], entry: Mapping[str, Any]) -> bool:
    """Return whether rows of another zip may be taken for those of a zip."""
    if other["key"] == entry["key"] or None in (
        other["first_time"],
        entry["first_time"],
    ):
        return False
    (first, last), (begin, end) = (
        [dt.datetime.fromisoformat(each[name]) for name in ("first_time", "last_time")]
        for each in (other, entry)
    )
    return first <= end and begin <= last


def _is_as_listed(
    entry: Mapping[str, Any], listed: Mapping[str, Mapping[str, Any]]
) -> bool:
    """Return whether the bucket has a zip as it was, or not any more.

    Its CHECKSUM is compared by what it must say, as its ETag is not recorded.
    """
    row = listed.get(entry["key"])
    checksum = listed.get(entry["key"] + CHECKSUM_SUFFIX)
    if row is None:
        return True
    text = f"{entry['sha256']}  {entry['key'].rpartition('/')[2]}"
    return row["etag"] == entry["etag"] and (
        checksum is not None and checksum["etag"] in _md5s(text)
    )


def _md5s(text: str) -> Sequence[str]:
    """Return the MD5 of a line, without and with its end."""
    lines = (text, f"{text}\n", f"{text}\r\n")
    return [hashlib.md5(s.encode(), usedforsecurity=False).hexdigest() for s in lines]
