"""Write files so that a reader sees the whole file or none.

Every writer makes the file beside its target and renames it at the end, so a
killed job leaves no half-written target behind.
"""

import json
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl

from bhds import __version__

logger = logging.getLogger(__name__)

_ROW_GROUP = 1 << 18
"""Rows of a row group. Left to itself, Polars cuts groups by how a frame happens to
lie in memory, and equal frames become different files."""


@contextmanager
def replacing(path: Path | str) -> Iterator[Path]:
    """Yield a temporary neighbour of `path`, and rename it to `path` at the end.

    On any error the temporary file is removed and `path` stays as it was. Missing
    parent folders are made.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        yield partial
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def write_parquet(
    frame: pl.DataFrame, path: Path | str, *, metadata: Mapping[str, str]
) -> None:
    """Write `frame` to `path` as Parquet (zstd), byte for byte the same each time.

    `metadata` goes into the file's key-value metadata, each key prefixed `bhds.`,
    together with `bhds.version`.
    """
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


def write_json(value: Any, path: Path | str) -> None:
    """Write `value` to `path` as indented UTF-8 JSON with a newline at the end."""
    content = (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()
    with replacing(path) as partial:
        partial.write_bytes(content)
    logger.info("%s: %d bytes", path, len(content))
