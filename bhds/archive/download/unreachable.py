"""Stop the downloads of a run when their server cannot, or must not, be reached.

The batches of a run are processes that do not know of each other. Each that reaches no
server leaves a note; after three in a row, the others fail at once with one message. So
do all if the settings are `offline`: the main process leaves that message.
The next run begins without notes (`progress.begin_run`).
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bhds.archive.download.progress import folder_of
from bhds.core.errors import FetchError
from bhds.io.storage import replacing

MOST_BATCHES = 3
"""How many batches in a row may reach no server before all others are given up."""

_NOTE = "unreachable.json"
_NAMED = 3


def refuse(data_dir: Path, *, base_url: str) -> None:
    """Check that the last batches of this run reached their server, and that all may.

    Raises
    ------
    FetchError
        If too many did not, or none may.
    """
    note = _read(data_dir)
    if message := note.get("message"):
        raise FetchError(message)
    if note["batches"] >= MOST_BATCHES:
        msg = (
            f"download: {base_url}: not reached by {MOST_BATCHES} batches in a row "
            f"({note['cause']}), so no further one is tried; expected a server that "
            "answers, check network, endpoints.archive_download and http.proxy, and "
            "run the same command again"
        )
        raise FetchError(msg)


def forbid(data_dir: Path, *, missing: Sequence[str]) -> None:
    """Make all batches of a run fail at once, as none may be downloaded.

    `missing` has the paths of the zips, at least one.
    """
    named = ", ".join(missing[:_NAMED]) + ", ..." * (len(missing) > _NAMED)
    zips = "1 zip is" if len(missing) == 1 else f"{len(missing):,} zips are"
    msg = f"{zips} missing and offline: true: {named}; run once with offline: false, "
    _write(data_dir, {"message": f"{msg}or bring them in with `bhds adopt`"})


def note(data_dir: Path, *, cause: str | None) -> None:
    """Note that a batch reached no server, and why; None: that it did reach it."""
    if cause is None:
        (folder_of(data_dir) / _NOTE).unlink(missing_ok=True)
        return
    # Two batches at once may count as one: then one more is tried.
    content = {"batches": _read(data_dir)["batches"] + 1, "cause": cause}
    _write(data_dir, content)


def _write(data_dir: Path, content: dict[str, Any]) -> None:
    with replacing(folder_of(data_dir) / _NOTE) as partial:
        partial.write_text(json.dumps(content), encoding="utf-8")


def _read(data_dir: Path) -> dict[str, Any]:
    try:
        path = folder_of(data_dir) / _NOTE
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return {"batches": 0, "cause": ""}
    return content
