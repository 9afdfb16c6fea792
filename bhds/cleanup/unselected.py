"""Files of symbols and datasets that the settings do not select."""

from collections.abc import Sequence
from pathlib import Path

from bhds.bars import split
from bhds.plan.dataset import PlannedDataset
from bhds.status.folders import Folder, Stage, folders


def unselected_files(
    planned: Sequence[PlannedDataset], *, data_dir: Path
) -> dict[Stage, list[str]]:
    """Find the files of series that no dataset selects, whenever they were built.

    Tables of whole markets, listings and records of downloads are of all series.

    Parameters
    ----------
    planned
        All configured datasets, and the funding that they need.
    data_dir
        The data directory.

    Returns
    -------
    dict
        Paths below the data directory, sorted, by the stage that made the files.
    """
    selected = {
        (each.dataset.trade_type, each.dataset.data_type, name, symbol)
        for each in planned
        for name in (each.dataset.interval, *each.dataset.rule_names)
        for symbol in each.symbols
    }
    found: dict[Stage, list[str]] = {stage: [] for stage in Stage}
    for folder in folders(data_dir):
        kind = folder.kind
        if not Path(folder.path).is_dir():  # of tables that no symbol has
            continue
        for path in Path(folder.path).iterdir():
            symbol = folder.symbol or _symbol_of(path.name, folder)
            series = (kind.trade_type, kind.data_type, kind.interval, symbol)
            if symbol is not None and series not in selected:
                found[kind.stage].append(path.relative_to(data_dir).as_posix())
    return {stage: sorted(paths) for stage, paths in found.items() if paths}


def _symbol_of(name: str, folder: Folder) -> str | None:
    """Return the symbol of a file that is named after it; None of a whole market."""
    stem, _, suffix = name.rpartition(".")
    if folder.kind.stage is Stage.SPLIT:
        return split.symbol_of(stem) if suffix == "pqt" else None
    return stem.removeprefix(".") or None
