"""Read the settings as Snakemake does: files, and values of the command line."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from bhds import config
from bhds.config import Settings
from bhds.errors import ConfigError
from bhds.installation import workflow_folder

_DEFAULT_FILE = Path("config", "config.yaml")
_CHECKOUT = workflow_folder()

ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--configfile",
        metavar="PATH",
        help="YAML file of settings, on top of config/config.yaml here, or of "
        "BHDS itself.",
    ),
]
ConfigValues = Annotated[
    list[str] | None,
    typer.Option(
        "--config",
        metavar="KEY=VALUE",
        help="A setting, such as offline=true or listing.max_age_h=0; may be repeated.",
    ),
]
MoreConfigValues = Annotated[
    list[str] | None,
    typer.Argument(metavar="KEY=VALUE", help="More settings, after --config."),
]


def read_settings(
    configfile: Path | None,
    *,
    values: Iterable[str],
    data_dir: Path | None = None,
    environment: Mapping[str, str] = os.environ,
) -> Settings:
    """Return the settings that Snakemake would have with the same options.

    Parameters
    ----------
    configfile
        A file whose settings go before those of the default one, which is
        `config/config.yaml` in the current directory, else in the checkout.
    values
        Settings `KEY=VALUE` that go before all files; values are YAML, and a dot in
        a key goes down into a group.
    data_dir
        The data directory; None: as the settings say.
    environment
        See `bhds.config.load`.

    Raises
    ------
    ConfigError
        If a file cannot be read or is no YAML mapping, a value is not of the form
        above, or the settings are not valid.
    """
    files = _files(configfile)
    if not files:
        msg = (
            f"{_DEFAULT_FILE}: no such file; expected settings, name them: --configfile"
        )
        raise ConfigError(msg)
    raw = _merged(files, values=values)
    if data_dir is not None:
        raw["data_dir"] = str(data_dir)
    return config.load(raw, environment=environment)


def read_data_dir(
    configfile: Path | None,
    *,
    values: Iterable[str],
    data_dir: Path | None = None,
    environment: Mapping[str, str] = os.environ,
) -> Path:
    """Return the data directory alone, for commands that only look at it.

    It need not be one that can be written to, and the other settings need not be valid.

    Parameters
    ----------
    configfile, values, data_dir, environment
        As `read_settings` takes them; without any file, the environment decides.

    Raises
    ------
    ConfigError
        As `read_settings`, but for settings that are not valid; or if it is no folder.
    """
    found: Any = data_dir
    if found is None:
        raw = _merged(_files(configfile), values=values)
        found = raw.get("data_dir") or config.default_data_dir(environment)
    path = Path(str(found)).expanduser()
    if not path.is_dir():
        state = "is a file" if path.exists() else "no such folder"
        msg = (
            f"data_dir {str(path)!r}: {state}; expected the folder that BHDS builds "
            "in: name it with --data-dir, or build something first"
        )
        raise ConfigError(msg)
    return path


def _merged(files: Iterable[Path], *, values: Iterable[str]) -> dict[str, Any]:
    """Return the settings of files and, before them, those of the command line."""
    raw: dict[str, Any] = {}
    for path in files:
        _update(raw, _read_file(path))
    for value in values:
        _update(raw, _parsed(value))
    return raw


def _files(configfile: Path | None) -> list[Path]:
    """Return the files to read, those that go before others last."""
    defaults = (_DEFAULT_FILE, _CHECKOUT / _DEFAULT_FILE)
    default = next((path for path in defaults if path.is_file()), None)
    return [path for path in (default, configfile) if path is not None]


def _read_file(path: Path) -> Mapping[str, Any]:
    try:
        content = _loaded(path.read_bytes())
    except OSError as error:
        msg = f"{path}: {error.strerror}; expected a YAML file of settings"
        raise ConfigError(msg) from error
    except yaml.YAMLError as error:
        msg = f"{path}: {_in_one_line(error)}; expected YAML"
        raise ConfigError(msg) from error
    if not isinstance(content, dict):
        msg = f"{path}: holds no settings; expected YAML such as `data_dir: null`"
        raise ConfigError(msg)
    return content


class _Loader(yaml.SafeLoader):
    """Takes a date that no calendar has as text: its key is then told with it."""


def _date_or_text(loader: _Loader, node: yaml.ScalarNode) -> object:
    try:
        return loader.construct_yaml_timestamp(node)
    except ValueError:
        return loader.construct_scalar(node)


_Loader.add_constructor("tag:yaml.org,2002:timestamp", _date_or_text)


def _loaded(text: str | bytes) -> Any:
    return yaml.load(text, Loader=_Loader)  # noqa: S506 -- it is a SafeLoader


def _parsed(value: str) -> dict[str, Any]:
    key, equals, text = value.partition("=")
    *groups, name = key.split(".")
    if not equals or not all((*groups, name)):
        msg = f"--config {value!r}: expected KEY=VALUE, such as listing.max_age_h=0"
        raise ConfigError(msg)
    try:
        content = _loaded(text)
    except yaml.YAMLError as error:
        msg = f"--config {value!r}: {_in_one_line(error)}; expected a value in YAML"
        raise ConfigError(msg) from error
    parsed = {name: content}
    for group in reversed(groups):
        parsed = {group: parsed}
    return parsed


def _update(settings: dict[str, Any], newer: Mapping[str, Any]) -> None:
    """Put newer settings over others: groups are merged, lists are replaced."""
    for key, value in newer.items():
        held = settings.get(key)
        if isinstance(held, dict) and isinstance(value, Mapping):
            _update(held, value)
        else:
            settings[key] = value


def _in_one_line(error: yaml.YAMLError) -> str:
    return " ".join(str(error).split())
