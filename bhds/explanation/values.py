"""What is found out about a bar: plain values, fit for JSON. All times are UTC."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any


class State(StrEnum):
    """What there is at the time that was requested."""

    BAR = "bar"
    BETWEEN_SEGMENTS = "between_segments"
    MISSING = "missing"
    """Within a segment, but the result is built without fills."""
    BEFORE_TRADING = "before_trading"
    AFTER_TRADING = "after_trading"
    NOT_BUILT = "not_built"
    """Later than the last day that the result may hold."""


class RowOutcome(StrEnum):
    """What became of a publication of a bar."""

    KEPT = "kept"
    DROPPED = "dropped"
    NOT_USED = "not_used"
    """It was not even compared: of another revision, not requested, or of a time of
    which the result has no bar."""


@dataclass(frozen=True)
class Revision:
    """One revision of a zip that was fetched."""

    number: int
    """From 1, in the order in which they came."""
    etag: str | None
    size: int | None
    sha256: str | None
    last_modified: dt.datetime | None
    """As listed when it was requested."""
    first_seen: dt.datetime | None
    """When it came."""
    is_used: bool
    """Whether the partition was built from it."""


@dataclass(frozen=True)
class ArchiveZip:
    """A zip that covers the bar, as the partition's sources account for it."""

    key: str
    path: str
    size: int
    etag: str | None
    sha256: str
    published_sha256: str | None
    integrity_status: str
    reason: str | None
    sha256_on_disk: str | None
    """Of the file as it is now; None: it is not on disk any more."""
    revisions: tuple[Revision, ...]
    listed_etag: str | None
    """From the last listing; None: no longer listed, or no listing exists."""
    listed_at: dt.datetime | None

    @property
    def is_on_disk(self) -> bool:
        """Whether the file is there."""
        return self.sha256_on_disk is not None

    @property
    def is_another_revision(self) -> bool:
        """Whether the file that is there is not what the partition was built from."""
        return self.is_on_disk and self.sha256_on_disk != self.sha256


@dataclass(frozen=True)
class PublishedRow:
    """One bar as it was published once."""

    source: str
    """`daily`, `monthly` or `api`."""
    key: str | None
    """Of the zip; None for the API."""
    open_time: dt.datetime
    values: Mapping[str, float | int | None]
    read_from: str
    """`zip`, `partition` (the zip is gone) or `answers` (of the API)."""
    text: str | None = None
    """The line as it stands in the CSV."""
    line: int | None = None
    """Its number, from 1."""
    fields: tuple[str, ...] = ()
    """What the fields of the line are."""
    answered_at: dt.datetime | None = None
    outcome: RowOutcome = RowOutcome.KEPT
    reason: str | None = None
    """Why it was not kept."""

    @property
    def is_traded(self) -> bool:
        """Whether there was a trade."""
        return bool(self.values.get("trade_count"))


@dataclass(frozen=True)
class RequestedRange:
    """A request to the API for a range that covers the bar."""

    path: str
    """Of the fill."""
    start: dt.datetime
    end: dt.datetime
    """Exclusive."""
    reason: str
    expected: int | None
    found: int
    status: str
    answered_at: dt.datetime | None


@dataclass(frozen=True)
class ExplainedFunding:
    """A funding event of the contract within the bar."""

    funding_time: dt.datetime
    calc_time: dt.datetime
    funding_rate: float
    rate_type: str | None
    mark_price: float | None
    source: str


@dataclass(frozen=True)
class Result:
    """The file that holds the bar, or would."""

    path: str
    version: str | None
    revision: str | None
    as_of: str | None
    """The last UTC day that it may hold."""
    rows: int
    first_open_time: dt.datetime | None
    last_open_time: dt.datetime | None


@dataclass(frozen=True)
class Explanation:
    """All that is known of one bar of a result."""

    trade_type: str
    symbol: str
    interval: str
    time: dt.datetime
    """As requested."""
    open_time: dt.datetime
    """Of the bar that contains it."""
    state: State
    summary: str
    result: Result
    bar: Mapping[str, Any] | None = None
    """The row, as built."""
    segment: Mapping[str, Any] | None = None
    """Number, first and last open time of the segment."""
    publications: tuple[PublishedRow, ...] = ()
    conflicts: tuple[Mapping[str, Any], ...] = ()
    """Rows of `quality_tables.conflicts` that lost precedence; the zip may be gone."""
    zips: tuple[ArchiveZip, ...] = ()
    missing_ranges: tuple[RequestedRange, ...] = ()
    gap: Mapping[str, Any] | None = None
    """The gap that the time lies in: a row of `quality_tables.CLASSIFIED_GAPS`."""
    funding: tuple[ExplainedFunding, ...] = ()
    condition: Mapping[str, Any] | None = None
    """Of the day: `quality_tables.CONDITION`."""
    warnings: tuple[str, ...] = field(default_factory=tuple)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values: times in ISO 8601, durations in seconds."""
        document: dict[str, Any] = plain(asdict(self))
        for zip_, entry in zip(self.zips, document["zips"], strict=True):
            entry["is_on_disk"] = zip_.is_on_disk
            entry["is_another_revision"] = zip_.is_another_revision
        return document


def plain(value: Any) -> Any:
    """Return a value as JSON can hold it."""
    if isinstance(value, Mapping):
        return {name: plain(held) for name, held in value.items()}
    if isinstance(value, list | tuple):
        return [plain(held) for held in value]
    if isinstance(value, dt.datetime | dt.date):
        return value.isoformat()
    if isinstance(value, dt.timedelta):
        return value.total_seconds()
    return value
