"""The data dictionary: every table below the data directory."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from bhds import layout
from bhds.core.markets import TradeType
from bhds.schemas import api_tables, archive_tables, quality_tables
from bhds.schemas import klines as columns
from bhds.schemas.columns import SYMBOL, Column, TableSchema
from bhds.schemas.datatypes import DATA_TYPES, DataType

_BARS = (TradeType.SPOT, TradeType.UM_FUTURES, TradeType.CM_FUTURES)
_FUTURES = (TradeType.UM_FUTURES, TradeType.CM_FUTURES)


@dataclass(frozen=True)
class DescribedColumn:
    """A column of a table, and where there is one."""

    column: Column
    trade_types: tuple[TradeType, ...]
    """The markets whose tables have it."""


@dataclass(frozen=True)
class TableEntry:
    """Tables of one kind."""

    name: str
    rows: str
    """What one row is."""
    paths: tuple[str, ...]
    """Below the data directory; `<...>` is a part of a name, `[...]` may be absent."""
    schema: Callable[[TradeType], TableSchema]
    key: tuple[str, ...]
    """The columns that the rows are unique on and sorted by; empty: on none."""
    trade_types: tuple[TradeType, ...] = _BARS

    @property
    def columns(self) -> list[DescribedColumn]:
        """The columns of all markets, in the order of the files."""
        schemas = {each: self.schema(each) for each in self.trade_types}
        columns = {
            c.name: c for each in schemas.values() for c in reversed(each.columns)
        }
        return [
            DescribedColumn(
                columns[name], tuple(m for m, each in schemas.items() if name in each)
            )
            for name in _in_order([each.names() for each in schemas.values()])
        ]


def _in_order(orders: Iterable[list[str]]) -> list[str]:
    """Merge the columns of several markets, each after what stands before it."""
    merged: list[str] = []
    for names in orders:
        position = 0
        for name in names:
            if name not in merged:
                merged.insert(position, name)
            position = merged.index(name) + 1
    return merged


def _fixed(schema: TableSchema) -> Callable[[TradeType], TableSchema]:
    return lambda _: schema


def _with_symbol(schema: TableSchema) -> TableSchema:
    return TableSchema(SYMBOL, *schema.columns)


_path = layout.placeholders


def _growing(table: str) -> tuple[str, str]:
    """Return the paths of a table that is appended to, and of its parts."""
    return table, layout.table(layout.parts_of(table), "<part>")


def _of_bucket() -> tuple[TableEntry, ...]:
    every = tuple(TradeType)
    return (
        TableEntry(
            "Listing",
            "an object of the bucket: a zip or a CHECKSUM",
            (_path(layout.archive_table, table="listing[-<interval>]"),),
            _fixed(archive_tables.LISTING_SCHEMA),
            ("key",),
            every,
        ),
        TableEntry(
            "Symbols of the bucket",
            "a symbol that has a folder in the bucket",
            (_path(layout.archive_table, table="symbols"),),
            _fixed(archive_tables.SYMBOLS_SCHEMA),
            ("symbol",),
            every,
        ),
        TableEntry(
            "Ledger",
            "a revision of a file that was downloaded",
            _growing(layout.LEDGER),
            _fixed(archive_tables.LEDGER),
            ("key", "first_seen"),
            every,
        ),
        TableEntry(
            "Verification",
            "a zip on disk, and each damaged CHECKSUM",
            (_path(layout.archive_table, table="verification[-<interval>]"),),
            _fixed(archive_tables.VERIFICATION),
            ("path",),
            every,
        ),
        TableEntry(
            "Revisions",
            "a column that differs between two revisions of a zip; one row without a "
            "column where none does",
            _growing(layout.REVISIONS),
            _fixed(archive_tables.REVISIONS),
            ("key", "noticed_at", "column"),
        ),
        TableEntry(
            "Supplements",
            "a daily zip of a day that a monthly zip lacks, each time the partition "
            "was built from both",
            _growing(layout.SUPPLEMENTS),
            _fixed(archive_tables.SUPPLEMENTS),
            ("key", "recorded_at"),
        ),
    )


def _partitions() -> tuple[TableEntry, ...]:
    return tuple(
        _partition(entry) for entry in DATA_TYPES.values() if entry.table is not None
    )


def _partition(entry: DataType) -> TableEntry:
    describe = entry.table
    if describe is None:
        msg = f"{entry.name}: is not parsed"
        raise ValueError(msg)
    interval = "<interval>" if entry.has_intervals else None
    kinds = (
        (layout.partition, layout.backfill) if entry.has_api else (layout.partition,)
    )
    paths = [_path(kind, data_type=entry.name, interval=interval) for kind in kinds]
    if entry.has_api and entry.has_intervals:
        folder = f"{layout.BY_HAND}/<trade_type>/{entry.name}/<interval>"
        paths.append(layout.table(folder, "<symbol>-<first day>-<last day>"))
    described = describe(entry.trade_types[0])
    return TableEntry(
        entry.name,
        entry.row,
        tuple(paths),
        lambda trade_type: _with_symbol(describe(trade_type).schema),
        () if described.events else described.key,
        entry.trade_types,
    )


def _of_api() -> tuple[TableEntry, ...]:
    return (
        TableEntry(
            "Unanswered backfills",
            "a backfill that was refused an answer, or whose answer expires",
            _growing(layout.UNANSWERED),
            _fixed(api_tables.UNANSWERED),
            ("path", "recorded_at"),
        ),
        TableEntry(
            "Usage of the API",
            "a backfill that made requests",
            _growing(layout.API_USE),
            _fixed(api_tables.API_USE),
            ("requested_at", "path"),
        ),
    )


def _of_results() -> tuple[TableEntry, ...]:
    return (
        TableEntry(
            "Results",
            "a bar of a regular grid",
            (_path(layout.result), _path(layout.segment)),
            lambda trade_type: _with_symbol(columns.result_klines(trade_type)),
            ("open_time",),
        ),
        TableEntry(
            "Resampled bars",
            "a resampled bar",
            (_path(layout.resampled), _path(layout.resampled_segment)),
            lambda trade_type: _with_symbol(columns.resampled_klines(trade_type)),
            ("open_time",),
        ),
        TableEntry(
            "Funding",
            "a funding event of archive or API",
            (_path(layout.funding),),
            _fixed(_with_symbol(columns.FUNDING)),
            (),
            _FUTURES,
        ),
        TableEntry(
            "Segment files",
            "a file of one segment",
            (_path(layout.segments),),
            _fixed(columns.SEGMENT_FILES),
            ("name",),
        ),
        *_of_symbols(),
    )


def _of_symbols() -> tuple[TableEntry, ...]:
    return (
        TableEntry(
            "Gaps of a symbol",
            "a stretch between two traded bars that lacks published bars or splits, or "
            "the trimmed end of a symbol",
            (_path(layout.symbol_table, kind="gaps"),),
            _fixed(quality_tables.GAP_EVIDENCE),
            ("prev_open_time",),
        ),
        TableEntry(
            "Days of a symbol",
            "a UTC day",
            (_path(layout.symbol_table, kind="days"),),
            _fixed(quality_tables.DAYS),
            ("day",),
        ),
        TableEntry(
            "Conflicts",
            "a bar that lost to another of the same time, with different values",
            (
                _path(layout.symbol_table, kind="conflicts"),
                _path(layout.quality_table, kind="conflicts", series="<interval>"),
            ),
            quality_tables.conflicts,
            (),
        ),
        TableEntry(
            "Reconciliation",
            "a column of a symbol's resampled bars",
            (
                _path(layout.symbol_table, kind="reconciliation"),
                _path(layout.quality_table, kind="reconciliation", series="<interval>"),
            ),
            _fixed(quality_tables.RECONCILIATION),
            ("symbol", "interval", "column"),
        ),
        TableEntry(
            "Days that are not reconciled",
            "a day that differs from a resampled bar of the exchange",
            (_path(layout.symbol_table, kind="not_reconciled"),),
            _fixed(quality_tables.NOT_RECONCILED),
            ("day", "interval", "open_time"),
        ),
    )


def _of_quality() -> tuple[TableEntry, ...]:
    return (
        TableEntry(
            "Gaps, classified",
            "a gap of a symbol",
            (_path(layout.quality_table, kind="gaps", series="<interval>"),),
            _fixed(quality_tables.CLASSIFIED_GAPS),
            ("symbol", "prev_open_time"),
        ),
        TableEntry(
            "Condition",
            "a UTC day of a symbol",
            (
                _path(
                    layout.quality_table,
                    kind="condition",
                    series="<data_type>[-<interval>]",
                ),
            ),
            _fixed(quality_tables.CONDITION),
            ("symbol", "day"),
        ),
        TableEntry(
            "Volume checks",
            "a UTC day of a symbol that has bars and trades or aggTrades",
            (_path(layout.quality_table, kind="volume_checks", series=None),),
            _fixed(quality_tables.VOLUME_CHECKS),
            ("symbol", "day"),
        ),
    )


STAGES: Mapping[str, tuple[TableEntry, ...]] = {
    "The bucket": _of_bucket(),
    "Partitions and backfills": _partitions(),
    "The API": _of_api(),
    "Results": _of_results(),
    "Quality": _of_quality(),
}
"""All tables, by the part of the data directory that they belong to."""

TABLES = tuple(table for group in STAGES.values() for table in group)
"""All tables."""
