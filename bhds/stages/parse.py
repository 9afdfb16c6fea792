"""The files of the parse stage: read zips, call the parser, write a partition."""

import datetime as dt
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bhds.archive.integrity.zip_input import ArchiveInput
from bhds.archive.keys import ArchiveFile
from bhds.core.markets import Interval, TradeType
from bhds.io import storage, unknown_fields
from bhds.parse import parse_table, revisions, unusable_zips
from bhds.parse.csv_reader import unknown_columns
from bhds.schemas import datatypes
from bhds.stages.earlier_layout import files_replaced_by
from bhds.stages.fetch import listed_rows
from bhds.stages.supplements import fetch_missing_days


def write_partition(
    zips: Sequence[str],
    *,
    partition_path: str,
    sources_path: str,
    days: Mapping[str, dt.date | None],
    trade_type: str,
    data_type: str,
    symbol: str,
    partition: str,
    interval: str | None = None,
    settings: Mapping[str, Any] | None = None,
) -> None:
    """Parse the zips of one partition of one symbol, and write it with its sources.

    Where a monthly zip misses days, daily zips are fetched and parsed with it (see
    `bhds.stages.supplements`). The sources are written first, so that a partition is
    never next to those of another.

    Parameters
    ----------
    zips
        Paths of zips, relative to the data directory, which is the current one. The
        CHECKSUM of each is looked for beside it.
    partition_path, sources_path
        Where the partition and its sources go.
    days
        `first_day` and `last_day`: the UTC days that the partition may hold.
    trade_type, data_type, symbol, partition, interval
        What the partition is of; the interval is None if the data type has none.
    settings
        The configuration as read from YAML and the command line, by which daily zips
        are fetched; None if they are not wanted.

    Raises
    ------
    ConfigError
        If the archive does not publish such a series, or its files are not parsed.
    ParseError
        If a zip does not exist. Bad content is an integrity status in the sources.
    """
    inputs = _inputs(zips)
    market = TradeType(trade_type)
    described: dict[str, Any] = {
        "trade_type": market,
        "data_type": data_type,
        "symbol": symbol,
        "partition": partition,
        **days,
    }
    with revisions.recording(partition_path, sources_path=sources_path):
        if interval is None and _is_large(data_type, market):
            # Here for its pyarrow: a third of the start of all other jobs.
            from bhds.parse import parse_streaming  # noqa: PLC0415

            with storage.replacing(partition_path) as partial:

                def parse_into_file(inputs: Sequence[ArchiveInput]) -> dict[str, Any]:
                    return parse_streaming.parse_large(
                        inputs, target=partial, metadata=_metadata, **described
                    )

                sources = parse_into_file(inputs)
                if more := fetch_missing_days(sources, settings=settings):
                    sources = parse_into_file([*inputs, *_inputs(more)])
                storage.write_json(sources, sources_path)
            unusable_zips.record(Path(), sources_path, sources)
            _warn_of_new_columns(sources)
            return
        spacing = None if interval is None else Interval.parse(interval)
        parsed = parse_table.parse_table(inputs, interval=spacing, **described)
        if more := fetch_missing_days(parsed.sources, settings=settings):
            inputs += _inputs(more)
            parsed = parse_table.parse_table(inputs, interval=spacing, **described)
        storage.write_json(parsed.sources, sources_path)
        metadata = _metadata(parsed.sources)
        storage.write_parquet(
            parsed.frame, partition_path, metadata=metadata, symbol=symbol
        )
        unusable_zips.record(Path(), sources_path, parsed.sources)
        _warn_of_new_columns(parsed.sources)
    for path in files_replaced_by(partition_path):
        path.unlink()


def _warn_of_new_columns(sources: Mapping[str, Any]) -> None:
    """Warn of columns that the registry does not know, once a run."""
    warnings = [text for entry in sources["inputs"] for text in entry["warnings"]]
    where = f"{sources['trade_type']} {sources['data_type']} of the archive"
    unknown_fields.warn_once(Path(), where, unknown_columns(warnings))


def _is_large(data_type: str, trade_type: TradeType) -> bool:
    """Return whether the files of a data type are parsed piece by piece."""
    describe = datatypes.data_type(data_type).table
    return describe is not None and describe(trade_type).is_large


def _metadata(sources: Mapping[str, Any]) -> dict[str, str]:
    """Return what a partition's Parquet file says of how it was made."""
    return {
        "stage": "parse",
        "revision": str(sources["revision"]),
        "as_of": sources["last_day"] or "",
        "inputs": " ".join(source["sha256"] for source in sources["inputs"]),
    }


def _inputs(zips: Sequence[str]) -> list[ArchiveInput]:
    listed = listed_rows(zips)
    files = [ArchiveFile.from_path(path) for path in zips]
    return [
        ArchiveInput(
            Path(file.path), file.key, file.frequency, _etag(listed.get(file.key))
        )
        for file in files
    ]


def _etag(row: Mapping[str, Any] | None) -> str | None:
    return row["etag"] if row else None
