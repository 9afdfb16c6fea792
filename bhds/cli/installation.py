"""Where the Snakefile is, with the rules, scripts, settings and profiles beside it.

A checkout holds them at its root; a wheel brings them along as data (pyproject.toml).
"""

from pathlib import Path

_PACKAGE = Path(__file__).parents[1]


def workflow_folder(package: Path = _PACKAGE) -> Path:
    """Return the folder of the Snakefile that belongs to this code.

    That of the checkout where BHDS runs from one, else the copy that was installed
    with the package; it need not exist.

    Parameters
    ----------
    package
        The folder of the package.
    """
    checkout = package.parent
    return checkout if (checkout / "Snakefile").is_file() else package / "workflow"
