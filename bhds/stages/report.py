"""The file of the report stage: read what is known, lay it out, write the page."""

import datetime as dt
import logging
from collections.abc import Sequence
from pathlib import Path

from bhds.io import storage
from bhds.report import findings, page
from bhds.report.sections import sections

logger = logging.getLogger(__name__)


def write_report(
    tables: Sequence[str],
    *,
    output: Path | str,
    as_of: dt.date,
    data_dir: Path | str = ".",
) -> None:
    """Write the quality report: one HTML page that needs nothing else.

    Parameters
    ----------
    tables
        The quality tables of all markets, by their paths below the data directory;
        none if nothing is parsed.
    output
        Where the page goes.
    as_of
        The last UTC day wanted.
    data_dir
        The data directory. Besides the tables, the records of downloads, revisions
        and requests are read, the sources of partitions, and the results of the symbols
        that are drawn.

    Raises
    ------
    BhdsError
        If a file cannot be read.
    """
    found = findings.gather(tables, data_dir=Path(data_dir))
    symbols = (
        found.days.select("market", "symbol").unique().sort("market", "symbol").rows()
        if found.days.height
        else []
    )
    text = page.render(sections(found), symbols=symbols, as_of=as_of)
    with storage.replacing(output) as partial:
        partial.write_text(text, encoding="utf-8")
    logger.info("%s: %d bytes", output, len(text.encode()))
