"""What pages say of the commands is so."""

import re
from pathlib import Path

import pytest

from bhds.cli.app import COMMANDS, load

ROOT = Path(__file__).parents[2]
COMMAND = re.compile(r"(?:^\$ |`)(?:\S+/)?bhds ([a-z][^`\n]*)", re.M)
OPTION = re.compile(r"(--[a-z][a-z-]+)")


def commands_of(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    if page == "docs/moving.md":  # its left column is of another program
        rows = re.compile(r"^\| [^|]* \|", re.M)
        text = rows.sub("|", text)
    return [found.partition("#")[0].split() for found in COMMAND.findall(text)]


@pytest.mark.parametrize("page", ["README.md", "docs/moving.md", "docs/cli.md"])
def test_every_command_that_a_page_names_is_there_with_its_options(page):
    found = commands_of(page)

    assert found
    for words in found:
        name, *rest = words
        assert name in COMMANDS, f"bhds {name}"
        command = load(name)
        leaves = getattr(command, "commands", None)
        if leaves is not None:
            if not rest or rest[0].startswith("["):
                continue
            assert rest[0].rstrip(",") in leaves, f"bhds {name} {rest[0]}"
            command = leaves[rest[0].rstrip(",")]
        options = {o for param in command.params for o in param.opts}
        options |= {o for param in command.params for o in param.secondary_opts}
        used = set(OPTION.findall(" ".join(rest)))
        assert used <= options, f"bhds {' '.join(words)}"
