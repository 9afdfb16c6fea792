"""The reference of the commands."""

from pathlib import Path

import pytest

from bhds.cli import reference
from bhds.cli.app import COMMANDS, EXIT_CODES, load
from bhds.core.errors import ConfigError

PAGE = Path(__file__).parents[3] / "docs" / "cli.md"


def test_the_page_is_current():
    page = PAGE.read_text(encoding="utf-8")

    assert reference.rewritten(page) == page, (
        "commands have changed; run: python -m bhds.cli.reference docs/cli.md"
    )


def test_every_command_and_option_is_in_it():
    told = reference.reference()

    for name in COMMANDS:
        command = load(name)
        for leaf in getattr(command, "commands", {name: command}).values():
            path = name if leaf is command else f"{name} {leaf.name}"
            _, _, after = told.partition(f"# bhds {path}\n")
            section = after.partition("\n#")[0]
            options = {o for p in leaf.params for o in p.opts if o.startswith("--")}
            missing = {o for o in options - {"--help"} if f"`{o}`" not in section}
            assert (section != "", missing) == (True, set()), path


def test_the_page_tells_every_exit_code():
    page = PAGE.read_text(encoding="utf-8")

    assert all(f"\n| {code} | " in page for code in EXIT_CODES)


def test_the_rest_of_a_page_stays():
    page = f"before\n{reference.BEGIN}\nSTALE\n{reference.END}\nafter\n"

    made = reference.rewritten(page)

    assert made.startswith("before\n")
    assert made.endswith("\nafter\n")
    assert "STALE" not in made
    assert reference.rewritten(made) == made


@pytest.mark.parametrize("page", ["", reference.BEGIN, reference.END])
def test_a_page_without_both_marks_is_refused(page):
    with pytest.raises(ConfigError, match="expected both marks"):
        reference.rewritten(page)


def test_a_page_is_rewritten_where_it_is(tmp_path):
    path = tmp_path / "cli.md"
    path.write_text(f"{reference.BEGIN}{reference.END}")

    reference.main([str(path)])

    assert "### bhds plan" in path.read_text(encoding="utf-8")
