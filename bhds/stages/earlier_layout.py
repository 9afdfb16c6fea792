"""Files of an earlier layout, which one table of all history replaces."""

import re
from pathlib import Path

from bhds import layout

_OF_PERIOD = re.compile(
    r"[0-9]{4}(-[0-9]{2})?\.(parquet|sources\.json|answers\.jsonl)", re.ASCII
)


def files_replaced_by(table: str) -> list[Path]:
    """Return the files of years and months in the folder of a table, sorted by name.

    None if the table is of a year or month itself.
    """
    path = Path(table)
    if path.stem != layout.WHOLE_HISTORY:
        return []
    found = path.parent.glob("[0-9]*")
    return sorted(each for each in found if _OF_PERIOD.fullmatch(each.name))
