"""Complete words in a shell: known words, and symbols of the existing listings.

No server is contacted. After an error there are no completions, because a shell cannot
show messages.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import typer

from bhds import layout
from bhds.core.errors import BhdsError
from bhds.core.markets import ARCHIVE_INTERVALS

_CONTRACT_TYPES = ("PERPETUAL", "DELIVERY", "TRADIFI_PERPETUAL", "SETTLED", "any")
_FREQUENCIES = ("auto", "monthly", "daily")


def intervals(incomplete: str) -> list[str]:
    """Return the intervals of the archive that begin with the typed text."""
    return _beginning(ARCHIVE_INTERVALS, incomplete)


def contract_types(incomplete: str) -> list[str]:
    """Return the contract types that begin with the typed text."""
    return _beginning(_CONTRACT_TYPES, incomplete)


def frequencies(incomplete: str) -> list[str]:
    """Return the choices of zips that begin with the typed text."""
    return _beginning(_FREQUENCIES, incomplete)


def symbols(context: typer.Context, incomplete: str) -> list[str]:
    """Return the symbols that begin with the typed text, from the existing listings.

    Only symbols of the typed market, if there is one; lower-case letters match too.
    """
    given = context.params
    try:
        names = _listed(_data_dir(given), trade_type=given.get("trade_type"))
    except (BhdsError, OSError):
        return []
    typed = set(given.get("symbols") or ())
    return [name for name in _beginning(names, incomplete.upper()) if name not in typed]


def _beginning(words: Iterable[str], incomplete: str) -> list[str]:
    return [word for word in words if word.startswith(incomplete)]


def _data_dir(given: dict[str, Any]) -> Path:
    # Imported late: most completions are of commands and options.
    from bhds.cli.settings import read_data_dir  # noqa: PLC0415

    return read_data_dir(
        given.get("configfiles"),
        values=given.get("config") or (),
        data_dir=given.get("data_dir"),
    )


def _listed(data_dir: Path, *, trade_type: str | None) -> list[str]:
    import polars as pl  # noqa: PLC0415 -- as above

    known = {"trade_type": trade_type} if trade_type else {}
    pattern = layout.glob_of(layout.archive_table, table="symbols", **known)
    paths = sorted(data_dir.glob(pattern))
    try:
        tables = [
            pl.read_parquet(path, columns=["symbol"], glob=False) for path in paths
        ]
    except pl.exceptions.PolarsError:
        return []
    return sorted({name for table in tables for name in table["symbol"]})
