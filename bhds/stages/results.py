"""The files of the results stage: read inputs, call the pure functions, write.

Every file carries in its metadata what made it: stage, revision, the last UTC day
that it may hold, and the SHA-256 of each input in the order of time, that of funding
last.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import polars as pl

from bhds import layout
from bhds.bars import build, phase, resample, split
from bhds.bars import funding as events
from bhds.bars.merge import merge
from bhds.bars.phase import PhaseSource
from bhds.config import SplitRule
from bhds.core.errors import ResultError
from bhds.core.markets import Interval, TradeType
from bhds.core.resample_rule import ResampleRule
from bhds.core.unlisted import Unlisted, is_unlisted
from bhds.io import storage
from bhds.quality import conflicts, day_counts
from bhds.quality.evidence import Evidence
from bhds.schemas.klines import FUNDING


def write_results(
    partitions: Sequence[str],
    *,
    outputs: Mapping[str, str],
    settings: Mapping[str, Any],
    last_day: dt.date,
    trade_type: str,
    symbol: str,
    interval: str,
    funding: Sequence[str] = (),
) -> None:
    """Build one symbol's result, and what is known of it, from its partitions.

    Parameters
    ----------
    partitions
        Paths of Parquet files of `klines.parsed_klines`, in time order. What each
        was made from is next to it, in `<partition>.sources.json`.
    outputs
        Where the `result`, its `gaps` (`quality_tables.GAP_EVIDENCE`), its `days`
        (`quality_tables.DAYS`) and the `conflicts` of its bars
        (`quality_tables.conflicts`) go.
    settings
        `vwap`, `fill` (bool) and `split` (the fields of `config.SplitRule`), as in the
        dataset's `results`; `has_ended` (bool), whether it is known that the symbol
        trades no more; `is_trading` (bool), whether the exchange says that it does;
        `unlisted`, when it was not listed; and `contract_usd`, of COIN-M futures what
        one contract is worth, else None.
    last_day
        The last UTC day that the partitions cover; it goes into the metadata.
    trade_type, symbol, interval
        What the bars are of.
    funding
        Paths of the partitions and backfills of the symbol's funding, as for
        `write_funding`; none: without.

    Raises
    ------
    ResultError
        If a partition or the funding cannot be read or has other columns.
    """
    market, bars_of = TradeType(trade_type), Interval.parse(interval)
    merged = merge(
        [storage.read_rows(path) for path in partitions],
        trade_type=market,
        interval=bars_of,
    )
    built = build.build_results(
        merged.bars,
        trade_type=market,
        symbol=symbol,
        interval=bars_of,
        vwap=settings["vwap"],
        fill=settings["fill"],
        split=SplitRule(**settings["split"]),
        funding=_read_events(funding, unlisted=settings["unlisted"])
        if funding
        else None,
        has_ended=settings["has_ended"],
        is_trading=settings["is_trading"],
        unlisted=settings["unlisted"],
        contract_usd=settings["contract_usd"],
    )
    sources = [storage.read_sources(path) for path in partitions]
    known = Evidence.of(sources)
    tables = {
        "gaps": known.on_gaps(built.gaps, interval=built.interval),
        "days": day_counts.account(
            built.frame,
            known,
            conflicts=merged.conflicts,
            faults=day_counts.faults_of(
                merged.bars, trade_type=market, interval=built.interval
            ),
            symbol=symbol,
            interval=built.interval,
            last_day=last_day,
            has_ended=built.has_ended,
            unlisted=settings["unlisted"],
        ),
        "conflicts": conflicts.of_symbol(
            sources, merged.conflicts, trade_type=market, symbol=symbol
        ),
    }
    inputs = [*partitions, *funding]
    metadata = storage.provenance("results", build.REVISION, inputs)
    metadata["as_of"] = last_day.isoformat()
    metadata |= phase.to_metadata(built.interval, PhaseSource.PUBLISHED)
    ends = {
        "first_traded": built.first_traded,
        "last_traded": built.last_traded,
        "ended_at": built.ended_at,
    }
    of_gaps = {name: "" if t is None else t.isoformat() for name, t in ends.items()}
    of_gaps["known_to_have_ended"] = "yes" if settings["has_ended"] else ""
    for name, table in tables.items():
        more = {} if name == "conflicts" else of_gaps
        storage.write_parquet(table, outputs[name], metadata=metadata | more)
    counts = {name: str(count) for name, count in vars(built.counts).items()}
    storage.write_parquet(
        built.frame, outputs["result"], metadata=metadata | counts, symbol=symbol
    )


def write_funding(
    partitions: Sequence[str],
    *,
    output: str,
    symbol: str,
    last_day: dt.date,
    gaps: str | None = None,
    unlisted: Unlisted = (),
) -> None:
    """Merge the funding events of one contract, from the archive and the API.

    The exchange goes on to publish rates of a contract that is settled: events after
    the last traded bar of one that has ended are left out, and those while it was not
    listed.

    Parameters
    ----------
    partitions
        Paths of Parquet files of `datatypes.FUNDING`, partitions and backfills, in time
        order; there may be none.
    output
        Where the events go: `datatypes.FUNDING`, as `funding.merge_events` returns
        them. The metadata counts the rows read (`published`), the `events`, those of
        them that only the API has (`from_api`), and those left out (`after_end`).
    symbol
        The contract.
    last_day
        The last UTC day that the partitions cover; it goes into the metadata.
    gaps
        Path of the gaps that `write_results` wrote for the contract, which say when it
        ended; None or empty: not known.
    unlisted
        When it was not listed.

    Raises
    ------
    ResultError
        If a partition cannot be read or has other columns.
    """
    frames = [storage.read_rows(path, schema=FUNDING) for path in partitions]
    published = events.merge_events(frames)
    merged = published.filter(~is_unlisted(pl.col("funding_time"), unlisted))
    ended_at = storage.read_parquet_metadata(gaps).get("ended_at") if gaps else None
    if ended_at:
        end = dt.datetime.fromisoformat(ended_at)
        merged = merged.filter(pl.col("funding_time") < end)
    metadata = storage.provenance("funding", events.REVISION, partitions) | {
        "as_of": last_day.isoformat(),
        "published": str(sum(frame.height for frame in frames)),
        "events": str(merged.height),
        "from_api": str((merged["source"] == "api").sum()),
        "after_end": str(published.height - merged.height),
    }
    storage.write_parquet(merged, output, metadata=metadata, symbol=symbol)


def _read_events(partitions: Sequence[str], *, unlisted: Unlisted) -> pl.DataFrame:
    """Read and merge the funding events of one contract while it was listed."""
    frames = [storage.read_rows(path, schema=FUNDING) for path in partitions]
    merged = events.merge_events(frames)
    return merged.filter(~is_unlisted(pl.col("funding_time"), unlisted))


def write_resampled(
    result: str,
    *,
    outputs: Sequence[str],
    trade_type: str,
    interval: str,
    symbol: str,
    contract_usd: float | None,
    funding: str | None = None,
    phase_of: str | None = None,
) -> None:
    """Resample one symbol's result by several rules, reading it once.

    Parameters
    ----------
    result
        Path of the result.
    outputs
        Where the bars of each rule go: the name of the folder is the rule's.
    trade_type, interval, symbol
        What the result's bars are of.
    contract_usd
        As in `write_results`.
    funding
        Path of what `write_funding` wrote for the symbol; None or empty: without.
    phase_of
        Path of what shows the phase of the symbol's 3d bars: the result of 3d bars, or
        what `bhds.stages.phase.write_phase` wrote. None or empty if there is neither.

    Raises
    ------
    ResultError
        If the result, the funding or what shows the phase cannot be read.
    ConfigError
        If a rule does not fit the interval.
    """
    bars = storage.read_rows(result)
    paid = storage.read_rows(funding, schema=FUNDING) if funding else None
    of_result = storage.read_parquet_metadata(result)
    of_phase = _read_phase(phase_of) if phase_of else of_result
    more = {"base_interval": interval, "as_of": of_result.get("as_of", "")}
    inputs = [result, funding] if funding else [result]
    made_of = storage.provenance("resample", resample.REVISION, inputs) | more
    made_of_all = made_of
    if phase_of:
        inputs = [*inputs, phase_of]
        made_of_all = storage.provenance("resample", resample.REVISION, inputs) | more
    for path in outputs:
        rule = ResampleRule.parse(Path(path).parent.name)
        metadata = made_of
        if rule.interval.has_phase:
            known = phase.from_metadata(rule.interval, of_phase)
            rule = replace(rule, interval=known).phased_as(bars)
            source = of_phase.get("phase_source", PhaseSource.FIRST_TRADED_DAY)
            of_rule = phase.to_metadata(rule.interval, PhaseSource(source))
            metadata = made_of_all | of_rule
        longer = resample.resample(
            bars,
            trade_type=TradeType(trade_type),
            symbol=symbol,
            base=Interval.parse(interval),
            rule=rule,
            funding=paid,
            contract_usd=contract_usd,
        )
        storage.write_parquet(longer, path, metadata=metadata, symbol=symbol)


def write_segments(
    results: Sequence[str], *, segments: str, folders: Sequence[str]
) -> None:
    """List the segment files of some results, and remove those of none any more.

    Parameters
    ----------
    results
        Paths of results, each named after its symbol.
    segments
        Where the table goes (`klines.SEGMENT_FILES`).
    folders
        Where the segment files are. A file of a symbol listed here that has no such
        segment any more is removed.

    Raises
    ------
    ResultError
        If a result cannot be read.
    """
    symbols = {Path(path).stem for path in results}
    table = split.segments_table(
        {
            Path(path).stem: storage.read_rows(path, columns=["open_time", "segment"])
            for path in results
        }
    )
    names = set(table["name"])
    for file in chain.from_iterable(
        Path(folder).glob(f"*{layout.RESULT_SUFFIX}") for folder in folders
    ):
        if file.stem not in names and split.symbol_of(file.stem) in symbols:
            file.unlink()
    metadata = storage.provenance("split", split.REVISION, results)
    storage.write_parquet(table, segments, metadata=metadata)


def write_segment(result: str, *, segments: str, name: str, output: str) -> None:
    """Write the rows of one segment of a result, or of resampled bars.

    Raises
    ------
    ResultError
        If the table of segments has no file of that name.
    """
    row = pl.read_parquet(segments, glob=False).filter(pl.col("name") == name)
    if row.is_empty():
        msg = f"{output}: {segments} lists no segment file {name!r}; build split_all"
        raise ResultError(msg)
    rows = split.segment_rows(storage.read_rows(result), row["segment"][0])
    metadata = storage.provenance("split", split.REVISION, [result])
    metadata["as_of"] = storage.read_parquet_metadata(result).get("as_of", "")
    storage.write_parquet(rows, output, metadata=metadata, symbol=row["symbol"][0])


def _read_phase(path: str) -> dict[str, str]:
    """Read what a result, or the response of the API, records of a phase."""
    is_json = path.endswith(".json")
    read = storage.read_json if is_json else storage.read_parquet_metadata
    return phase.of_metadata(read(path))
