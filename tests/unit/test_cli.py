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
    assert "sandbox" in result.stdout
    assert "--version" in result.stdout


def test_without_arguments_the_help_is_shown():
    assert "Usage: bhds" in run().output


def test_the_sandbox_explains_itself():
    result = run("sandbox", "--help")

    assert result.exit_code == 0
    assert "Usage: bhds sandbox" in result.stdout
    assert "--endpoints-file" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        pytest.param(["no-such-command"], "no-such-command", id="command"),
        pytest.param(["sandbox", "--no-such-option"], "--no-such-option", id="option"),
        pytest.param(["sandbox", "--port", "65536"], "--port", id="port"),
    ],
)
def test_what_is_unknown_is_refused_by_name(arguments, named):
    result = run(*arguments)

    assert result.exit_code == 2
    assert named in result.output


def test_an_error_of_a_command_is_one_line():
    result = run("sandbox", "--now", "noon")

    assert str(result.exception).startswith("bhds: error: --now 'noon': expected")
    assert "\n" not in str(result.exception)
