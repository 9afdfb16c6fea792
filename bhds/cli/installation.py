"""Find the folder of the Snakefile, rules, scripts, settings and profiles.

It is the root of a checkout; a wheel includes the files as data (pyproject.toml).
"""

from pathlib import Path

_PACKAGE = Path(__file__).parents[1]


def workflow_folder(package: Path = _PACKAGE) -> Path:
    """Return the folder of the Snakefile of this code.

    It is the checkout, if BHDS runs from one, else the copy that is installed with the
    package, which may be missing.

    Parameters
    ----------
    package
        The folder of the package.
    """
    checkout = package.parent
    return checkout if (checkout / "Snakefile").is_file() else package / "workflow"
