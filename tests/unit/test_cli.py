"""The command line."""

import pytest
from typer.testing import CliRunner

from bhds import __version__
from bhds.cli import app


def run(*arguments):
    return CliRunner().invoke(app, arguments, env={"COLUMNS": "200"})


def test_the_version_is_told_alone():
    result = run("--version")

    assert result.exit_code == 0
    assert result.stdout == f"bhds {__version__}\n"


def test_the_version_is_told_whatever_else_is_asked():
    assert run("--version", "no-such-command").stdout == f"bhds {__version__}\n"


def test_the_help_names_the_commands():
    result = run("--help")

    assert result.exit_code == 0
    assert all(command in result.stdout for command in ("plan", "clean", "sandbox"))
    assert "--version" in result.stdout


def test_without_arguments_the_help_is_shown():
    assert "Usage: bhds" in run().output


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("sandbox", ["--endpoints-file"]),
        ("plan", ["--configfile", "--config", "KEY=VALUE", "--json", "--files"]),
        ("clean", ["--configfile", "--config", "--yes", "--json", "--quarantine"]),
    ],
)
def test_a_command_explains_itself(command, options):
    result = run(command, "--help")

    assert result.exit_code == 0
    assert f"Usage: bhds {command}" in result.stdout
    assert all(option in result.stdout for option in options)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        pytest.param(["no-such-command"], "no-such-command", id="command"),
        pytest.param(["sandbox", "--no-such-option"], "--no-such-option", id="option"),
        pytest.param(["sandbox", "--port", "65536"], "--port", id="port"),
        pytest.param(["plan", "--jsn"], "--jsn", id="option of plan"),
    ],
)
def test_what_is_unknown_is_refused_by_name(arguments, named):
    result = run(*arguments)

    assert result.exit_code == 2
    assert named in result.output


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
    ],
)
def test_an_error_of_a_command_is_one_line(arguments, message):
    result = run(*arguments)

    assert result.exit_code == 1
    assert str(result.exception).startswith(f"bhds: error: {message}")
    assert "\n" not in str(result.exception)
