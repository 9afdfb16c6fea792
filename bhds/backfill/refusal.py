"""Share among the jobs of a run what a market's API refuses.

The first job that is refused for this place warns; the others neither send requests
nor warn. An error code that nobody knows is of the one symbol that got it, unless the
first symbols of the market all got the same, and none an answer: then it is of the
market, as a refusal of this place is.
"""

import json
import shutil
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from bhds import layout
from bhds.api.codes import ApiRefusal

_ENOUGH_SYMBOLS = 20
"""So many symbols of a market, all refused with one unknown code, are the market."""
_NAMED = 5
"""So many symbols are named at the end of a run."""


class SymbolRefusal(NamedTuple):
    """One backfill of a symbol that was refused."""

    path: str
    refusal: ApiRefusal


def note(data_dir: Path, market: str, *, message: str) -> bool:
    """Record that a market refuses; return whether it is the first of the run."""
    path = _path(data_dir, market)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(message)
    except FileExistsError:
        return False
    return True


def note_unknown_field(data_dir: Path, market: str, *, field: str) -> bool:
    """Record that answers have a field that is not known; return whether it is new."""
    return note(data_dir, f"{market}.field {quote(field, safe=' ')}", message=field)


def known(data_dir: Path, market: str) -> str | None:
    """Return what was said of a refusal in this run; None if there was none."""
    try:
        return _path(data_dir, market).read_text(encoding="utf-8")
    except FileNotFoundError:
        return None


def note_answer(data_dir: Path, market: str) -> None:
    """Record that a market answers: an unknown code is not of the market then."""
    path = _answered(data_dir, market)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


def note_symbol(
    data_dir: Path, market: str, symbol: str, *, path: str, refusal: ApiRefusal
) -> None:
    """Record that a market refuses one symbol, of which a backfill was to be made."""
    file = _symbols(data_dir, market) / symbol
    file.parent.mkdir(parents=True, exist_ok=True)
    line = json.dumps([path, *refusal]) + "\n"
    with file.open("a", encoding="utf-8") as lines:
        lines.write(line)
    if refusal.is_documented:
        note_answer(data_dir, market)


def refused_symbols(data_dir: Path, market: str) -> dict[str, list[SymbolRefusal]]:
    """Return what this run recorded of the symbols that a market refuses, by name."""
    return {
        file.name: [
            SymbolRefusal(path, ApiRefusal(code, message))
            for path, code, message in map(
                json.loads, file.read_text(encoding="utf-8").splitlines()
            )
        ]
        for file in sorted(_symbols(data_dir, market).glob("*"))
    }


def of_market(data_dir: Path, market: str) -> list[SymbolRefusal]:
    """Return the refusals that are the market's and not the symbols'; else none.

    They are if the first 20 symbols were all refused with one code that is not
    documented, and no symbol was answered.
    """
    if _answered(data_dir, market).exists():
        return []
    symbols = refused_symbols(data_dir, market)
    found = [refusal for each in symbols.values() for refusal in each]
    is_one_code = len({refusal.code for _, refusal in found}) == 1
    return found if is_one_code and len(symbols) >= _ENOUGH_SYMBOLS else []


def message(data_dir: Path) -> str | None:
    """Log at the end of a run which symbols were refused with which codes."""
    symbols: dict[tuple[str, int], dict[str, str]] = defaultdict(dict)
    for folder in sorted((data_dir / layout.REFUSALS).glob("*.symbols")):
        market = folder.name.removesuffix(".symbols")
        if known(data_dir, market) is None:
            for symbol, refusals in refused_symbols(data_dir, market).items():
                for _, (code, reason) in refusals:
                    symbols[market, code][symbol] = reason
    lines = [
        f"bhds: warning: the API of {market} refused {len(found):,} symbol(s) with "
        f"code {code} ({next(iter(found.values()))}): {_some(found)}; their bars and "
        "events are the archive's alone (see `refused` in the sources of api_data)"
        for (market, code), found in sorted(symbols.items())
    ]
    return "\n".join(lines) or None


def forget(data_dir: Path) -> None:
    """Begin a run: what was refused in the last one may be requested again."""
    shutil.rmtree(data_dir / layout.REFUSALS, ignore_errors=True)


def _some(symbols: Mapping[str, str]) -> str:
    names = list(symbols)
    more = "" if len(names) <= _NAMED else f" and {len(names) - _NAMED:,} more"
    return ", ".join(names[:_NAMED]) + more


def _path(data_dir: Path, market: str) -> Path:
    return data_dir / layout.REFUSALS / market


def _answered(data_dir: Path, market: str) -> Path:
    return data_dir / layout.REFUSALS / f"{market}.answered"


def _symbols(data_dir: Path, market: str) -> Path:
    return data_dir / layout.REFUSALS / f"{market}.symbols"
