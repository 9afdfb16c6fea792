"""Write the parts of the documentation that the code itself knows.

A page has a block for each, between two comments: `<!-- generated: settings -->` and
`<!-- end of generated -->`. Run as `python docs/generate.py` it fills them anew; a test
holds every page against the code.
"""

import ast
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from bhds import layout
from bhds.config import Settings
from bhds.core.markets import Frequency, TradeType
from bhds.schemas.datatypes import DATA_TYPES, DataType
from bhds.schemas.dictionary import STAGES, DescribedColumn, TableEntry

ROOT = Path(__file__).resolve().parents[1]

PAGES = (
    ROOT / "config" / "README.md",
    ROOT / "docs" / "reference" / "columns.md",
    ROOT / "docs" / "reference" / "targets.md",
)
"""The pages with generated blocks."""

SCHEMA = ROOT / "config" / "settings.schema.json"
"""The schema of the settings for editors, next to the file that it describes."""

_BLOCK = re.compile(
    r"(<!-- generated: (?P<name>[\w ]+) -->\n).*?(<!-- end of generated -->)", re.DOTALL
)
_KINDS = {
    "boolean": "`true`, `false`",
    "null": "`null`",
    "string": "text",
    "number": "number",
    "integer": "whole number",
    "date": "date",
    "path": "folder",
    "days": "days such as `30d`",
}
_WORDS = {"None": "null", "True": "true", "False": "false"}
_SHORT = {
    TradeType.SPOT: "spot",
    TradeType.UM_FUTURES: "um",
    TradeType.CM_FUTURES: "cm",
    TradeType.OPTION: "option",
}


def rendered(page: str) -> str:
    """Return the text of a page with all its blocks filled anew.

    Raises
    ------
    KeyError
        If a block has an unknown name.
    """
    return _BLOCK.sub(
        lambda match: f"{match[1]}\n{BLOCKS[match['name']]()}\n{match[3]}", page
    )


def main() -> None:
    """Fill the blocks of all pages, and write the schema of the settings."""
    SCHEMA.write_text(settings_schema(), encoding="utf-8")
    for path in PAGES:
        path.write_text(rendered(path.read_text("utf-8")), encoding="utf-8")


def table(headings: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a Markdown table."""
    lines = [list(headings)]
    lines += [["---"] * len(lines[0]), *map(list, rows)]
    escaped = (" | ".join(c.replace("|", r"\|") for c in cells) for cells in lines)
    return "".join(f"| {line} |\n" for line in escaped)


# --- settings ---------------------------------------------------------------------


def settings() -> str:
    """Describe every setting: a table for each group."""
    schema = Settings.model_json_schema()
    return "\n".join(_groups(schema, schema, name="", heading="Top level"))


def settings_schema() -> str:
    """Return the JSON schema of the settings."""
    dialect = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    schema = dialect | Settings.model_json_schema()
    return f"{json.dumps(schema, indent=2, ensure_ascii=False)}\n"


def _groups(
    schema: Mapping[str, Any], group: Mapping[str, Any], *, name: str, heading: str
) -> Iterator[str]:
    """Yield the section of one group of settings, and those of the groups in it."""
    rows, inner = [], []
    for key, described in group["properties"].items():
        is_required = key in group.get("required", ())
        model, kind = _model_of(described, schema)
        rows.append(
            (
                f"`{key}`",
                kind if model is None else f"[{kind}](#{_anchor(name, key)})",
                "required" if is_required else _default(described),
                described.get("description") or (model or {}).get("description", ""),
            )
        )
        if model is not None:
            place = ".".join(filter(None, (name, key)))
            inner.append((model, place))
    if name:
        heading = f"`{name}`"
    yield f"### {heading}\n\n" + table(("key", "value", "default", "meaning"), rows)
    for model, place in inner:
        yield from _groups(schema, model, name=place, heading="")


def _anchor(group: str, key: str) -> str:
    """Return the anchor of a group's heading, as Sphinx and GitHub make it."""
    return re.sub(r"[^\w-]", "", ".".join(filter(None, (group, key)))).lower()


def _model_of(
    described: Mapping[str, Any], schema: Mapping[str, Any]
) -> tuple[Mapping[str, Any] | None, str]:
    """Return the group that a setting holds, if it does, and what its values are."""
    options = [described, *described.get("anyOf", ()), *described.get("oneOf", ())]
    if "items" in described:
        options.append(described["items"])
    for option in options:
        if "$ref" not in option:
            continue
        model = schema["$defs"][option["$ref"].rpartition("/")[2]]
        if "properties" in model:
            many = "list of groups" if "items" in described else "group"
            others = [_kind(o, schema) for o in options[1:] if "$ref" not in o]
            is_list = "items" in described
            return model, many if is_list else " or ".join([*others, many])
    return None, _kind(described, schema)


def _kind(described: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    """Say what values a setting takes."""
    if "$ref" in described:
        described = schema["$defs"][described["$ref"].rpartition("/")[2]]
    options = [*described.get("anyOf", ()), *described.get("oneOf", ())]
    if options:
        return " or ".join(_kind(option, schema) for option in options)
    words = described.get("enum", [described["const"]] if "const" in described else [])
    if words:
        return ", ".join(f"`{word}`" for word in words)
    if described["type"] == "array":
        return f"list: {_kind(described['items'], schema)}"
    return _KINDS[described.get("format", described["type"])] + _bounds(described)


def _bounds(described: Mapping[str, Any]) -> str:
    signs = {
        "exclusiveMinimum": "above",
        "minimum": "from",
        "maximum": "to",
    }
    found = [f"{sign} {described[n]:,g}" for n, sign in signs.items() if n in described]
    return "".join(f" {each}" for each in found)


def _default(described: Mapping[str, Any]) -> str:
    """Show the default of a setting as it would be written in YAML."""
    value = described.get("default")
    return (
        "as below" if isinstance(value, dict) else f"`{_WORDS.get(str(value), value)}`"
    )


# --- tables -----------------------------------------------------------------------


def tables() -> str:
    """Describe every table: its paths, its rows and its columns."""
    parts = []
    for stage, entries in STAGES.items():
        parts.append(f"## {stage}\n")
        parts += [_table(entry) for entry in entries]
    return "\n".join(parts)


def _table(entry: TableEntry) -> str:
    paths = "\n".join(f"- `{path}`" for path in entry.paths)
    key = ", ".join(f"`{name}`" for name in entry.key)
    rows = f"One row is {entry.rows}" + (f"; unique on {key}." if key else ".")
    markets = entry.trade_types
    body = table(
        ("column", "dtype", "unit", "meaning"),
        ([*_column(column, markets=markets)] for column in entry.columns),
    )
    return f"### {entry.name}\n\n{paths}\n\n{rows}\n\n{body}"


def _column(
    described: DescribedColumn, *, markets: tuple[TradeType, ...]
) -> Iterator[str]:
    column = described.column
    yield f"`{column.name}`"
    yield _dtype(column.dtype)
    yield column.unit
    here = ", ".join(_SHORT[each] for each in described.trade_types)
    yield column.meaning + ("" if described.trade_types == markets else f" ({here})")


def _dtype(dtype: pl.DataType) -> str:
    if isinstance(dtype, pl.Enum):
        return "Enum: " + ", ".join(f"`{word}`" for word in dtype.categories)
    if isinstance(dtype, pl.Datetime):
        return f"Datetime({dtype.time_unit}, {dtype.time_zone})"
    if isinstance(dtype, pl.Duration):
        return f"Duration({dtype.time_unit})"
    return str(dtype)


# --- data types ----------------------------------------------------------------


def data_types() -> str:
    """Describe every data type: markets, zips, partitions and key."""
    rows = [_data_type(entry) for entry in DATA_TYPES.values()]
    merged: dict[tuple[str, ...], list[str]] = {}
    for name, *rest in rows:
        merged.setdefault(tuple(rest), []).append(name)
    headings = ("data type", "markets", "zips", "partition", "rows are unique on")
    return table(
        headings, ((", ".join(names), *rest) for rest, names in merged.items())
    )


def _data_type(entry: DataType) -> tuple[str, ...]:
    published = {feed.frequency for feed in entry.feeds}
    order = (Frequency.MONTHLY, Frequency.DAILY)
    zips = ", ".join(each for each in order if each in published)
    if entry.table is None:
        held = ("downloaded and verified only", "")
    else:
        described = entry.table(entry.trade_types[0])
        key = ", ".join(f"`{name}`" for name in described.key)
        unique = key or "nothing: pairs are collapsed"
        if described.events is not None:
            unique = f"nothing: events may share {key}"
        size = entry.partition.name.lower()
        has_seconds = "1s" in entry.intervals_of(entry.trade_types[0])
        held = (
            f"{size} (1s: month)" if has_seconds else size,
            unique,
        )
    markets = ", ".join(_market(entry, trade_type) for trade_type in entry.trade_types)
    return f"`{entry.name}`", markets, zips, *held


def _market(entry: DataType, trade_type: TradeType) -> str:
    days = [feed.last_day for feed in entry.feeds if feed.trade_type is trade_type]
    last = max((day for day in days if day), default=None)
    ended = "" if None in days or last is None else f" (until {last})"
    return f"{_SHORT[trade_type]}{ended}"


# --- rules ------------------------------------------------------------------------

_RULE = re.compile(
    r'^(?P<indent> *)(?:rule|checkpoint)(?: +(?P<name>\w+))?:\n\s*"""(?P<doc>.*?)"""',
    re.MULTILINE | re.DOTALL,
)
_GIVEN_NAME = re.compile(r'\bname:\s*f?"(?P<name>\w+?)(?:_\{[^"]*)?"')
_OUTPUT = re.compile(r"^( +)output:\n(?P<body>.*?)^\1\S", re.MULTILINE | re.DOTALL)


def targets() -> str:
    """Describe what can be asked for by name, from the rules' docstrings."""
    files = (ROOT / "Snakefile", ROOT / "rules" / "targets.smk")
    return table(
        ("target", "what"),
        ((f"`{name}`", doc) for path in files for name, doc, _ in _rules(path)),
    )


def rules() -> str:
    """Describe the rules that make files, from their docstrings and outputs."""
    rows = []
    for path in sorted((ROOT / "rules").glob("*.smk")):
        for name, doc, outputs in _rules(path):
            if outputs is not None:
                paths = "<br>".join(f"`{each}`" for each in outputs)
                rows.append((f"`{name}`", doc, paths))
    return table(("rule", "what it does", "files"), rows)


def _rules(path: Path) -> Iterator[tuple[str, str, list[str] | None]]:
    """Yield name, docstring and output paths of each rule; None: it makes none."""
    text = path.read_text("utf-8")
    for match in _RULE.finditer(text):
        end = re.compile(rf"^ {{0,{len(match['indent'])}}}\S", re.MULTILINE)
        following = end.search(text, match.end())
        body = text[match.end() : following.start() if following else None]
        given = _GIVEN_NAME.search(body)
        name = match["name"] or (given["name"] if given else "")
        output = _OUTPUT.search(body)
        paths = output and list(_paths(ast.parse(f"dict({output['body']})")))
        doc = " ".join(match["doc"].split())
        yield name, doc, paths and [_placeholders(each) for each in paths]


def _paths(node: ast.AST) -> Iterator[str]:
    """Yield what the expressions of `bhds.layout` in some code say."""
    code = ast.unparse(node)
    if code.startswith("layout."):
        yield eval(code, {"layout": layout})  # noqa: S307 -- code of our own rules
        return
    for child in ast.iter_child_nodes(node):
        yield from _paths(child)


def _placeholders(path: str) -> str:
    return (
        path.replace("{{", "{").replace("}}", "}").replace("{", "<").replace("}", ">")
    )


BLOCKS: Mapping[str, Callable[[], str]] = {
    "settings": settings,
    "tables": tables,
    "data types": data_types,
    "targets": targets,
    "rules": rules,
}
"""What makes each block."""

if __name__ == "__main__":
    main()
