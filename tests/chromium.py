"""A real Chromium, as readers of the report have it, without a window."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Browser, Page, expect, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
"""What the system's may be called; without any, Playwright's own is taken."""
TIMEOUT_MS = 60_000
expect.set_options(timeout=TIMEOUT_MS)


@dataclass
class Visit:
    """A page that was opened, and all that it said and asked for since."""

    page: Page
    messages: list[str] = field(default_factory=list)
    """Of the console, and errors of scripts."""
    requests: list[str] = field(default_factory=list)
    """Other addresses than those of the page and of what it holds itself."""

    def texts(self, selector: str) -> list[str]:
        """Return the text of each element."""
        return self.page.locator(selector).all_text_contents()

    def rows(self, table: str) -> list[list[str]]:
        """Return what a table of the report shows at present."""
        rows = self.page.locator(f"[data-table='{table}'] tbody tr")
        # At one moment: a table may be drawn anew while it is read.
        cells = "rows => rows.map(row => [...row.cells].map(cell => cell.innerText))"
        found: list[list[str]] = rows.evaluate_all(cells)
        return found

    def is_too_wide(self) -> bool:
        """Tell whether the page would have to be moved sideways to be read."""
        width = self.page.evaluate("document.documentElement.scrollWidth")
        return bool(width > self.page.viewport_size["width"])


@contextmanager
def running() -> Iterator[Browser]:
    """Run Chromium until the block ends."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    with sync_playwright() as playwright:
        # Without its own sandbox it runs as root too; it opens our files alone.
        browser = playwright.chromium.launch(
            executable_path=found, args=["--no-sandbox"], timeout=TIMEOUT_MS
        )
        yield browser
        browser.close()


@contextmanager
def opened(
    browser: Browser, path: Path, *, width: int, height: int = 850, dark: bool = False
) -> Iterator[Visit]:
    """Open a report, and wait until everything is drawn."""
    scheme = "dark" if dark else "light"
    page = browser.new_page(
        viewport={"width": width, "height": height}, color_scheme=scheme
    )
    visit = Visit(page)
    page.on("console", lambda message: visit.messages.append(message.text))
    page.on("pageerror", lambda error: visit.messages.append(str(error)))
    page.on("request", lambda request: _note(visit, request.url, path.as_uri()))
    page.set_default_timeout(TIMEOUT_MS)
    page.goto(path.as_uri())
    page.wait_for_selector("html[data-ready]")
    yield visit
    page.close()


def _note(visit: Visit, url: str, own: str) -> None:
    if url != own and not url.startswith(("blob:", "data:")):
        visit.requests.append(url)
