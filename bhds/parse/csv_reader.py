"""Read the CSVs of many zips at once, strictly, and name the one that is bad.

One `read_csv` of the joined bytes takes a third of the time of one call a file
(365 daily zips of 1m klines), so a file's rows are known by their number alone.
"""

import datetime as dt
import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import NoReturn

import polars as pl

from bhds.archive.integrity.bounds import MAX_COLUMNS, MAX_WORD_BYTES, cut
from bhds.core.errors import ParseError
from bhds.schemas.csv_table import Field, Form, Table

_UNKNOWN = "unknown:"
_IGNORED = re.compile(rf"column {_UNKNOWN}(.*) is ignored|(\w+ .+) is no known word")
_INT64 = range(-(2**63), 2**63)
_WHOLE = re.compile(rb"\s*[+-]?\d{1,19}")
_NUMBER = re.compile(rb"\s*[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
_SPREADSHEET = re.compile(rb"\d(\.\d+)?E\+\d+")
_QUOTED = re.compile(rb'"([^"]*)"')
_CLOCK_FORMAT = "%Y-%m-%d %H:%M:%S"
_READ_BYTES = 32 << 20
"""How much of a CSV of up to `_READ_COLUMNS` is read at once; of wider ones, less."""
_READ_COLUMNS = 12
_SEARCHED_ROWS = 1_000
"""In so many rows a bad one is sought value by value."""
_CLOCK = r"^[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-5][0-9]:[0-5][0-9]$"


@dataclass(frozen=True)
class CsvBody:
    """A CSV without its header, or some of the lines of one."""

    layout: tuple[str, ...]
    """The columns in the file's order; unknown ones are marked as such."""
    has_header: bool
    rows: int
    data: bytes
    """`rows` lines, each ended by a line feed."""
    warnings: tuple[str, ...]
    first_line: int
    """The number, from 1, of the line in the file that holds row 0."""

    def line(self, row: int) -> int:
        """Return the number, from 1, of the line in the file that holds `row`."""
        return self.first_line + row


def split_header(content: bytes, *, table: Table) -> CsvBody:
    """Take a CSV's header off, if it has one, and bring its line ends into order.

    A file whose first byte is not a digit has a header (first columns are times or
    numbers that count up). The blank lines at the end are dropped, a missing last
    line feed is added.

    Raises
    ------
    ParseError
        If the header lacks a field that is kept, or names one that is looked at twice.
    """
    if b"\r" in content:
        content = content.replace(b"\r\n", b"\n")
    if content.endswith(b"\n\n") or not content.endswith(b"\n"):
        content = content.rstrip(b"\n") + b"\n"
    if content == b"\n":
        content = b""
    layout = tuple(field.name for field in table.fields if not field.is_optional)
    has_header = content != b"" and not content[:1].isdigit()
    data = content
    if has_header:
        header, _, data = content.partition(b"\n")
        layout = _header_layout(header, table=table)
    unknown = [name for name in layout if name.startswith(_UNKNOWN)]
    return CsvBody(
        layout=layout,
        has_header=has_header,
        rows=data.count(b"\n"),
        data=data,
        warnings=tuple(
            f"column {cut(name, length=100)} is ignored" for name in unknown
        ),
        first_line=2 if has_header else 1,
    )


def unknown_columns(warnings: Iterable[str]) -> set[str]:
    """Name the unknown columns and words that warnings are of, as the files do."""
    found = map(_IGNORED.fullmatch, warnings)
    return {match[1] or match[2] for match in found if match}


def word_warnings(body: CsvBody, *, table: Table) -> list[str]:
    """Return a warning of each unknown word of optional fields, which becomes null."""
    warnings = []
    for field in table.fields:
        if field.is_optional and field.words and field.name in body.layout:
            at = body.layout.index(field.name)
            lines = (line.split(b",") for line in body.data.splitlines())
            found = {values[at] for values in lines if len(values) > at}
            words = {cut(word.decode("utf-8", "replace"), length=100) for word in found}
            warnings += [
                f"{field.name} {word!r} is no known word"
                for word in sorted(words.difference(field.words, [""]))
            ]
    return warnings


def _header_layout(header: bytes, *, table: Table) -> tuple[str, ...]:
    """Return the columns that a header line names, in its order.

    Names of columns that are not looked at may repeat, and are distinguished by number.

    Notes
    -----
    Headers of mark price and premium klines of um may say `ignore` for each volume:
    so they stand in the tests of other projects that read the archive (2022-01).
    """
    columns = header.count(b",") + 1
    if columns > MAX_COLUMNS:
        msg = f"line 1: header of {columns} columns: expected at most {MAX_COLUMNS}"
        raise ParseError(msg)
    names = {
        published: field.name for field in table.fields for published in field.published
    }
    unused = {field.name for field in table.fields if field.kind is Form.UNUSED}
    layout: list[str] = []
    for published in header.decode("utf-8", errors="replace").split(","):
        name = names.get(published, f"{_UNKNOWN}{published}")
        if name in layout and (name in unused or name.startswith(_UNKNOWN)):
            name = f"{name}:{len(layout) + 1}"
        layout.append(name)
    if len(set(layout)) < len(layout):
        msg = f"line 1: header {header[:200]!r} names a column twice"
        raise ParseError(msg)
    missing = [
        field.published[0]
        for field in table.fields
        if field.is_kept and not field.is_optional and field.name not in layout
    ]
    if missing:
        msg = f"line 1: header {header[:200]!r} lacks {','.join(missing)}"
        raise ParseError(msg)
    return tuple(layout)


def read_bodies(
    bodies: Sequence[CsvBody], *, table: Table, symbol: str
) -> tuple[pl.DataFrame, dict[int, str]]:
    """Read CSVs into one frame, leaving out those with a bad row.

    Parameters
    ----------
    bodies
        k >= 0 CSVs.
    table
        What they hold.
    symbol
        What a `SYMBOL` field has to be.

    Returns
    -------
    frame
        The rows of the good CSVs, in the order of `bodies`, each with its `rows`
        rows: the fields that are kept, in the table's order, `EPOCH` ones as
        published (Int64), the others of their `Field.dtype`. Only an
        `OPTIONAL_NUMBER` can be null; no number is NaN or infinite.
    faults
        For each bad CSV its position in `bodies`, and what is wrong where.
    """
    kept = [field for field in table.fields if field.is_kept]
    frames = [pl.DataFrame(schema={field.name: _read_dtype(field) for field in kept})]
    faults: dict[int, str] = {}
    numbered = enumerate(bodies)
    for _, run in groupby(numbered, key=lambda item: item[1].layout):
        alike = list(run)
        try:
            frames.append(_read_alike([body for _, body in alike], table, symbol))
        except ParseError:
            for position, body in alike:
                try:
                    frames.append(_read_alike([body], table, symbol))
                except ParseError as error:
                    faults[position] = str(error)
    return pl.concat(frames), faults


def _read_dtype(field: Field) -> pl.DataType:
    """Return what a field is read as: a time since 1970 first as the number it is."""
    return pl.Int64() if field.kind is Form.EPOCH else field.dtype


def _csv_dtype(field: Field | None) -> pl.DataType:
    """Return what Polars reads a column of the CSV as, an unknown one included."""
    if field is None or field.kind is Form.CLOCK or field.is_optional:
        return pl.String()
    return _read_dtype(field)


def _has_quotes(table: Table) -> bool:
    """Return whether fields may stand in quotes: where one may be blank, as `""`."""
    return any(field.kind is Form.OPTIONAL_NUMBER for field in table.fields)


def _read_alike(bodies: Sequence[CsvBody], table: Table, symbol: str) -> pl.DataFrame:
    """Read CSVs of one layout as one.

    Raises
    ------
    ParseError
        If any field is not what it should be or any line has too few or too many.
        Of a single CSV, the line and the field are named.
    """
    layout = bodies[0].layout
    data = bodies[0].data if len(bodies) == 1 else b"".join(b.data for b in bodies)
    rows = sum(body.rows for body in bodies)
    limit = _READ_BYTES * _READ_COLUMNS // max(len(layout), _READ_COLUMNS)
    try:
        if rows * len(layout) > len(data):  # each field ends with a byte
            _refuse("a line has too few fields")
        parts = [
            _read_lines(part, layout=layout, table=table, symbol=symbol)
            for part in _cut_lines(data, limit)
        ]
    except (ParseError, pl.exceptions.PolarsError) as error:
        msg = _fault(bodies, table, symbol, default=str(error))
        raise ParseError(msg) from error
    return parts[0] if len(parts) == 1 else pl.concat(parts)


def _refuse(reason: str) -> NoReturn:
    raise ParseError(reason)


def _cut_lines(data: bytes, limit: int) -> Iterator[bytes]:
    """Cut lines into parts of about so many bytes at most: at least one."""
    begin = 0
    while len(data) - begin > limit:
        end = data.rfind(b"\n", begin, begin + limit) + 1
        end = end or data.index(b"\n", begin) + 1
        yield data[begin:end]
        begin = end
    yield data[begin:] if begin else data


def _read_lines(
    data: bytes, *, layout: Sequence[str], table: Table, symbol: str
) -> pl.DataFrame:
    """Read lines of one layout.

    Raises
    ------
    ParseError, polars.exceptions.PolarsError
        If any field is not what it should be or any line has too few or too many.
    """
    fields = {field.name: field for field in table.fields}
    schema = {name: _csv_dtype(fields.get(name)) for name in layout}
    published = pl.read_csv(
        data,
        has_header=False,
        schema=schema,
        quote_char='"' if _has_quotes(table) else None,
        raise_if_empty=False,
        glob=False,
    )
    clocks = [field.name for field in table.fields if field.kind is Form.CLOCK]
    frame = published.with_columns(_parse_clock(name) for name in clocks)
    rows = data.count(b"\n")
    if not _is_sound(frame, data, rows=rows, table=table, symbol=symbol):
        _refuse("lines and rows differ")
    return frame.with_columns(
        pl.col(field.name).cast(field.dtype, strict=False)
        if field.name in schema
        else pl.lit(None, field.dtype).alias(field.name)
        for field in table.fields
        if field.is_optional
    ).select(field.name for field in table.fields if field.is_kept)


def _parse_clock(name: str) -> pl.Expr:
    """Read a time of the form of a clock; null where it has another form."""
    text = pl.col(name)
    well_formed = pl.when(text.str.contains(_CLOCK)).then(text)
    return well_formed.str.to_datetime(
        _CLOCK_FORMAT, time_unit="us", time_zone="UTC", strict=False
    )


def _is_sound(
    frame: pl.DataFrame, data: bytes, *, rows: int, table: Table, symbol: str
) -> bool:
    """Return whether a frame that was read from `data` is all that it should be."""
    nulls = dict(zip(frame.columns, frame.null_count().row(0), strict=True))
    symbols = [field.name for field in table.fields if field.kind is Form.SYMBOL]
    needed = [
        field.name
        for field in table.fields
        if field.kind not in {Form.OPTIONAL_NUMBER, Form.UNUSED}
        and not field.is_optional
    ]
    if frame.height != rows or any(nulls.get(name) for name in needed):
        return False
    # A field is null if it is blank and also if its line ends before it.
    if any(nulls.values()) and data.count(b",") != rows * (frame.width - 1):
        return False
    words = [field.name for field in table.fields if field.is_any_word]
    return all(
        frame.select(
            pl.lit(value=True),  # there may be neither numbers nor a symbol
            pl.col(pl.Float64).is_finite().all(),
            (pl.col(words).str.len_bytes() <= MAX_WORD_BYTES).all(),
            *((pl.col(name) == symbol).all() for name in symbols if name in nulls),
        ).row(0)
    )


def _fault(
    bodies: Sequence[CsvBody], table: Table, symbol: str, *, default: str
) -> str:
    """Return what is wrong with a CSV; of several, only that something is."""
    if len(bodies) > 1:
        return default
    body = _narrowed(bodies[0], table, symbol)
    fields = {field.name: field for field in table.fields}
    quoted = _has_quotes(table)
    for row, line in enumerate(body.data.removesuffix(b"\n").split(b"\n")):
        values = line.split(b",")
        if len(values) != len(body.layout):
            what = f"{len(values)} fields" if line.strip() else "blank"
            return f"line {body.line(row)}: {what}: expected {len(body.layout)} fields"
        for name, value in zip(body.layout, values, strict=True):
            bare = _QUOTED.fullmatch(value) if quoted else None
            expected = _expected(bare[1] if bare else value, fields.get(name), symbol)
            if expected is not None:
                text = value[:50].decode("utf-8", errors="replace")
                return f"line {body.line(row)}: {name} {text!r}: expected {expected}"
    return default


def _narrowed(body: CsvBody, table: Table, symbol: str) -> CsvBody:
    """Return few lines of a CSV, among them the first bad one, or the last ones.

    Halves are read, which is far faster than to look at each value.
    """
    while body.rows > _SEARCHED_ROWS:
        middle = body.data.index(b"\n", len(body.data) // 2 - 1) + 1
        first = body.data[:middle]
        half = replace(body, data=first, rows=first.count(b"\n"))
        if half.rows == body.rows:
            break
        try:
            if half.rows * len(body.layout) > len(first):
                _refuse("a line has too few fields")
            _read_lines(first, layout=body.layout, table=table, symbol=symbol)
        except (ParseError, pl.exceptions.PolarsError):
            body = half
        else:
            body = replace(
                body,
                data=body.data[middle:],
                rows=body.rows - half.rows,
                first_line=body.line(half.rows),
            )
    return body


def _expected(value: bytes, field: Field | None, symbol: str) -> str | None:
    """Return what a value should have been, None if it is as it should be."""
    kind = field.kind if field else Form.UNUSED
    if field is not None and field.is_optional:
        return None
    words = (symbol,) if kind is Form.SYMBOL else field.words if field else ()
    if words:
        known = value.decode("utf-8", errors="replace") in words
        return None if known else " or ".join(words)
    if kind not in _FORMS or _FORMS[kind][0](value):
        return None
    if kind in {Form.WHOLE, Form.EPOCH} and _SPREADSHEET.fullmatch(value):
        return "a whole number; a spreadsheet has rounded it, fetch the file again"
    return _FORMS[kind][1]


def _is_whole(value: bytes) -> bool:
    return _WHOLE.fullmatch(value) is not None and int(value) in _INT64


def _is_finite(value: bytes) -> bool:
    return _NUMBER.fullmatch(value) is not None and math.isfinite(float(value))


def _is_clock(value: bytes) -> bool:
    text = value.decode("utf-8", errors="replace")
    try:
        dt.datetime.strptime(text, _CLOCK_FORMAT)  # noqa: DTZ007  # its form is asked
    except ValueError:
        return False
    return re.match(_CLOCK, text) is not None


_FORMS: dict[Form, tuple[Callable[[bytes], bool], str]] = {
    Form.WHOLE: (_is_whole, "a whole number"),
    Form.EPOCH: (_is_whole, "a whole number"),
    Form.NUMBER: (_is_finite, "a finite number"),
    Form.OPTIONAL_NUMBER: (
        lambda value: not value.strip() or _is_finite(value),
        "a finite number or nothing",
    ),
    Form.FLAG: (lambda value: value.lower() in {b"true", b"false"}, "true or false"),
    Form.WORD: (
        lambda value: 0 < len(value) <= MAX_WORD_BYTES,
        f"a word of at most {MAX_WORD_BYTES} bytes",
    ),
    Form.CLOCK: (_is_clock, "a time as YYYY-MM-DD HH:MM:SS"),
}
"""What the values of a kind are like, and how that is said."""
