"""The registry of what the archive publishes: one entry for each data type.

An entry says in which markets and at which frequencies a data type is published,
in which intervals and until when, what the columns of its files are, and what its
partitions hold. It stands in the module of its family, below the description of its
table. Planning, parsing and the documentation read it; a further data type is a further
entry (CONTRIBUTING.md, "Adding a data type").

Notes
-----
Columns and feeds are those of the README of binance/binance-public-data, of the
bucket's folders as listed on 2026-10-05, and of genuine files; the ends of feeds are
those of its issues #334, #337, #372, #380, #420 and #499.
"""

import difflib

from bhds.core.errors import ConfigError
from bhds.schemas.datatypes import (
    bars,
    book,
    funding,
    liquidations,
    metrics,
    options,
    trades,
)
from bhds.schemas.datatypes.entry import FUNDING, DataType, Feed, PartitionSize

__all__ = [
    "BAR_TYPES",
    "DATA_TYPES",
    "FUNDING",
    "RECORD_TYPES",
    "DataType",
    "Feed",
    "PartitionSize",
    "data_type",
]

DATA_TYPES = {
    entry.name: entry
    for entry in (
        *bars.DATA_TYPES,
        *funding.DATA_TYPES,
        *liquidations.DATA_TYPES,
        *metrics.DATA_TYPES,
        *trades.DATA_TYPES,
        *book.DATA_TYPES,
        *options.DATA_TYPES,
    )
}
"""All data types by name."""

BAR_TYPES = tuple(name for name, entry in DATA_TYPES.items() if entry.has_intervals)
"""Those whose symbol folders hold one folder for each interval."""

RECORD_TYPES = tuple(name for name in DATA_TYPES if name not in BAR_TYPES)
"""Those whose symbol folders hold the files."""


def data_type(name: str) -> DataType:
    """Return the entry of a data type.

    Raises
    ------
    ConfigError
        If there is none of that name.
    """
    if name not in DATA_TYPES:
        near = difflib.get_close_matches(name, DATA_TYPES, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}? " if near else ""
        msg = f"data type {name!r}: {hint}expected one of {', '.join(DATA_TYPES)}"
        raise ConfigError(msg)
    return DATA_TYPES[name]
