"""Until which day a table of the condition of days has each symbol."""

import datetime as dt
import json
from collections.abc import Mapping


def to_metadata(as_of: dt.date, ends: Mapping[str, dt.date]) -> dict[str, str]:
    """Return the metadata of a table: the last day, and that of symbols with fewer."""
    dated = {"as_of": as_of.isoformat()}
    if ends:
        days = {symbol: end.isoformat() for symbol, end in ends.items()}
        dated["ends"] = json.dumps(days, ensure_ascii=False)
    return dated


def of_metadata(metadata: Mapping[str, str]) -> tuple[dt.date, dict[str, dt.date]]:
    """Return the last day of a table, and that of symbols with fewer days."""
    ends = json.loads(metadata.get("ends", "{}"))
    return dt.date.fromisoformat(metadata["as_of"]), {
        symbol: dt.date.fromisoformat(day) for symbol, day in ends.items()
    }
