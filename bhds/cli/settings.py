"""Read the settings as Snakemake does: files, and values of the command line."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from bhds import config
from bhds.cli.installation import workflow_folder
from bhds.config import Settings, documents, sources
from bhds.config.problems import shown_value
from bhds.core.errors import ConfigError

_DEFAULT_FILE = Path("config", "config.yaml")
_CHECKOUT = workflow_folder()

ConfigFiles = Annotated[
    list[Path] | None,
    typer.Option(
        "--configfile",
        metavar="PATH",
        help="YAML file of settings, on top of config/config.yaml here, or of "
        "BHDS itself; repeatable, the last takes precedence.",
    ),
]
ConfigValues = Annotated[
    list[str] | None,
    typer.Option(
        "--config",
        metavar="KEY=VALUE",
        help="Setting, such as offline=true or listing.max_age_hours=0; repeatable.",
    ),
]
MoreConfigValues = Annotated[
    list[str] | None,
    typer.Argument(metavar="KEY=VALUE", help="More settings, after --config."),
]
DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        metavar="DIR",
        help="The data directory; default: as the settings say.",
    ),
]


@dataclass(frozen=True)
class SettingsOptions:
    """The options that settings are read with."""

    configfiles: ConfigFiles = None
    config: ConfigValues = None
    data_dir: DataDir = None

    def read(self, more: Sequence[str] | None = None) -> Settings:
        """Return the settings, with more values `KEY=VALUE` after those of --config."""
        values = [*(self.config or ()), *(more or ())]
        return read_settings(self.configfiles, values=values, data_dir=self.data_dir)

    def read_data_dir(self) -> Path:
        """Return the data directory alone, for commands that only look at it."""
        return read_data_dir(
            self.configfiles, values=self.config or (), data_dir=self.data_dir
        )


def read_settings(
    configfiles: Iterable[Path] | None,
    *,
    values: Iterable[str],
    data_dir: Path | None = None,
    environment: Mapping[str, str] = os.environ,
) -> Settings:
    """Return the settings that Snakemake would have with the same options.

    Parameters
    ----------
    configfiles
        Files whose settings take precedence over those of the files before them, and of
        the default one: `config/config.yaml` in the current directory, else in the
        checkout.
    values
        Settings `KEY=VALUE` that take precedence over all files; values are YAML, and a
        dot in a key goes down into a group.
    data_dir
        The data directory; None: `data_dir` of the settings.
    environment
        See `bhds.config.load`.

    Raises
    ------
    ConfigError
        If a file cannot be read or is no YAML mapping, a value is not of the form
        above, or the settings are not valid.
    """
    files = _files(configfiles)
    if not files:
        msg = (
            f"{_DEFAULT_FILE}: no such file; name a file of settings: --configfile FILE"
        )
        raise ConfigError(msg)
    given = _given(values)
    if data_dir is not None:
        given["data_dir"] = str(data_dir)
    return config.read(files, command_line=given, environment=environment)


def read_data_dir(
    configfiles: Iterable[Path] | None,
    *,
    values: Iterable[str],
    data_dir: Path | None = None,
    environment: Mapping[str, str] = os.environ,
) -> Path:
    """Return only the data directory, for commands that write nothing.

    The directory may be read-only, and the other settings may be invalid.

    Parameters
    ----------
    configfiles, values, data_dir, environment
        As `read_settings` takes them; without any file, the environment decides.

    Raises
    ------
    ConfigError
        As `read_settings`, but for settings that are not valid; or if it is no folder.
    """
    found: Any = data_dir
    if found is None:
        files = [sources.read_file(path) for path in _files(configfiles)]
        merged = sources.merge([*files, sources.of_command_line(_given(values))])
        found = merged.values.get("data_dir") or config.default_data_dir(environment)
    path = Path(str(found)).expanduser()
    if not path.is_dir():
        state = "is a file" if path.exists() else "no such folder"
        msg = (
            f"data_dir {str(path)!r}: {state}; expected a data directory of BHDS: "
            "name it with --data-dir, or build something first"
        )
        raise ConfigError(msg)
    return path


def _given(values: Iterable[str]) -> dict[str, Any]:
    """Return the settings `KEY=VALUE` of the command line as groups of keys."""
    given = (sources.of_command_line(_parsed(value)) for value in values)
    return sources.merge(given).values


def _files(configfiles: Iterable[Path] | None) -> list[Path]:
    """Return the files to read, those that take precedence over others last."""
    defaults = (_DEFAULT_FILE, _CHECKOUT / _DEFAULT_FILE)
    default = next((path for path in defaults if path.is_file()), None)
    return [*([] if default is None else [default]), *(configfiles or ())]


def _parsed(value: str) -> dict[str, Any]:
    key, equals, text = value.partition("=")
    *groups, name = key.split(".")
    source = f"--config {shown_value(value)}"
    is_deep = len(groups) >= documents.MAX_DEPTH
    if not equals or not all((*groups, name)) or is_deep:
        msg = f"{source}: expected KEY=VALUE, such as listing.max_age_hours=0"
        raise ConfigError(msg)
    content = documents.read_value(text, source=source)
    parsed = {name: content}
    for group in reversed(groups):
        parsed = {group: parsed}
    return parsed
