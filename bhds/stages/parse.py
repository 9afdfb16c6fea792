"""The files of the parse stage: read zips, call the parser, write a partition."""

import datetime as dt
import logging
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from bhds.archive.integrity.zip_input import ArchiveInput
from bhds.archive.keys import ArchiveFile
from bhds.core.markets import Interval, TradeType
from bhds.io import storage, unknown_fields
from bhds.parse import parse_table, revisions, unusable_zips
from bhds.parse.csv_reader import unknown_columns
from bhds.parse.kept_rows import KeptRowsError, KeptZip
from bhds.schemas import datatypes
from bhds.stages import raw_zips
from bhds.stages.earlier_layout import files_replaced_by
from bhds.stages.fetch import listed_rows
from bhds.stages.supplements import fetch_missing_days

logger = logging.getLogger(__name__)


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
    discards_by: Mapping[str, Any] | None = None,
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
    discards_by
        That configuration, by which zips are fetched here where they are needed, and
        discarded at the end (see `bhds.stages.raw_zips`); None: they exist, and stay.

    Raises
    ------
    ConfigError
        If the archive does not publish such a series, or its files are not parsed.
    ParseError
        If a zip does not exist. Bad content is an integrity status in the sources.
    FetchError
        If a zip could not be had that is to be fetched here.
    """
    market = TradeType(trade_type)
    spacing = None if interval is None else Interval.parse(interval)
    described: dict[str, Any] = {
        "trade_type": market,
        "data_type": data_type,
        "symbol": symbol,
        "partition": partition,
        **days,
    }

    def built(kept: Mapping[str, KeptZip]) -> dict[str, Any]:
        """Write the partition, and return its sources; zips kept are not read."""
        inputs = _inputs(
            zips
            if discards_by is None
            else raw_zips.available(
                zips, kept=kept, before=before, settings=discards_by
            )
        )
        supplements_of = partial(fetch_missing_days, settings=settings, kept=kept)
        if _is_large(data_type, market, interval=interval):
            # Here for its pyarrow: a third of the start of all other jobs.
            from bhds.parse import parse_streaming  # noqa: PLC0415

            with storage.replacing(partition_path) as unfinished:

                def parse_into_file(inputs: Sequence[ArchiveInput]) -> dict[str, Any]:
                    return parse_streaming.parse_large(
                        inputs,
                        target=unfinished,
                        metadata=_metadata,
                        kept=kept,
                        **described,
                    )

                sources = parse_into_file(inputs)
                if more := supplements_of(sources):
                    sources = parse_into_file([*inputs, *_inputs(more)])
                storage.write_json(sources, sources_path)
            return sources
        parsed = parse_table.parse_table(
            inputs, interval=spacing, kept=kept, **described
        )
        if more := supplements_of(parsed.sources):
            inputs += _inputs(more)
            parsed = parse_table.parse_table(
                inputs, interval=spacing, kept=kept, **described
            )
        storage.write_json(parsed.sources, sources_path)
        metadata = _metadata(parsed.sources)
        storage.write_parquet(
            parsed.frame, partition_path, metadata=metadata, symbol=symbol
        )
        return parsed.sources

    with revisions.recording(
        partition_path, sources_path=sources_path, stays=discards_by is not None
    ) as before:
        kept: Mapping[str, KeptZip] = {}
        if discards_by is not None and before is not None:
            kept = raw_zips.kept(
                *before,
                zips=zips,
                days=days,
                is_large=_is_large(data_type, market, interval=interval),
            )
        try:
            sources = built(kept)
        except KeptRowsError as error:
            logger.warning("%s; all its zips are fetched again", error)
            sources = built({})
        if discards_by is not None:
            raw_zips.check(partition_path, sources)
        unusable_zips.record(Path(), sources_path, sources)
        _warn_of_new_columns(sources)
    if discards_by is not None:
        raw_zips.discard(sources)
    for path in files_replaced_by(partition_path):
        path.unlink()


def _warn_of_new_columns(sources: Mapping[str, Any]) -> None:
    """Warn of columns that the registry does not know, once a run."""
    warnings = [text for entry in sources["inputs"] for text in entry["warnings"]]
    where = f"{sources['trade_type']} {sources['data_type']} of the archive"
    unknown_fields.warn_once(Path(), where, unknown_columns(warnings))


def _is_large(data_type: str, trade_type: TradeType, *, interval: str | None) -> bool:
    """Return whether the files of a series are parsed piece by piece."""
    describe = datatypes.data_type(data_type).table
    is_large = describe is not None and describe(trade_type).is_large
    return interval is None and is_large


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
