"""Stop the downloads of a run when their server cannot be reached any more.

The batches of a run are processes that do not know of each other. Each that reaches no
server leaves a note; after three in a row, the others fail at once with one message.
The next run begins without notes (`progress.begin_run`).
"""

import json
from pathlib import Path
from typing import Any

from bhds.archive.download.progress import folder_of
from bhds.core.errors import FetchError
from bhds.io.storage import replacing

MOST_BATCHES = 3
"""How many batches in a row may reach no server before all others are given up."""

_NOTE = "unreachable.json"


def refuse(data_dir: Path, *, base_url: str) -> None:
    """Check that the last batches of this run reached their server.

    Raises
    ------
    FetchError
        If too many did not.
    """
    note = _read(data_dir)
    if note["batches"] >= MOST_BATCHES:
        msg = (
            f"download: {base_url}: not reached by {MOST_BATCHES} batches in a row "
            f"({note['cause']}), so no further one is tried; expected a server that "
            "answers, check network, endpoints.archive_download and http.proxy, and "
            "run the same command again"
        )
        raise FetchError(msg)


def note(data_dir: Path, *, cause: str | None) -> None:
    """Note that a batch reached no server, and why; None: that it did reach it."""
    path = folder_of(data_dir) / _NOTE
    if cause is None:
        path.unlink(missing_ok=True)
        return
    # Two batches at once may count as one: then one more is tried.
    content = {"batches": _read(data_dir)["batches"] + 1, "cause": cause}
    with replacing(path) as partial:
        partial.write_text(json.dumps(content), encoding="utf-8")


def _read(data_dir: Path) -> dict[str, Any]:
    try:
        path = folder_of(data_dir) / _NOTE
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return {"batches": 0, "cause": ""}
    return content
