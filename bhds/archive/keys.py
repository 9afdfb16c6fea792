"""The grammar of bucket keys and of the local paths that mirror them, both ways.

A key and its path differ in the root only, which shows the market::

    data/futures/um/monthly/klines/BTCUSDT/1m/BTCUSDT-1m-2024-02.zip
    aws_data/um_futures/monthly/klines/BTCUSDT/1m/BTCUSDT-1m-2024-02.zip

The grammar is strict, because keys come from outside and become local files. The
functions on plain strings do no checks: they are for keys that were checked in
bulk (`bhds.archive.listing.inventory.archive_files`), a million at a time.
"""

import calendar
import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self
from unicodedata import is_normalized
from urllib.parse import quote

from bhds import layout
from bhds.core.errors import KeyGrammarError, cut
from bhds.core.markets import ARCHIVE_INTERVALS, Frequency, TradeType
from bhds.schemas.datatypes import BAR_TYPES

CHECKSUM_SUFFIX = ".CHECKSUM"
"""What the name of a zip's checksum file adds to the name of the zip."""

_KEY_ROOTS = {f"data/{market.bucket_path}/": market for market in TradeType}
_PATH_ROOTS = {f"{layout.AWS}/{market}/": market for market in TradeType}
_PATH_ROOT_OF_KEY_ROOT = dict(zip(_KEY_ROOTS, _PATH_ROOTS, strict=True))
_KEY_ROOT_OF_PATH_ROOT = dict(zip(_PATH_ROOTS, _KEY_ROOTS, strict=True))

_DATA_TYPE = re.compile(r"[A-Za-z][A-Za-z0-9]*")
_MOST_SYMBOL_BYTES = 64
"""A file's name has room for 255, of which periods and suffixes take up to 60."""
_PERIODS = {
    Frequency.DAILY: re.compile(r"[12][0-9]{3}-[0-9]{2}-[0-9]{2}"),
    Frequency.MONTHLY: re.compile(r"[12][0-9]{3}-[0-9]{2}"),
}
_PERIOD_FORMS = {
    Frequency.DAILY: "a day YYYY-MM-DD",
    Frequency.MONTHLY: "a month YYYY-MM",
}
_FREQUENCIES = frozenset(Frequency)
_FIELD_COUNTS = (4, 5)  # below the root, without and with the interval


@dataclass(frozen=True, slots=True)
class ArchiveFile:
    """One zip of the archive, by the fields that its key is built from.

    Raises
    ------
    KeyGrammarError
        If a field does not follow the grammar, whichever way the file is made.
    """

    trade_type: TradeType
    frequency: Frequency
    data_type: str
    symbol: str
    interval: str | None
    """The interval's folder, for the `BAR_TYPES` only."""
    period: str
    """The UTC day or month as the name gives it: `2024-02-29` or `2024-02`."""

    def __post_init__(self) -> None:
        fault = (
            layer_fault(self.data_type, interval=self.interval)
            or symbol_fault(self.symbol)
            or period_fault(self.period, frequency=self.frequency)
        )
        if fault is not None:
            raise KeyGrammarError(_message(self.key, fault=fault))

    @property
    def name(self) -> str:
        """The file's own name."""
        return f"{self.symbol}-{self.interval or self.data_type}-{self.period}.zip"

    @property
    def key(self) -> str:
        """The key in the bucket."""
        folder = directory_prefix(
            self.trade_type,
            frequency=self.frequency,
            data_type=self.data_type,
            symbol=self.symbol,
            interval=self.interval,
        )
        return folder + self.name

    @property
    def path(self) -> str:
        """The path below the data directory, with forward slashes."""
        folder = layout.archive_symbol_folder(
            self.trade_type,
            self.frequency,
            self.data_type,
            self.symbol,
            self.interval,
        )
        return f"{folder}/{self.name}"

    @property
    def first_day(self) -> dt.date:
        """The first UTC day that the file covers."""
        return _first_day(self.period)

    @property
    def last_day(self) -> dt.date:
        """The last UTC day that the file covers, itself included."""
        first = _first_day(self.period)
        if self.frequency is Frequency.DAILY:
            return first
        return first.replace(day=calendar.monthrange(first.year, first.month)[1])

    @classmethod
    def from_key(cls, key: str) -> Self:
        """Read the key of a zip.

        Raises
        ------
        KeyGrammarError
            If the key is not that of a zip of a known market, frequency and
            interval, if its name does not match its folders, or if its symbol or
            period is malformed.
        """
        return cls._parse(key, roots=_KEY_ROOTS)

    @classmethod
    def from_path(cls, path: str) -> Self:
        """Read the path of a zip, relative to the data directory.

        Raises
        ------
        KeyGrammarError
            As `from_key`.
        """
        return cls._parse(path, roots=_PATH_ROOTS)

    @classmethod
    def _parse(cls, location: str, *, roots: Mapping[str, TradeType]) -> Self:
        root = _root_of(location, roots=roots)
        frequency, data_type, symbol, interval, name = _fields(location, root=root)
        start = f"{symbol}-{interval or data_type}-"
        if not (name.startswith(start) and name.endswith(".zip")):
            fault = (
                f"name '{cut(name)}': expected {cut(start)}<period>.zip, as in its "
                "folder"
            )
            raise KeyGrammarError(_message(location, fault=fault))
        period = name.removeprefix(start).removesuffix(".zip")
        return cls(roots[root], frequency, data_type, symbol, interval, period)


def layer_fault(data_type: str, *, interval: str | None) -> str | None:
    """Return what is wrong with a data type and its interval; None if nothing is."""
    if _DATA_TYPE.fullmatch(data_type) is None:
        return f"data type '{cut(data_type)}': expected ASCII letters and digits"
    if data_type in BAR_TYPES:
        if interval not in ARCHIVE_INTERVALS:
            expected = ", ".join(ARCHIVE_INTERVALS)
            shown = cut(repr(interval))
            return f"interval {shown} of {data_type}: expected one of {expected}"
    elif interval is not None:
        return f"interval '{cut(interval)}': {data_type} has no folders for intervals"
    return None


def symbol_fault(symbol: str) -> str | None:
    r"""Return what is wrong with a symbol; None if nothing is.

    This decides for listings, folders, settings and the command line alike. A symbol
    becomes part of paths, patterns and messages, so it has letters and digits of any
    script (`币安人生USDT`), underscores and single dots inside, and nothing else: no
    `*`, `?` or `[` that is read as a pattern. Small letters are refused, as by the
    exchange itself: on some disks their files would be those of another symbol.

    Notes
    -----
    Error -1100 of the API names the legal characters of a symbol: of spot
    `^[\w\-._&&[^a-z]]{1,50}$`, formerly `^[A-Z0-9-_.]{1,20}$`.
    """
    expected = None
    if len(symbol.encode(errors="replace")) > _MOST_SYMBOL_BYTES:
        expected = f"at most {_MOST_SYMBOL_BYTES} bytes"
    elif not symbol.replace("_", "0").replace(".", "0").isalnum():
        expected = "letters, digits, underscores and single dots alone"
    elif symbol.startswith(".") or symbol.endswith(".") or ".." in symbol:
        expected = "no dots at its ends or in pairs"
    elif symbol != symbol.upper() or not is_normalized("NFKC", symbol):
        expected = "capital letters in their usual form"
    return expected and f"symbol '{cut(symbol, most=80)}': expected {expected}"


def period_fault(period: str, *, frequency: Frequency) -> str | None:
    """Return what is wrong with a file's period; None if nothing is.

    A period is a real UTC day for daily files, or a real month for monthly ones,
    with all its zeros: `2020-8`, which the bucket holds, is refused.
    """
    fault = f"period '{cut(period)}': expected {_PERIOD_FORMS[frequency]}"
    # The form goes first, because `fromisoformat` takes 20240229 and 2024-W09 too.
    if _PERIODS[frequency].fullmatch(period) is None:
        return fault
    try:
        _first_day(period)
    except ValueError:
        return fault
    return None


def type_prefix(trade_type: TradeType, *, frequency: Frequency, data_type: str) -> str:
    """Return the bucket prefix of a data type, with a slash at the end."""
    return f"data/{trade_type.bucket_path}/{frequency}/{data_type}/"


def directory_prefix(
    trade_type: TradeType,
    *,
    frequency: Frequency,
    data_type: str,
    symbol: str,
    interval: str | None,
) -> str:
    """Return the bucket prefix of a symbol's zips, with a slash at the end."""
    prefix = type_prefix(trade_type, frequency=frequency, data_type=data_type)
    return prefix + (f"{symbol}/" if interval is None else f"{symbol}/{interval}/")


def path_of_key(key: str) -> str:
    """Map the key of a zip, a checksum or a folder to its local path.

    Only the root is read; see the module on keys that were not checked.

    Raises
    ------
    KeyGrammarError
        If the key begins with none of the markets' roots.
    """
    root = _root_of(key, roots=_KEY_ROOTS)
    return _PATH_ROOT_OF_KEY_ROOT[root] + key[len(root) :]


def key_of_path(path: str) -> str:
    """Map a path relative to the data directory to its key; undoes `path_of_key`.

    Raises
    ------
    KeyGrammarError
        If the path begins with none of the markets' roots.
    """
    root = _root_of(path, roots=_PATH_ROOTS)
    return _KEY_ROOT_OF_PATH_ROOT[root] + path[len(root) :]


def url_of_key(base: str, *, key: str) -> str:
    """Return the URL of a key below the URL `base`, percent-encoded as UTF-8."""
    return f"{base.rstrip('/')}/{quote(key, safe='/')}"


def _root_of(location: str, *, roots: Mapping[str, TradeType]) -> str:
    for root in roots:
        if location.startswith(root):
            return root
    fault = f"expected it to begin with {', '.join(roots)}"
    raise KeyGrammarError(_message(location, fault=fault))


def _fields(location: str, *, root: str) -> tuple[Frequency, str, str, str | None, str]:
    """Split what follows the root into frequency, type, symbol, interval, name."""
    fields = location[len(root) :].split("/")
    if len(fields) not in _FIELD_COUNTS:
        fault = (
            f"{len(fields)} fields follow {root}; expected "
            "<frequency>/<data type>/<symbol>[/<interval>]/<name>"
        )
        raise KeyGrammarError(_message(location, fault=fault))
    frequency, data_type, symbol, *layer, name = fields
    if frequency not in _FREQUENCIES:
        fault = f"frequency '{cut(frequency)}': expected {' or '.join(Frequency)}"
        raise KeyGrammarError(_message(location, fault=fault))
    interval = layer[0] if layer else None
    return Frequency(frequency), data_type, symbol, interval, name


def _first_day(period: str) -> dt.date:
    return dt.date.fromisoformat(period if period.count("-") > 1 else f"{period}-01")


def _message(location: str, *, fault: str) -> str:
    return f"'{cut(location)}' is no archive file: {fault}; leave it out, or rename it"
