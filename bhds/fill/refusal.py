"""Share among the jobs of a run that a market's API refuses this place.

The first job to be refused tells the user; the others neither ask nor tell.
"""

from pathlib import Path

_FOLDER = "api_data/.refused"


def note(data_dir: Path, market: str, *, message: str) -> bool:
    """Record a refusal; return whether it is the first of the run."""
    path = _path(data_dir, market)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(message)
    except FileExistsError:
        return False
    return True


def known(data_dir: Path, market: str) -> str | None:
    """Return what was said of a refusal in this run; None if there was none."""
    try:
        return _path(data_dir, market).read_text(encoding="utf-8")
    except FileNotFoundError:
        return None


def forget(data_dir: Path) -> None:
    """Begin a run: what was refused in the last one may be asked for again."""
    for path in (data_dir / _FOLDER).glob("*"):
        path.unlink(missing_ok=True)


def _path(data_dir: Path, market: str) -> Path:
    return data_dir / _FOLDER / market
