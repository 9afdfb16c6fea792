"""Write files so that a reader sees the whole file or none.

Every writer makes the file beside its target and renames it at the end, so a
killed job leaves no half-written target behind.
"""

import hashlib
import json
import logging
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import polars as pl

from bhds import layout
from bhds.core.errors import ResultError
from bhds.core.version import __version__
from bhds.io import runs
from bhds.io.places import remedy, writing
from bhds.schemas.klines import SYMBOL, with_symbol

logger = logging.getLogger(__name__)

_ROW_GROUP = 1 << 18
"""Rows of a row group. Left to itself, Polars cuts groups by how a frame happens to
lie in memory, and equal frames become different files."""


@contextmanager
def replacing(path: Path | str) -> Iterator[Path]:
    """Yield a temporary neighbour of `path`, and rename it to `path` at the end.

    On any error the temporary file is removed and `path` stays as it was. Missing
    parent folders are made.

    Raises
    ------
    PlaceError
        If the disk is full, or the place may not be written to.
    """
    target = Path(path)
    maker = runs.current()
    name = str(os.getpid()) if maker is None else maker.name
    partial = target.with_name(f".{target.name}.{name}.partial")
    try:
        with writing(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            yield partial
            partial.replace(target)
    finally:
        with suppress(OSError):  # what made it fail may keep it from being removed
            partial.unlink(missing_ok=True)


def write_parquet(
    frame: pl.DataFrame,
    path: Path | str,
    *,
    metadata: Mapping[str, str],
    symbol: str | None = None,
) -> None:
    """Write `frame` to `path` as Parquet (zstd), byte for byte the same each time.

    `metadata` goes into the file's key-value metadata, each key prefixed `bhds.`,
    together with `bhds.version`. The rows of one `symbol` get its name as a constant
    first column; `read_rows` reads them without it.
    """
    if symbol is not None:
        frame = frame.select(pl.lit(symbol).alias(SYMBOL), pl.all())
    tagged = {"bhds.version": __version__}
    tagged |= {f"bhds.{key}": value for key, value in metadata.items()}
    with replacing(path) as partial:
        frame.write_parquet(
            partial, compression="zstd", row_group_size=_ROW_GROUP, metadata=tagged
        )
    logger.info("%s: %d rows", path, frame.height)


def read_parquet_metadata(path: Path | str) -> dict[str, str]:
    """Return what `write_parquet` was given as `metadata`, and the version."""
    return {
        key.removeprefix("bhds."): value
        for key, value in pl.read_parquet_metadata(path).items()
        if key.startswith("bhds.")
    }


def read_parquet(
    path: Path | str,
    *,
    columns: Sequence[str] | None = None,
    schema: pl.Schema | None = None,
) -> pl.DataFrame:
    """Read a file of an earlier stage: some `columns`, or all, which `schema` names.

    Raises
    ------
    ResultError
        If it cannot be read, or has another schema.
    """
    try:
        frame = pl.read_parquet(
            path, columns=None if columns is None else [*columns], glob=False
        )
    except (OSError, pl.exceptions.PolarsError) as error:
        msg = f"{path}: cannot be read as Parquet ({error}); {remedy(error)}"
        raise ResultError(msg) from error
    if schema is not None and frame.schema != schema:
        wrong = sorted(dict(set(frame.schema.items()) ^ set(schema.items())))
        msg = (
            f"{path}: its columns {wrong or frame.columns} are not as expected, "
            f"{schema.names()}; delete it and run again"
        )
        raise ResultError(msg)
    return frame


def read_rows(
    path: Path | str,
    *,
    columns: Sequence[str] | None = None,
    schema: pl.Schema | None = None,
) -> pl.DataFrame:
    """Read a file of one symbol as `read_parquet` does, without the column `symbol`.

    Raises
    ------
    ResultError
        As of `read_parquet`, or if it has no such column: it was built by a version of
        BHDS that did not write it.
    """
    if columns is not None:
        return read_parquet(path, columns=columns)
    frame = read_parquet(path, schema=None if schema is None else with_symbol(schema))
    _check_symbol(path, frame.columns)
    return frame.drop(SYMBOL)


def scan_rows(path: Path | str) -> pl.LazyFrame:
    """Scan a file of one symbol, without the column `symbol`.

    Raises
    ------
    ResultError
        As of `read_rows`.
    """
    try:
        rows = pl.scan_parquet(path, glob=False)
        names = rows.collect_schema().names()
    except (OSError, pl.exceptions.PolarsError) as error:
        msg = f"{path}: cannot be read as Parquet ({error}); {remedy(error)}"
        raise ResultError(msg) from error
    _check_symbol(path, names)
    return rows.drop(SYMBOL)


def _check_symbol(path: Path | str, names: Sequence[str]) -> None:
    if names[:1] != [SYMBOL]:
        msg = (
            f"{path}: its first column is not {SYMBOL!r}: it was built by another "
            "version of BHDS; build it again"
        )
        raise ResultError(msg)


def read_sources(partition: Path | str) -> dict[str, Any]:
    """Read what is next to a partition or a backfill: what it was made from.

    Raises
    ------
    ResultError
        If it cannot be read.
    """
    return read_json(layout.sources_of(partition))


def read_json(path: Path | str) -> dict[str, Any]:
    """Read what `write_json` wrote.

    Raises
    ------
    ResultError
        If it cannot be read.
    """
    try:
        found: dict[str, Any] = json.loads(Path(path).read_bytes())
    except (OSError, ValueError) as error:
        msg = f"{path}: cannot be read ({error}); {remedy(error)}"
        raise ResultError(msg) from error
    return found


def provenance(
    stage: str, revision: int, inputs: Iterable[Path | str]
) -> dict[str, str]:
    """Return the metadata that shows what made a file: stage, revision, SHA-256s."""
    return {
        "stage": stage,
        "revision": str(revision),
        "inputs": " ".join(map(_sha256, inputs)),
    }


def _sha256(path: Path | str) -> str:
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_json(value: Any, path: Path | str) -> None:
    """Write `value` to `path` as indented UTF-8 JSON with a newline at the end."""
    content = (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()
    with replacing(path) as partial:
        partial.write_bytes(content)
    logger.info("%s: %d bytes", path, len(content))
