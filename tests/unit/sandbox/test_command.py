import asyncio
import signal
import subprocess
import sys
import time
import zipfile

import aiohttp
import pytest
import typer
import yaml
from typer.testing import CliRunner

from bhds.sandbox import command
from bhds.sandbox.command import sandbox
from bhds.sandbox.exchange import PRESENT
from bhds.sandbox.scenarios import available_at

PROGRAM = "import typer; from bhds.sandbox.command import sandbox; typer.run(sandbox)"


def app():
    application = typer.Typer()
    application.command()(sandbox)
    return application


@pytest.fixture
def served(monkeypatch):
    """The exchanges that the command would serve."""
    served = []

    def run(exchange, **_):
        with exchange:
            served.append(exchange)

    monkeypatch.setattr(command, "run", run)
    return served


async def answer(url):
    timeout = aiohttp.ClientTimeout(total=20)
    async with (
        aiohttp.ClientSession(timeout=timeout) as session,
        session.get(url) as response,
    ):
        return await response.json()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_command_tells_its_endpoints_and_ends_on_a_signal(tmp_path, number):
    file = tmp_path / "endpoints.yaml"
    program = [sys.executable, "-c", PROGRAM, "--endpoints-file", str(file)]
    with subprocess.Popen(
        [*program, "--symbols", "2", "--now", "2025-01-15"],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            line = yaml.safe_load(process.stdout.readline())
            endpoints = line["endpoints"]
            url = f"{endpoints['api_um']}/fapi/v1/exchangeInfo"
            info = asyncio.run(answer(url))
            process.send_signal(number)
            assert process.wait(20) == 0
        finally:
            process.kill()

    assert yaml.safe_load(file.read_text()) == line
    assert set(endpoints) == {
        "archive_listing",
        "archive_download",
        "api_spot",
        "api_um",
        "api_cm",
    }
    assert {"S0000USDT", "S0001USDT"} <= {each["symbol"] for each in info["symbols"]}
    assert time.gmtime(info["serverTime"] / 1000)[:3] == (2025, 1, 15)


def test_the_command_serves_the_keys_of_several_lists(tmp_path, served):
    files = [tmp_path / "a.zip", tmp_path / "b.zip"]
    for file in files:
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr(
                "keys.txt", f"https://data.binance.vision/data/{file.name}\n"
            )
    told = CliRunner().invoke(
        app(), [part for file in files for part in ("--serve-keys", str(file))]
    )

    assert told.exit_code == 0
    [exchange] = served
    names = ("data/a.zip", "data/a.zip.CHECKSUM", "data/b.zip", "data/b.zip.CHECKSUM")
    assert list(exchange.store.keys("")) == [*names]
    assert exchange.universe.symbols == ()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (
            ["--scenario", "D06", "--scenario", "D07", "--scenario", "D06"],
            ["D06", "D07"],
        ),
        (["--scenario", "all"], available_at(PRESENT)),
        (["--scenario", "D20", "--now", "2026-07-01"], ["D20"]),
        ([], []),
    ],
)
def test_the_command_adds_scenarios(served, options, expected):
    told = CliRunner().invoke(app(), options)

    assert told.exit_code == 0, told.output
    assert [exchange.scenarios for exchange in served] == [expected]


def test_every_option_is_explained():
    told = CliRunner().invoke(app(), ["--help"], env={"COLUMNS": "200"}).output

    options = {"universe", "symbols", "now", "serve-dir", "serve-keys", "cache-dir"}
    for option in {*options, "host", "port", "endpoints-file"}:
        assert f"--{option} " in told


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--now", "noon"], "--now 'noon': expected an ISO 8601 time"),
        (["--scenario", "D99"], "scenario 'D99': expected one of D01 to D32"),
        (["--universe", "none.yaml"], "universe none.yaml"),
        (["--serve-dir", "."], "expected it to hold a folder `data`"),
        (["--serve-keys", "none.zip"], "key list none.zip: [Errno 2]"),
        (
            ["--serve-dir", ".", "--serve-keys", "keys.zip"],
            "--serve-dir .: expected no --serve-keys beside it",
        ),
    ],
)
def test_what_is_wrong_is_told_in_one_line(tmp_path, monkeypatch, options, told):
    monkeypatch.chdir(tmp_path)

    result = CliRunner().invoke(app(), options)

    assert isinstance(result.exception, SystemExit)
    assert told in str(result.exception.code)
