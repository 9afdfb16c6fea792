"""Check the words of pages, docstrings and messages against `prose.csv`.

Code in Markdown is not read, and strings without a blank are no prose.
"""

import ast
import csv
import re
import sys
from collections.abc import Iterator
from pathlib import Path

DOCS = Path(__file__).parent
ROOT = DOCS.parent
PAGES = ("*.md", "config/*.md", "docs/**/*.md")
CODE = ("bhds/**/*.py", "scripts/*.py")
RULES = ("Snakefile", "rules/*.smk")
MARKDOWN_CODE = re.compile(r"^( *)```.*?^\1```|`[^`]*`", re.MULTILINE | re.DOTALL)


def blank(match: re.Match[str]) -> str:
    """Return the match's line breaks, so that line numbers stay."""
    return " " + "\n" * match[0].count("\n")


def texts(path: Path) -> Iterator[tuple[int, str]]:
    """Yield each text of a file with the number of its first line."""
    content = path.read_text()
    if path.suffix == ".py":
        for node in ast.walk(ast.parse(content)):
            if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
                continue
            if " " in node.value:
                yield node.lineno, re.sub(r"`[^`]*`", blank, node.value)
    else:
        yield 1, MARKDOWN_CODE.sub(blank, content)


def findings(path: Path, patterns: list[tuple[re.Pattern[str], str]]) -> Iterator[str]:
    """Yield one line per match of a pattern in a file."""
    for first, text in texts(path):
        for pattern, instead in patterns:
            for match in pattern.finditer(text):
                line = first + text.count("\n", 0, match.start())
                found = " ".join(match[0].split())
                yield f"{path.relative_to(ROOT)}:{line}: '{found}'; write: {instead}"


def main() -> int:
    """Print the findings, and return the exit code."""
    with (DOCS / "prose.csv").open(newline="") as file:
        rows = [(row["pattern"], row["instead"]) for row in csv.DictReader(file)]
    patterns = [(re.compile(p.replace(" ", r"\s+"), re.IGNORECASE), i) for p, i in rows]
    paths = sorted({p for glob in PAGES + CODE + RULES for p in ROOT.glob(glob)})
    errors = [error for path in paths for error in findings(path, patterns)]
    sys.stdout.writelines(f"{error}\n" for error in errors)
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
