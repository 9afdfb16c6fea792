"""Find the archive's files among the keys of a listing, a million at a time."""

from collections.abc import Callable

import polars as pl

from bhds.archive import keys
from bhds.archive.listing.directory import Directory, symbol_of_key
from bhds.core.errors import KeyGrammarError
from bhds.core.markets import Frequency

_PERIOD_LENGTHS = {
    Frequency.DAILY: len("YYYY-MM-DD"),
    Frequency.MONTHLY: len("YYYY-MM"),
}


def archive_files(
    listing: pl.DataFrame, *, directory: Directory
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Part a listing into the files of the archive and what does not belong there.

    A key is a file's exactly if `keys.ArchiveFile.from_key` reads it, or reads it
    without the suffix of a checksum, and finds it in `directory`.

    Parameters
    ----------
    listing
        n rows as in `LISTING_SCHEMA`.

    Returns
    -------
    files : polars.DataFrame
        Zips and checksums in the order of `listing`: `key`, `symbol`, `period`
        (String, as in the name), `is_checksum` (Boolean), then `size`, `etag` and
        `last_modified`.
    anomalies : polars.DataFrame
        The other rows, with a `reason` (String).
    """
    parsed = listing.with_columns(**_fields(directory))
    symbols = _sound(parsed["symbol"], fault=keys.symbol_fault)
    periods = _sound(
        parsed["period"],
        fault=lambda period: keys.period_fault(period, frequency=directory.frequency),
    )
    is_file = (
        (pl.col("zip_key") == _expected_zip_key(directory))
        & pl.col("symbol").is_in(symbols)
        & pl.col("period").is_in(periods)
    )
    described = ("size", "etag", "last_modified")
    files = parsed.filter(is_file).select(
        "key", "symbol", "period", "is_checksum", *described
    )
    anomalies = parsed.filter(~is_file).select("key", *described)
    reasons = [_reason(key, directory=directory) for key in anomalies["key"]]
    return files, anomalies.with_columns(pl.Series("reason", reasons, pl.String))


def with_days(files: pl.DataFrame, frequency: Frequency) -> pl.DataFrame:
    """Add `frequency`, and the UTC days `first_day` and `last_day` (included)."""
    if frequency is Frequency.DAILY:
        first = last = pl.col("period").str.to_date("%Y-%m-%d")
    else:
        first = (pl.col("period") + "-01").str.to_date("%Y-%m-%d")
        last = first.dt.month_end()
    return files.with_columns(
        frequency=pl.lit(frequency.value), first_day=first, last_day=last
    )


def _fields(directory: Directory) -> dict[str, pl.Expr]:
    """Guess the fields of each key by position, as those of a well-formed one."""
    key = pl.col("key")
    zip_key = key.str.strip_suffix(keys.CHECKSUM_SUFFIX)
    return {
        "symbol": symbol_of_key(directory),
        "period": zip_key.str.strip_suffix(".zip").str.tail(
            _PERIOD_LENGTHS[directory.frequency]
        ),
        "zip_key": zip_key,
        "is_checksum": key.str.ends_with(keys.CHECKSUM_SUFFIX),
    }


def _expected_zip_key(directory: Directory) -> pl.Expr:
    """Put the guessed fields together again: another key was not well-formed.

    On 10^6 keys this takes a third of the time of a regular expression.
    """
    tag = directory.interval or directory.data_type
    return pl.concat_str(
        pl.lit(directory.prefix),
        "symbol",
        pl.lit("/" if directory.interval is None else f"/{directory.interval}/"),
        "symbol",
        pl.lit(f"-{tag}-"),
        "period",
        pl.lit(".zip"),
    )


def _sound(values: pl.Series, *, fault: Callable[[str], str | None]) -> list[str]:
    """Return the distinct values without a fault: few, however long the column."""
    return [value for value in values.unique() if fault(value) is None]


def _reason(key: str, *, directory: Directory) -> str:
    """Return why a key is none of the directory's files."""
    try:
        keys.ArchiveFile.from_key(key.removesuffix(keys.CHECKSUM_SUFFIX))
    except KeyGrammarError as error:
        return str(error)
    expected = directory.symbol_prefix("<symbol>")
    return f"{key!r} is a file of another directory, expected {expected}"
