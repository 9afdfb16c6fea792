"""The command line."""

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from bhds import __version__
from bhds.cli import app as cli
from bhds.cli import version
from bhds.cli.app import app


def run(*arguments):
    return CliRunner().invoke(app, arguments, env={"COLUMNS": "200"})


def test_the_version_is_told_alone():
    result = run("--version")

    assert result.exit_code == 0
    assert result.stdout == f"bhds {__version__}\n"


def test_the_help_names_the_commands():
    result = run("--help")

    assert result.exit_code == 0
    assert all(command in result.stdout for command in cli.COMMANDS)
    assert "--version" in result.stdout


def test_the_help_tells_the_exit_codes():
    told = " ".join(run("--help").stdout.split())

    assert all(f"{code} {text}" in told for code, text in cli.EXIT_CODES.items())


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_can_be_imported_and_explains_itself_with_an_example(name):
    command = cli.load(name)
    leaves = getattr(command, "commands", {name: command})

    assert command.name == name
    for leaf in leaves.values():
        assert leaf.help
        assert f"bhds {name}" in (leaf.epilog or ""), f"give {leaf.name} an example"


def test_the_help_imports_none_of_what_is_slow():
    script = (
        "import sys\n"
        "from typer.testing import CliRunner\n"
        "from bhds.cli.app import app\n"
        "assert CliRunner().invoke(app, ['--help']).exit_code == 0\n"
        "print(sorted({'polars', 'pydantic', 'aiohttp', 'yaml'} & set(sys.modules)))"
    )

    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )

    assert done.stdout == "[]\n"


def test_a_command_that_is_mistyped_is_told_the_nearest():
    result = run("plann")

    assert result.exit_code == 2
    assert "'plan'" in result.output


def test_commands_are_completed():
    environment = {
        "_BHDS_COMPLETE": "complete_bash",
        "COMP_WORDS": "bhds aws-",
        "COMP_CWORD": "1",
    }

    told = CliRunner().invoke(app, [], env=environment, prog_name="bhds").stdout

    assert told.split() == ["aws-kline", "aws-funding", "aws-liquidation"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("aws-kline download um", ["um_futures"]),
        ("aws-kline download um_futures 1m", ["1m", "1mo"]),
        ("aws-kline parse um_futures 1m --data-type mark", ["markPriceKlines"]),
        ("generate kline um_futures 1m --contract-type D", ["DELIVERY"]),
        ("explain --js", ["--json"]),
    ],
)
def test_what_stands_after_a_command_is_completed(words, expected):
    line = f"bhds {words}"
    environment = {
        "_BHDS_COMPLETE": "complete_bash",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(line.split()) - 1),
    }

    told = CliRunner().invoke(app, [], env=environment, prog_name="bhds").stdout

    assert told.split() == expected


def test_ctrl_c_ends_a_command_with_its_exit_code(monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(version, "versions", interrupted)

    assert run("version").exit_code == 130


def test_without_arguments_the_help_is_shown():
    assert "Usage: bhds" in run().output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(
            ["sandbox", "--now", "noon"], "--now 'noon': expected", id="sandbox"
        ),
        pytest.param(
            ["plan", "results_all"], "--config 'results_all': expected", id="plan"
        ),
        pytest.param(
            ["clean", "--configfile", "no.yaml"], "no.yaml: No such file", id="clean"
        ),
        pytest.param(
            ["status", "--data-dir", "none"],
            "data_dir 'none': no such folder",
            id="status",
        ),
        pytest.param(
            ["explain", "A", "2025-03-01", "--data-dir", "none"],
            "data_dir 'none': no such folder",
            id="explain",
        ),
    ],
)
def test_an_error_of_a_command_is_one_line(arguments, message):
    result = run(*arguments)

    assert result.exit_code == 1
    assert str(result.exception).startswith(f"bhds: error: {message}")
    assert "\n" not in str(result.exception)
