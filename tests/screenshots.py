"""Take the pictures of the quality report that the documents show.

Run: `make screenshots`, after `make demo`; or
`python -m tests.screenshots <report> <folder>`. Symbols that are not ASCII need a font
that has them (Debian: fonts-wqy-microhei).
"""

import sys
from pathlib import Path
from typing import NamedTuple

from tests import chromium


class Shot(NamedTuple):
    """What one picture shows."""

    width: int
    height: int
    section: str | None = None
    """Which part stands at the top; None for the beginning of the page."""


SHOTS = {
    "report-desktop.png": Shot(1280, 1290),
    "report-gaps.png": Shot(1280, 610, "pictures"),
    "report-phone.png": Shot(390, 844, "coverage"),
}


def main() -> int:
    """Open the report for each picture, and write what is seen."""
    report, folder = (Path(argument).resolve() for argument in sys.argv[1:3])
    folder.mkdir(parents=True, exist_ok=True)
    with chromium.running() as browser:
        for name, shot in SHOTS.items():
            with chromium.opened(
                browser, report, width=shot.width, height=shot.height
            ) as visit:
                if shot.section:
                    heading = visit.page.locator(f"#{shot.section}")
                    heading.evaluate("part => part.scrollIntoView()")
                visit.page.screenshot(path=folder / name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
