"""The paths of the data directory, relative to it; no other module spells one.

A kind of file or folder is a function of its fields. The fields have the names that
settings, columns and wildcards have: `trade_type`, `frequency`, `data_type`, `symbol`,
`interval`, `partition`, `rule` and `segment`. `wildcards`, `placeholders`, `glob_of`
and `regex` derive the pattern of all files of a kind from its function.
"""

import glob
import inspect
import os
import re
from collections.abc import Callable, Mapping
from typing import Final

from bhds.core.markets import Frequency, TradeType

AWS: Final = "aws_data"
PARSED: Final = "parsed_data"
API: Final = "api_data"
RESULTS: Final = "results_data"
REPORTS: Final = "reports"
STAGES: Final = (AWS, PARSED, API, RESULTS, REPORTS)
"""The folders of produced files, in the order in which they are made."""

STAGING = f"{AWS}/.staging"
"""Where downloads wait for the end of their batch, by their path below `aws_data`."""
QUARANTINE = f"{AWS}/.quarantine"
"""Where damaged files go, below the data directory: by their path below `aws_data`,
and behind the name the first digits of the SHA-256 that was found."""
REFUSALS = f"{API}/.refused"
BY_HAND = f"{API}/by_hand"
UNKNOWN_FIELDS = "logs/.unknown_fields"
LEDGER = f"{AWS}/ledger.parquet"
REVISIONS = f"{AWS}/revisions.parquet"
SUPPLEMENTS = f"{AWS}/supplements.parquet"
UNUSABLE_ZIPS = f"{AWS}/unusable.parquet"
UNANSWERED = f"{API}/unanswered.parquet"
API_USE = f"{API}/usage.parquet"
REPORT = f"{REPORTS}/quality.html"

TABLE_SUFFIX: Final = ".parquet"
RESULT_SUFFIX: Final = ".pqt"
SYMBOL_TABLES = ("gaps", "days", "conflicts", "reconciliation", "not_reconciled")
"""The folders of tables next to results, each with one file per symbol."""

WHOLE_HISTORY: Final = "all"
"""The partition that covers all history of a symbol; others are of a year or month."""

_PART = "[^/]+"
FIELDS: Final = {
    "trade_type": "|".join(TradeType),
    "frequency": "|".join(Frequency),
    "data_type": "[A-Za-z][A-Za-z0-9]*",
    "symbol": _PART,
    "interval": "[0-9]+(?:s|m|h|d|w|mo)",
    "partition": f"[0-9]{{4}}(?:-[0-9]{{2}})?|{WHOLE_HISTORY}",
    "rule": _PART,
    "segment": _PART,
    "kind": "[a-z_]+",
    "series": "[A-Za-z][A-Za-z0-9]*(?:-[0-9a-z]+)?|[0-9]+[a-z]+",
}
"""The regular expression of each field; of others it is that of a part of a path."""


# --- patterns of a kind of file -----------------------------------------------------


def wildcards(render: Callable[..., str], /, **known: str | None) -> str:
    """Return the pattern that Snakemake knows: `{symbol}` for a field not known."""
    return _fill(render, "{{{}}}", known)


def placeholders(render: Callable[..., str], /, **known: str | None) -> str:
    """Return the path as documents show it: `<symbol>` for a field not known."""
    return _fill(render, "<{}>", known)


def glob_of(render: Callable[..., str], /, **known: str | None) -> str:
    """Return the pattern for `Path.glob`: `*` for a field not known."""
    escaped = {name: value and glob.escape(value) for name, value in known.items()}
    return _fill(render, "*", escaped)


def regex(render: Callable[..., str], /, **known: str | None) -> str:
    """Return the regular expression whose groups are the fields.

    `known` has expressions that are narrower than those of `FIELDS`; None leaves out
    an optional field.
    """
    left_out = {name: None for name, value in known.items() if value is None}
    pattern = re.escape(_fill(render, "<{}>", left_out))
    expressions = dict.fromkeys(_names(render), _PART) | FIELDS | known
    for name, expression in expressions.items():
        pattern = pattern.replace(f"<{name}>", f"(?P<{name}>{expression})")
    return pattern


def fields_of(render: Callable[..., str], path: str, /) -> dict[str, str] | None:
    """Read the fields of a path; None if it is none of the kind."""
    match = re.fullmatch(regex(render), path)
    return match and match.groupdict()


def _fill(
    render: Callable[..., str], form: str, known: Mapping[str, str | None]
) -> str:
    return render(**{**{name: form.format(name) for name in _names(render)}, **known})


def _names(render: Callable[..., str]) -> list[str]:
    return list(inspect.signature(render).parameters)


# --- the bucket's files -------------------------------------------------------------


def archive_folder(trade_type: str, frequency: str, data_type: str) -> str:
    """Return the folder of the zips and the listings of a data type."""
    return f"{AWS}/{trade_type}/{frequency}/{data_type}"


def archive_symbol_folder(
    trade_type: str, frequency: str, data_type: str, symbol: str, interval: str | None
) -> str:
    """Return the folder of the zips of a symbol."""
    layer = "" if interval is None else f"/{interval}"
    return f"{AWS}/{trade_type}/{frequency}/{data_type}/{symbol}{layer}"


def archive_table(trade_type: str, frequency: str, data_type: str, table: str) -> str:
    """Return a table next to zips: `symbols`, `listing-1m` or `verification-1m`."""
    return f"{AWS}/{trade_type}/{frequency}/{data_type}/{table}.parquet"


# --- partitions and backfills -------------------------------------------------------


def parsed_folder(
    trade_type: str, data_type: str, symbol: str, interval: str | None
) -> str:
    """Return the folder of the partitions of a symbol."""
    layer = "" if interval is None else f"/{interval}"
    return f"{PARSED}/{trade_type}/{data_type}/{symbol}{layer}"


def backfill_folder(
    trade_type: str, data_type: str, symbol: str, interval: str | None
) -> str:
    """Return the folder of the backfills of a symbol."""
    layer = "" if interval is None else f"/{interval}"
    return f"{API}/{trade_type}/{data_type}/{symbol}{layer}"


def table(folder: str, name: str) -> str:
    """Return a table of a folder: a partition, a backfill, the gaps of a symbol."""
    return f"{folder}/{name}.parquet"


def bars(folder: str, name: str) -> str:
    """Return a file of a folder of results: the bars of a symbol or a segment."""
    return f"{folder}/{name}.pqt"


def partition(
    trade_type: str, data_type: str, symbol: str, interval: str | None, partition: str
) -> str:
    """Return a partition: the archive's rows of a month, a year or all history."""
    return table(parsed_folder(trade_type, data_type, symbol, interval), partition)


def backfill(trade_type: str, data_type: str, symbol: str, interval: str | None) -> str:
    """Return a backfill: the rows of a symbol that partitions miss and the API has."""
    folder = backfill_folder(trade_type, data_type, symbol, interval)
    return table(folder, WHOLE_HISTORY)


def sources_of(table: str | os.PathLike[str]) -> str:
    """Return where the provenance of a partition or backfill is."""
    return f"{os.fspath(table).removesuffix('.parquet')}.sources.json"


def responses_of(backfill: str | os.PathLike[str]) -> str:
    """Return the journal of the responses that a backfill or a phase is built from."""
    return f"{os.fspath(backfill).rpartition('.')[0]}.answers.jsonl"


def phase(trade_type: str, symbol: str) -> str:
    """Return the API's answer that shows on which days 3d bars open."""
    return f"{API}/{trade_type}/klines/{symbol}/phase.json"


def exchange_info(trade_type: str) -> str:
    """Return the record of what the exchange says of its symbols."""
    return f"{API}/{trade_type}/exchangeInfo.json"


# --- results ------------------------------------------------------------------------


def result_folder(trade_type: str, interval: str) -> str:
    """Return the folder of the results of klines."""
    return f"{RESULTS}/{trade_type}/klines/{interval}"


def result(trade_type: str, interval: str, symbol: str) -> str:
    """Return the result of the klines of a symbol."""
    return f"{RESULTS}/{trade_type}/klines/{interval}/{symbol}.pqt"


def symbol_table(trade_type: str, interval: str, kind: str, symbol: str) -> str:
    """Return a table next to a result, of a kind of `SYMBOL_TABLES`."""
    return f"{RESULTS}/{trade_type}/klines/{interval}/{kind}/{symbol}.parquet"


def funding(trade_type: str, symbol: str) -> str:
    """Return the funding events of a contract."""
    return f"{RESULTS}/{trade_type}/fundingRate/{symbol}.pqt"


def resampled_folder(trade_type: str, rule: str) -> str:
    """Return the folder of the bars that a rule makes."""
    return f"{RESULTS}/{trade_type}/resampled_klines/{rule}"


def resampled(trade_type: str, rule: str, symbol: str) -> str:
    """Return the resampled bars of a symbol."""
    return f"{RESULTS}/{trade_type}/resampled_klines/{rule}/{symbol}.pqt"


def segment_folder(trade_type: str, interval: str) -> str:
    """Return the folder of the segments of results."""
    return f"{RESULTS}/{trade_type}/split_klines/{interval}"


def segment(trade_type: str, interval: str, segment: str) -> str:
    """Return the bars of a segment."""
    return f"{RESULTS}/{trade_type}/split_klines/{interval}/{segment}.pqt"


def segments(trade_type: str, interval: str) -> str:
    """Return the table of the segments of all symbols."""
    return f"{RESULTS}/{trade_type}/split_klines/{interval}/segments.parquet"


def resampled_segment_folder(trade_type: str, rule: str) -> str:
    """Return the folder of the segments of resampled bars."""
    return f"{RESULTS}/{trade_type}/split_resampled_klines/{rule}"


def resampled_segment(trade_type: str, rule: str, segment: str) -> str:
    """Return the resampled bars of a segment."""
    return f"{RESULTS}/{trade_type}/split_resampled_klines/{rule}/{segment}.pqt"


def quality_table(trade_type: str, kind: str, series: str | None) -> str:
    """Return a table of all symbols, such as `gaps` of `1m`."""
    layer = "" if series is None else f"-{series}"
    return f"{RESULTS}/{trade_type}/quality/{kind}{layer}.parquet"


def parts_of(table: str) -> str:
    """Return the folder of the parts that are not yet merged into a table."""
    return f"{table.removesuffix('.parquet')}.d"
