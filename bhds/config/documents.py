"""Read YAML strictly, and keep where in the file each key and value is.

YAML 1.1, which Snakemake reads, turns `no` into false, `010` into 8, `12:30:45` into
45045 and drops the first of two equal keys. Nothing of that is accepted here: what
stands in the file is what is meant, or one error names the line and the column.
"""

import datetime as dt
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from bhds.core.errors import ConfigError

MAX_BYTES = 1 << 20
MAX_DEPTH = 20

KeyPath = tuple[str | int, ...]
"""The keys and list positions that lead to a value, such as `("datasets", 0)`."""

_TAG = "tag:yaml.org,2002:"
_NUMBER = re.compile(r"[-+]?(?:0|[1-9][0-9]*|(?=\.))(?:\.[0-9]*)?(?:[eE][-+]?[0-9]+)?")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_MAX_DIGITS = 30
_SHOWN = 40


class Position(NamedTuple):
    """Where a value was set."""

    source: str
    """A file, an option of the command line, or a variable of the environment."""
    line: int | None = None
    """From 1; None where there are no lines."""
    column: int | None = None

    def __str__(self) -> str:
        if self.line is None:
            return self.source
        return f"{self.source}:{self.line}:{self.column}"


class Document(NamedTuple):
    """Settings of one source, and where each of them is."""

    values: dict[str, Any]
    keys: dict[KeyPath, Position]
    """Where each key is; of what stands in a list, its value."""
    places: dict[KeyPath, Position]
    """Where each value is."""


def read(path: Path, *, shown: str | None = None) -> Document:
    """Read a file of settings.

    Parameters
    ----------
    path
        A file of YAML, UTF-8.
    shown
        Its name in messages; None: `path` as it is.

    Raises
    ------
    ConfigError
        If it cannot be read, is not YAML, not a group of keys, or not strict; with
        file, line and column.
    """
    name = shown or str(path)
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        msg = f"{name}: {reason}; expected a YAML file of settings"
        raise ConfigError(msg) from error
    if len(content) > MAX_BYTES:
        msg = f"{name}:1:1: holds more than {MAX_BYTES >> 20} MiB; expected settings"
        raise ConfigError(msg)
    composer = _Composer(_decoded(content, name), source=name)
    node = composer.document()
    if not isinstance(node, yaml.MappingNode):
        place = (
            Position(name, 1, 1) if node is None else composer.place(node.start_mark)
        )
        msg = f"{place}: holds no settings; expected YAML such as `offline: false`"
        raise ConfigError(msg)
    document = Document({}, {}, {})
    document.values.update(composer.value(node, (), document))
    return document


def read_value(text: str, *, source: str) -> Any:
    """Read one value of the command line, as strictly as a file.

    Raises
    ------
    ConfigError
        If it is not YAML, or not strict.
    """
    composer = _Composer(_checked(text, source, with_lines=False), source=source)
    node = composer.document()
    return None if node is None else composer.value(node, (), Document({}, {}, {}))


def plain_value(text: str) -> Any:
    """Return the number, truth or null that a text is; the text itself if it is none.

    Of command lines, on which nothing is quoted.
    """
    try:
        return read_value(text, source="")
    except ConfigError:
        return text


def _decoded(content: bytes, name: str) -> str:
    """Decode UTF-8, with or without a byte order mark."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in content[:4]:
        msg = f"{name}:1:1: is not UTF-8, as UTF-16 is not; save it as UTF-8"
        raise ConfigError(msg)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-8-sig")
        found = content[error.start]
        place = _place_after(before, name)
        msg = f"{place}: the byte 0x{found:02x} is not UTF-8; save the file as UTF-8"
        raise ConfigError(msg) from error
    return _checked(text, name)


def _checked(text: str, name: str, *, with_lines: bool = True) -> str:
    """Refuse control characters, which no editor shows."""
    found = yaml.reader.Reader.NON_PRINTABLE.search(text)
    if found is None:
        return text
    place = _place_after(text[: found.start()], name) if with_lines else Position(name)
    msg = (
        f"{place}: the character U+{ord(found[0]):04X} has no place in YAML; remove it"
    )
    raise ConfigError(msg)


def _place_after(before: str, name: str) -> Position:
    *lines, last = before.split("\n")
    return Position(name, len(lines) + 1, len(last) + 1)


class _Composer(yaml.SafeLoader):
    """Composes nodes without what has no place in settings, and reads them."""

    def __init__(self, text: str, *, source: str) -> None:
        super().__init__(text)
        self._source = source
        self._has_lines = not source.startswith("--") and source != ""
        self._depth = 0

    def document(self) -> yaml.Node | None:
        """Return the root of the only document; None if there is none."""
        try:
            node: yaml.Node | None = self.get_single_node()
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            raise self._fault(mark, _words(error)) from error
        except (yaml.YAMLError, ValueError, OverflowError) as error:
            msg = f"{self._source}: {' '.join(str(error).split())}; expected YAML"
            raise ConfigError(msg) from error
        return node

    def compose_node(self, parent: Any, index: Any) -> Any:
        """Compose a node, but no alias, and none that is too deep."""
        loader: Any = self  # PyYAML's methods have no types
        event = loader.peek_event()
        if isinstance(event, yaml.AliasEvent):
            msg = f"the alias *{event.anchor} is not read; write the value itself"
            raise self._fault(event.start_mark, msg)
        if event.anchor is not None:
            msg = (
                f"the anchor &{event.anchor} is not read; write each value where it is"
            )
            raise self._fault(event.start_mark, msg)
        if event.tag not in {None, "!"}:
            msg = f"the tag {event.tag[:_SHOWN]!r} is not read; remove it"
            raise self._fault(event.start_mark, msg)
        if self._depth >= MAX_DEPTH:
            msg = f"values are nested more than {MAX_DEPTH} deep; expected settings"
            raise self._fault(event.start_mark, msg)
        self._depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self._depth -= 1

    def place(self, mark: Any) -> Position:
        """Return where a mark is."""
        if not self._has_lines:
            return Position(self._source)
        return Position(self._source, mark.line + 1, mark.column + 1)

    def value(self, node: yaml.Node, path: KeyPath, document: Document) -> Any:
        """Return the value of a node, and add where its keys and values are."""
        document.places[path] = self.place(node.start_mark)
        document.keys.setdefault(path, document.places[path])
        if isinstance(node, yaml.SequenceNode):
            return [
                self.value(each, (*path, number), document)
                for number, each in enumerate(node.value)
            ]
        if isinstance(node, yaml.MappingNode):
            return self._group(node, path, document)
        return self._scalar(node)

    def _group(
        self, node: yaml.MappingNode, path: KeyPath, document: Document
    ) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = self._key(key_node)
            at = (*path, key)
            if key in found:
                first, shown = document.keys[at], key[:_SHOWN]
                msg = f"{shown!r} is set twice, first at {first}; remove one"
                raise self._fault(key_node.start_mark, msg)
            document.keys[at] = self.place(key_node.start_mark)
            found[key] = self.value(value_node, at, document)
            if value_node.start_mark.index == value_node.end_mark.index:
                document.places[at] = document.keys[at]  # nothing stands there
        return found

    def _key(self, node: yaml.Node) -> str:
        if isinstance(node, yaml.ScalarNode):
            if node.tag == f"{_TAG}merge":
                msg = "the merge key << is not read; write the keys themselves"
                raise self._fault(node.start_mark, msg)
            if node.tag == f"{_TAG}str":
                return str(node.value)
            shown = node.value[:_SHOWN]
            msg = f"the key {shown!r} is read as {_kind(node)}; expected a name"
        else:
            msg = "a list or a group is no key; expected a name"
        raise self._fault(node.start_mark, msg)

    def _scalar(self, node: Any) -> Any:
        kind, text = node.tag.removeprefix(_TAG), str(node.value)
        if kind == "null":
            return None
        if kind == "bool":
            if text.lower() in {"true", "false"}:
                return text.lower() == "true"
            msg = f"{text!r} is read as a truth; write true or false, or quote it"
            raise self._fault(node.start_mark, msg)
        if kind == "timestamp":
            return _day_or_text(text)
        if kind in {"int", "float"}:
            return self._number(node, text)
        return text

    def _number(self, node: Any, text: str) -> int | float:
        if text.lower().lstrip("+-") in {".inf", ".nan"}:
            return float(text.lower().replace(".", ""))
        if _NUMBER.fullmatch(text) is None or len(text) > _MAX_DIGITS:
            msg = (
                f"{text[:_SHOWN]!r} is read as another number than it looks like; "
                "write it in plain digits, or quote it"
            )
            raise self._fault(node.start_mark, msg)
        return int(text) if node.tag == f"{_TAG}int" else float(text)

    def _fault(self, mark: Any, words: str) -> ConfigError:
        place = Position(self._source) if mark is None else self.place(mark)
        return ConfigError(f"{place}: {words}")


def _day_or_text(text: str) -> dt.date | str:
    """Return a date; the text itself of a moment, or a day that no calendar has."""
    if _DAY.fullmatch(text) is not None:
        try:
            return dt.date.fromisoformat(text)
        except ValueError:
            pass
    return text


def _kind(node: yaml.ScalarNode) -> str:
    kinds: Mapping[str, str] = {
        "null": "null",
        "bool": "a truth",
        "int": "a number",
        "float": "a number",
        "timestamp": "a date",
    }
    return kinds.get(node.tag.removeprefix(_TAG), "no text")


def _words(error: yaml.MarkedYAMLError) -> str:
    """Return in one line what PyYAML found wrong, and what to do about a tab."""
    problem = " ".join(str(error.problem).split())
    if "'\\t'" in problem:
        return "a tab is no indentation in YAML; indent with blanks"
    if "but found another document" in problem:
        return "a second document begins; expected the settings in one"
    context = " ".join(str(error.context or "").split())
    return f"{context and context + ', '}{problem}; expected YAML"
