"""The commands and programs of the documentation, run as they stand there.

They run in a folder that looks like a checkout whose settings name the sandbox.
"""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from dataclasses import asdict
from itertools import groupby
from pathlib import Path

import polars as pl
import pytest
import yaml
from typer.testing import CliRunner

from bhds.cli import snakemake_process
from bhds.cli.app import app
from bhds.core.markets import TradeType
from bhds.sandbox import command as sandbox
from bhds.sandbox.exchange import Exchange
from bhds.sandbox.server import serving
from docs.blocks import PAGES, blocks
from tests.dictionary_paths import tables_at

from .conftest import ROOT, TIMEOUT_S

pytestmark = pytest.mark.workflow

RUN = {
    page: found
    for page in PAGES
    if (
        found := [
            block
            for block in blocks(page)
            if block.language in {"console", "python"} and "needs" not in block.words
        ]
    )
}
"""The blocks that are run, by page."""

EXAMPLES = [
    line
    for page in PAGES
    for block in blocks(page)
    if block.words.get("needs") == "commands"
    for line in block.commands.splitlines()
]
"""Commands that are called one by one."""

START = ROOT / "docs" / "start.md"
"""The page that comes first: the others find built what it builds."""


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """Return a checkout whose settings are those of the page START, on a sandbox."""
    folder = tmp_path_factory.mktemp("docs") / "bhds"
    folder.mkdir()
    for name in ("rules", "scripts", "envs", "profiles", "contrib", "config"):
        shutil.copytree(ROOT / name, folder / name)
    shutil.copy(ROOT / "Snakefile", folder)
    (folder / ".venv").symlink_to(sys.prefix)
    (folder / "binance_data").symlink_to("first_data")
    (folder / "first_data").mkdir()
    for name in ("binance-public-data/data", "zips"):  # of other tools
        (folder.parent / name).mkdir(parents=True)
    text = "\n".join(block.text for block in RUN[START])
    (ours,) = re.findall(r"<<'END'\n(.*?)^END$", text, re.DOTALL | re.MULTILINE)
    with Exchange() as exchange, serving(exchange) as running:
        path = folder / "config" / "config.yaml"
        settings = yaml.safe_load(path.read_text(encoding="utf-8"))
        settings |= yaml.safe_load(ours)
        settings |= {"data_dir": None, "endpoints": asdict(running.endpoints)}
        path.write_text(yaml.safe_dump(settings), encoding="utf-8")
        yield folder


@pytest.fixture(scope="module")
def run(checkout):
    """Return a function that runs a script of bash there, and returns what it said."""

    def run_script(script, *, folder=checkout):
        environment = {
            name: value
            for name, value in os.environ.items()
            if name not in {"VIRTUAL_ENV", "CRYPTO_BASE_DIR"}
        }
        environment["PATH"] = f"{sys.prefix}/bin:{environment['PATH']}"
        environment["HOME"] = str(checkout.parent)
        said = checkout / "said.txt"
        with said.open("w") as file:
            process = subprocess.Popen(
                ["bash", "-m", "-eu", "-c", script],
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                status = process.wait(timeout=TIMEOUT_S)
            finally:
                end_session(process.pid)
        text = said.read_text(encoding="utf-8")
        assert status == 0, text
        return text

    return run_script


def end_session(leader):
    """End what a shell left behind in its session."""
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # ended meanwhile
        if int(fields[3]) == leader:
            os.kill(int(status.parent.name), signal.SIGKILL)


def script_of(found, *, folder):
    """Put a page's blocks together, as one would type them into one shell.

    Programs that follow each other share an interpreter, and nothing else.
    """
    lines = []
    for where, together in groupby(
        enumerate(found), key=lambda each: place_of(each[1])
    ):
        if where is None:
            for _, block in together:
                lines += [f"echo '::: {block.place}'", block.commands]
            continue
        programs = [
            str(write_program(block, folder / f"program_{number}.py"))
            for number, block in together
        ]
        lines.append(f"(cd {where} && python {RUN_EACH} {' '.join(programs)})")
    return "\n".join(lines)


RUN_EACH = "-c 'import runpy, sys; [runpy.run_path(path) for path in sys.argv[1:]]'"
"""Run programs one after the other, each in a namespace of its own."""


def place_of(block):
    """The folder that a program runs in; None of commands."""
    if block.language == "console":
        return None
    return block.words.get("in", ".")


def write_program(block, path):
    """Write a program that says where it is from, and return its path."""
    text = f"print('::: {block.place}', flush=True)\n{block.text}"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "page",
    sorted(RUN, key=lambda page: page != START),
    ids=lambda page: str(page.relative_to(ROOT)),
)
def test_what_a_page_says_can_be_done_as_it_says(page, run, tmp_path):
    said = run(script_of(RUN[page], folder=tmp_path))

    assert said.count("::: ") == len(RUN[page])
    assert "Nothing to be done" in said or page.name != "start.md"


@pytest.mark.parametrize("command", EXAMPLES)
def test_an_example_of_a_command_does_all_up_to_the_start_of_snakemake(
    command, checkout, monkeypatch
):
    """Comes after the pages: commands look at what these built."""
    started = []

    def start(line, **_):
        started.append(line)
        return 0

    monkeypatch.setattr(snakemake_process, "run", start)
    monkeypatch.setattr(sandbox, "run", lambda *_, **__: started.append("sandbox"))
    monkeypatch.chdir(checkout)
    program, *arguments = shlex.split(command, comments=True)

    result = CliRunner().invoke(app, arguments, env={"COLUMNS": "200"})

    assert program == "bhds"
    assert result.exit_code == 0, f"{result.output}\n{result.exception}"
    is_builder = any(
        word in arguments for word in ("download", "verify", "parse", "missing-kline")
    )
    assert started or not is_builder


def test_a_command_that_does_not_exist_is_noticed(run):
    with pytest.raises(AssertionError, match="no-such-command"):
        run("bhds no-such-command")


def test_the_line_for_cron_runs_in_a_checkout_at_home(run, checkout):
    text = (ROOT / "docs" / "recipes" / "daily.md").read_text(encoding="utf-8")
    (line,) = re.findall(r"^30 9 \* \* \* (.+)$", text, re.MULTILINE)

    run(line, folder=checkout.parent)

    log = (checkout / "refresh.log").read_text(encoding="utf-8")
    assert "Nothing to be done" in log or "steps (100%) done" in log


def test_every_table_on_disk_is_as_the_documentation_says(checkout):
    """Comes last: what the pages built is looked at."""
    data_dir = checkout / "first_data"
    found = set()
    for path in data_dir.rglob("*.p*q*"):
        relative = str(path.relative_to(data_dir))
        tables = tables_at(relative)
        assert tables, f"{relative} is in no documented place"
        market = next((t for t in TradeType if t in path.parts), TradeType.SPOT)
        schema = pl.read_parquet_schema(path)
        assert dict(schema) == dict(tables[0].schema(market)), relative
        found.add(tables[0].name)
    expected = {"Listing", "Ledger", "Verification", "klines", "fundingRate"}
    expected |= {"Results", "Resampled bars", "Funding", "Gaps, classified"}
    assert found >= expected | {"Condition", "Conflicts", "Days of a symbol"}
