import asyncio
import signal
import subprocess
import sys
import time

import aiohttp
import pytest
import typer
import yaml
from typer.testing import CliRunner

from bhds.sandbox.command import sandbox

PROGRAM = "import typer; from bhds.sandbox.command import sandbox; typer.run(sandbox)"


def app():
    application = typer.Typer()
    application.command()(sandbox)
    return application


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
    command = [sys.executable, "-c", PROGRAM, "--endpoints-file", str(file)]
    with subprocess.Popen(
        [*command, "--symbols", "2", "--now", "2025-01-15"],
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


def test_every_option_is_explained():
    told = CliRunner().invoke(app(), ["--help"], env={"COLUMNS": "200"}).output

    options = {"universe", "symbols", "now", "serve-dir", "cache-dir", "host", "port"}
    for option in {*options, "endpoints-file"}:
        assert f"--{option} " in told


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--now", "noon"], "--now 'noon': expected an ISO 8601 time"),
        (["--universe", "none.yaml"], "universe none.yaml"),
        (["--serve-dir", "."], "expected it to hold a folder `data`"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(tmp_path, monkeypatch, options, told):
    monkeypatch.chdir(tmp_path)

    result = CliRunner().invoke(app(), options)

    assert isinstance(result.exception, SystemExit)
    assert told in str(result.exception.code)
