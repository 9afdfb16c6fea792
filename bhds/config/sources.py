"""Merge the settings of files, command line and environment, and check the whole.

Later sources take precedence: groups are merged, lists and single values replaced, as
Snakemake does. Each message names where the wrong value was set.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from bhds.config import documents, values
from bhds.config.documents import Document, KeyPath, Position
from bhds.config.model import Settings
from bhds.config.problems import Problem, explain, shown_path
from bhds.core.errors import ConfigError

_Model = TypeVar("_Model", bound=BaseModel)

_SHOWN = 10
"""Problems that one message names."""


def load(raw: Mapping[str, Any], *, environment: Mapping[str, str]) -> Settings:
    """Check settings that were read elsewhere, and add the environment's defaults.

    Text may stand for a truth or a number, as on Snakemake's command line.

    Parameters
    ----------
    raw
        The configuration as read from YAML and the command line.
    environment
        `CRYPTO_BASE_DIR` overrides `data_dir` when that is null; `HTTPS_PROXY`,
        `HTTP_PROXY` (or in lower case) stand in for `http.proxy`.

    Raises
    ------
    ConfigError
        If a key is unknown or a value is not what was expected; the first ten of them
        in one message.
    """
    merged = merge([Document(dict(raw), {}, {}), *_defaults(raw, environment)])
    return _checked(Settings, merged)


def read(
    files: Iterable[Path],
    *,
    command_line: Mapping[str, Any],
    environment: Mapping[str, str],
) -> Settings:
    """Read settings strictly; messages name file, line and column.

    Parameters
    ----------
    files
        Files of YAML; later ones take precedence.
    command_line
        Settings that take precedence over all files. Their text may stand for a truth
        or a number: nothing can be quoted there.
    environment
        As `load` takes it.

    Raises
    ------
    ConfigError
        As of `load`, and if a file cannot be read or is no strict YAML.
    """
    merged = merge([*map(read_file, files), of_command_line(command_line)])
    merged = merge([merged, *_defaults(merged.values, environment)])
    return _checked(Settings, merged, context=values.FROM_FILES)


def validated(
    model: type[_Model], raw: Mapping[str, Any], *, where: str = ""
) -> _Model:
    """Return `raw` as a `model` of this package; messages begin with `where`.

    Raises
    ------
    ConfigError
        If a key is unknown or a value is not what was expected.
    """
    return _checked(model, Document(dict(raw), {}, {}), where=where)


def files_to_read(
    default: Path, named: Iterable[Path], *, replaces_default: bool
) -> list[Path]:
    """Return the files that Snakemake takes, those that take precedence last."""
    is_read = default.is_file() and not replaces_default
    return [*([default] if is_read else []), *map(Path, named)]


def read_file(path: Path) -> Document:
    """Read a file strictly; messages show its path from the current directory.

    Raises
    ------
    ConfigError
        If it cannot be read, or is no strict YAML.
    """
    is_below = path.is_absolute() and path.is_relative_to(Path.cwd())
    shown = path.relative_to(Path.cwd()) if is_below else path
    return documents.read(path, shown=str(shown))


def of_command_line(given: Mapping[str, Any]) -> Document:
    """Return settings of the option `--config`."""
    return _of_source(values.marked(dict(given)), "--config")


def merge(sources: Iterable[Document]) -> Document:
    """Return the settings of several sources, of which later ones take precedence."""
    merged = Document({}, {}, {})
    for source in sources:
        _update(merged, source, merged.values, source.values, ())
    return merged


def default_data_dir(environment: Mapping[str, str]) -> Path:
    """Return the data directory where the settings name none."""
    return Path(environment.get("CRYPTO_BASE_DIR") or ".") / "binance_data"


def _checked(
    model: type[_Model], merged: Document, *, where: str = "", context: Any = None
) -> _Model:
    try:
        return model.model_validate(merged.values, context=context)
    except ValidationError as error:
        found = [
            _message(merged, problem, where=where) for problem in explain(error, model)
        ]
    problems = list(dict.fromkeys(found))
    left = len(problems) - _SHOWN
    more = [f"and {left} more"] if left > 0 else []
    raise ConfigError("; ".join([*problems[:_SHOWN], *more]))


def _message(merged: Document, problem: Problem, *, where: str) -> str:
    path = problem.path + (() if where else problem.at)
    shown = (where + shown_path(path)).removeprefix(".") or "settings"
    place = _place(merged, path, is_key=problem.is_of_key)
    return ": ".join([*([] if place is None else [str(place)]), shown, problem.words])


def _place(merged: Document, path: KeyPath, *, is_key: bool) -> Position | None:
    """Return where a value is; of one that is missing, where its group begins."""
    found = merged.keys if is_key else merged.places
    for length in range(len(path), 0, -1):
        if path[:length] in found:
            return found[path[:length]]
    return found.get(())


def _update(
    merged: Document,
    newer: Document,
    held: dict[str, Any],
    values_: Mapping[str, Any],
    path: KeyPath,
) -> None:
    """Put newer settings over others, with where they are."""
    for key, value in values_.items():
        at = (*path, key)
        old = held.get(key)
        if isinstance(old, dict) and isinstance(value, dict):
            _move(merged, newer, at, deep=False)
            _update(merged, newer, old, value, at)
        else:
            _move(merged, newer, at, deep=True)
            held[key] = value
    if not path:
        _move(merged, newer, (), deep=False)


def _move(merged: Document, newer: Document, at: KeyPath, *, deep: bool) -> None:
    """Take over where a value is, and where all within it is."""
    for places, found in ((merged.keys, newer.keys), (merged.places, newer.places)):
        if deep:
            for path in [path for path in places if path[: len(at)] == at]:
                del places[path]
            places.update({p: v for p, v in found.items() if p[: len(at)] == at})
        elif at in found:
            places[at] = found[at]


def _defaults(
    raw: Mapping[str, Any], environment: Mapping[str, str]
) -> Iterable[Document]:
    """Yield what the environment says of settings that are null."""
    if raw.get("data_dir") is None:
        is_set = bool(environment.get("CRYPTO_BASE_DIR"))
        folder = {"data_dir": str(default_data_dir(environment))}
        yield _of_source(folder, "$CRYPTO_BASE_DIR" if is_set else "the default")
    http = raw.get("http", {})
    if isinstance(http, Mapping) and http.get("proxy") is None:
        names = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy")
        name = next((name for name in names if environment.get(name)), None)
        if name is not None:
            yield _of_source({"http": {"proxy": environment[name]}}, f"${name}")


def _of_source(given: dict[str, Any], source: str) -> Document:
    """Return settings that come from one place without lines."""
    places: dict[KeyPath, Position] = {}

    def note(value: Any, path: KeyPath) -> None:
        if path:
            places[path] = Position(source)
        if isinstance(value, dict):
            for key, each in value.items():
                note(each, (*path, key))
        elif isinstance(value, list):
            for number, each in enumerate(value):
                note(each, (*path, number))

    note(given, ())
    return Document(given, dict(places), places)
