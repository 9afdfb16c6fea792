"""Find the commands and programs of the documentation, which tests run.

What follows the language of a fenced block says how it is run: `needs=<what>` is not
run where the tests are; `in=<folder>` runs a program there.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

PAGES = tuple(
    sorted(
        path
        for pattern in ("*.md", "config/*.md", "docs/**/*.md")
        for path in ROOT.glob(pattern)
    )
)
"""Every page of the documentation."""

NEEDS = {
    "ci": "is run by CI in each build, as a step of its own",
    "cluster": "asks for a cluster",
    "commands": "is called by a test of its own, up to where Snakemake would start",
    "files": "takes zips that another tool downloaded",
    "internet": "asks the exchange, or a package index",
    "systemd": "asks for a user's systemd",
    "workflow": "is Snakemake, which a test of the workflow runs",
}
"""Why a block is not run as it stands."""

_FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>\w+)(?P<words>[^\n`]*)\n(?P<text>.*?)^ *```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """One fenced block of a page."""

    page: Path
    line: int
    """Of the page, from 1."""
    language: str
    words: dict[str, str]
    """What follows the language, `name=value`."""
    text: str

    @property
    def place(self) -> str:
        """Page and line, for people."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def commands(self) -> str:
        """The commands of a console, without their prompts and what they print."""
        lines = self.text.splitlines()
        found: list[str] = []
        is_open = False
        end = None
        for line in lines:
            if line.startswith("$ "):
                found.append(line.removeprefix("$ "))
            elif is_open or end is not None:
                found.append(line)
            else:
                continue
            document = re.search(r"<<'(\w+)'", line)
            end = document[1] if document else None if line == end else end
            is_open = line.endswith("\\")
        return "\n".join(found)


def blocks(page: Path) -> Iterator[Block]:
    """Yield the fenced blocks of a page that name a language, in order."""
    text = page.read_text("utf-8")
    for match in _FENCE.finditer(text):
        words = dict(word.partition("=")[::2] for word in match["words"].split())
        indent = len(match["indent"])
        lines = (line[indent:] for line in match["text"].splitlines())
        line_number = text.count("\n", 0, match.start()) + 1
        yield Block(page, line_number, match["language"], words, "\n".join(lines))
