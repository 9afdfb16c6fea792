"""The documentation says what the code does, and links to what is there."""

import configparser
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import jsonschema
import pytest
import yaml

from bhds import config
from docs import blocks, generate

ROOT = Path(__file__).resolve().parents[2]
UNITS = sorted((ROOT / "contrib" / "systemd").iterdir())

BLOCKS = [block for page in blocks.PAGES for block in blocks.blocks(page)]
LINK = re.compile(r"\]\((?!https?:)(?P<path>[^)#\s]*)(?:#(?P<anchor>[^)\s]+))?\)")
HEADING = re.compile(r"^#+ +(.+)$", re.MULTILINE)


def name(path):
    return str(path.relative_to(ROOT))


def of_language(*languages):
    return [block for block in BLOCKS if block.language in languages]


# --- what the code knows ----------------------------------------------------------


def test_the_generated_parts_of_pages_are_those_of_the_code():
    texts = {name(page): page.read_text("utf-8") for page in generate.PAGES}

    stale = [page for page, text in texts.items() if generate.rendered(text) != text]

    assert [page for page in texts if "<!-- generated: " not in texts[page]] == []
    assert stale == [], "run: make reference"


def test_the_schema_next_to_the_settings_is_that_of_the_code_and_fits_them():
    text = generate.SCHEMA.read_text("utf-8")
    shipped = generate.SCHEMA.with_name("config.yaml").read_text("utf-8")

    assert text == generate.settings_schema(), "run: make reference"
    assert shipped.startswith(f"# yaml-language-server: $schema={generate.SCHEMA.name}")
    jsonschema.validate(yaml.safe_load(shipped), json.loads(text))
    with pytest.raises(jsonschema.ValidationError, match="ofline"):
        jsonschema.validate({"ofline": True, "datasets": []}, json.loads(text))


def test_every_setting_is_described_with_its_values_and_default():
    text = generate.settings()

    assert (
        "| `max_age_hours` | number from 0 to 87,600 | `6` | hours after which" in text
    )
    assert "| `frequency` | `auto`, `monthly`, `daily` | `auto` |" in text
    assert "### `datasets.results.split`" in text
    for model in (config.Http, config.SymbolFilter, config.Resample, config.Dataset):
        for field in model.model_fields:
            assert f"| `{field}` |" in text


def test_every_rule_is_described_with_its_files():
    text = generate.rules()
    made = "| `build_funding` | Merge the funding events of one contract. | "

    assert f"{made}`results_data/<trade_type>/fundingRate/<symbol>.pqt` |" in text
    for script in ROOT.glob("scripts/*.py"):
        assert f"| `{script.stem}` |" in text


def test_a_block_of_an_unknown_name_is_refused():
    with pytest.raises(KeyError, match="no such"):
        generate.rendered("<!-- generated: no such -->\n<!-- end of generated -->")


# --- commands, programs and settings ----------------------------------------------


def test_commands_are_taken_without_what_they_print_and_with_what_they_read():
    text = "$ one \\\n    two\nprinted\n$ cat <<'END'\na: b\nEND\nprinted\n$ three"
    block = blocks.Block(ROOT / "README.md", 1, "console", {}, text)

    assert block.commands == "one \\\n    two\ncat <<'END'\na: b\nEND\nthree"


def test_a_block_says_by_a_known_word_why_it_is_not_run():
    for block in of_language("console", "python"):
        assert block.words.keys() <= {"needs", "in"}, block.place
        assert block.words.get("needs", "ci") in blocks.NEEDS, block.place


def test_commands_are_written_as_a_console_and_programs_as_python():
    """No other block is run by tests."""
    others = of_language("bash", "sh", "shell", "zsh", "pycon", "py")

    assert [block.place for block in others] == []


def test_what_ci_runs_is_a_target_of_the_makefile():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    run_by_ci = [b for b in of_language("console") if b.words.get("needs") == "ci"]

    assert run_by_ci
    for block in run_by_ci:
        for command in block.commands.splitlines():
            make, target, *_ = command.split()
            assert make == "make", block.place
            assert target in targets, block.place


def test_settings_of_the_documentation_are_valid():
    documented = [b for b in of_language("yaml") if "datasets:" in b.text]

    assert documented
    for block in documented:
        settings = config.load(yaml.safe_load(block.text), environment={})
        assert settings.datasets, block.place


# --- links ------------------------------------------------------------------------


def anchors(path):
    """The anchors of a page's headings, as GitHub and Sphinx make them."""
    text = re.sub(r"```.*?```", "", path.read_text("utf-8"), flags=re.DOTALL)
    return {
        re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-")
        for heading in HEADING.findall(text)
    }


def broken_links(page):
    text = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL)
    for match in LINK.finditer(text):
        target = page.parent / match["path"] if match["path"] else page
        if not target.exists() or (
            match["anchor"] and match["anchor"] not in anchors(target)
        ):
            yield f"{name(page)}: {match[0]}"


def test_links_between_files_lead_somewhere():
    assert [link for page in blocks.PAGES for link in broken_links(page)] == []


# --- systemd ----------------------------------------------------------------------


@pytest.fixture
def home(tmp_path):
    """Make a home with what the units name in it."""
    program = tmp_path / "bhds" / ".venv" / "bin" / "snakemake"
    program.parent.mkdir(parents=True)
    program.touch(mode=0o755)
    return tmp_path


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd")
def test_systemd_finds_no_fault_in_the_units(home):
    done = subprocess.run(
        ["systemd-analyze", "--user", "--man=no", "verify", *map(str, UNITS)],
        env={**os.environ, "HOME": str(home), "XDG_RUNTIME_DIR": str(home)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")


def test_the_timer_starts_the_service_that_builds_everything_in_the_checkout():
    timer = configparser.RawConfigParser()
    service = configparser.RawConfigParser()
    for parsed in (timer, service):
        parsed.optionxform = str
    folder = ROOT / "contrib" / "systemd"
    timer.read(folder / "bhds-refresh.timer")
    service.read(folder / "bhds-refresh.service")

    assert timer["Timer"]["OnCalendar"].endswith(" UTC")
    assert service["Service"]["WorkingDirectory"] == "%h/bhds"
    program, *arguments = service["Service"]["ExecStart"].split()
    assert program == "%h/bhds/.venv/bin/snakemake"
    assert arguments[-1] == "all"
