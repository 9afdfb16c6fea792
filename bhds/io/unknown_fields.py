"""Warn once a run of the fields and columns that the exchange added, by name.

They are not read. One job warns of each, whichever meets it first.
"""

import logging
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import quote

from bhds import layout

logger = logging.getLogger(__name__)


def warn_once(data_dir: Path, where: str, names: Iterable[str]) -> None:
    """Warn of fields, unless a job of this run has.

    Parameters
    ----------
    data_dir
        The data directory.
    where
        What has them, as the warning says it.
    names
        Their names as published.
    """
    for name in sorted(names):
        note = quote(f"{where} {name}", safe=" ")[:200]
        path = data_dir / layout.UNKNOWN_FIELDS / note
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            path.touch(exist_ok=False)
        except FileExistsError:
            continue
        logger.warning(
            "%s: has a new field %r, which is ignored; look whether BHDS has a newer "
            "version",
            *(where, name),
        )


def forget(data_dir: Path) -> None:
    """Begin a run: what the last one warned of is warned of again."""
    for path in (data_dir / layout.UNKNOWN_FIELDS).glob("*"):
        path.unlink(missing_ok=True)
