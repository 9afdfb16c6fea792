"""The API's answers as typed rows, checked one by one.

Numbers that the API writes as text become floats, as they do in parsed archive files.
What an answer has beyond the known fields is left out and reported by name.
"""

import contextlib
import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol, TypeVar

from bhds.core.errors import ApiError, cut
from bhds.schemas.klines import RATE_TYPES

_T = TypeVar("_T")

_TIMES = range(4_102_444_800_000)
"""Until 2100, in ms; a bar may be of any time."""
_COUNTS = range(-(10**12), 10**12)  # one below 0 is counted, as of the archive
_LONGEST_TEXT = 150
_KLINE_FIELDS = 12
_KLINE_FORM = (
    "a list of 12 or more: open time, open, high, low, close, volume, close time, "
    "turnover, trades, taker buy volume, taker buy turnover and one that is not used; "
    "times and trades whole numbers, the others numbers written as text"
)
_FUNDING_FORM = (
    "an object with symbol, fundingTime in ms, fundingRate as text and, if known, "
    "markPrice and rateType as text"
)
_FUNDING_KEYS = {"symbol", "fundingTime", "fundingRate", "markPrice", "rateType"}
_UNKNOWN = ("", None)
_RATE_TYPES = {*RATE_TYPES.categories, None}


class Bar(NamedTuple):
    """One kline; what an amount is counted in is as in the archive's columns."""

    open_time: int
    """Milliseconds since 1970, UTC."""
    open: float
    high: float
    low: float
    close: float
    volume: float
    close_time: int
    """The last millisecond that belongs to the bar."""
    turnover: float
    """Quote volume; of cm, whose `volume` is in contracts, base volume."""
    trade_count: int
    taker_buy_volume: float
    taker_buy_turnover: float


class Event(Protocol):
    """What a row is that is requested by symbol and time."""

    @property
    def symbol(self) -> str:
        """Whose row it is."""

    @property
    def time_ms(self) -> int:
        """When it happened: milliseconds since 1970, UTC."""


class FundingEvent(NamedTuple):
    """One settlement of funding."""

    symbol: str
    funding_time: int
    """Milliseconds since 1970, UTC; may be some milliseconds after the full hour."""
    funding_rate: float
    """Share of the notional that longs pay to shorts."""
    mark_price: float | None
    """None where the API does not have it, as for old events."""
    rate_type: str | None = None
    """`Regular`, or `Special` for the dividend of a share; None if it does not say."""

    @property
    def time_ms(self) -> int:
        """As of `Event`."""
        return self.funding_time


class _MalformedError(Exception):
    """A value that is not what its field is to be; the message is what it should be."""


def parse_bars(
    answer: Any,
    *,
    subject: str,
    limit: int | None = None,
    unknown: set[str] | None = None,
) -> list[Bar]:
    """Return the bars of an answer, in its order.

    Parameters
    ----------
    answer
        The answer's JSON, read.
    subject
        The request, as errors name it.
    limit
        The most rows that were requested; None: any number.
    unknown
        Gets the names of fields that are not known.

    Raises
    ------
    ApiError
        If the answer is anything but a list of at most so many klines.
    """
    rows = _listed(answer, form=_KLINE_FORM, limit=limit, subject=subject)
    bars = [_bar(row, subject=subject) for row in rows]
    most = max(map(len, rows), default=0)
    if unknown is not None and most > _KLINE_FIELDS:
        unknown.add(f"{most} values of a bar, of which {_KLINE_FIELDS} are known")
    return bars


def parse_funding_events(
    answer: Any,
    *,
    subject: str,
    limit: int | None = None,
    unknown: set[str] | None = None,
) -> list[FundingEvent]:
    """Return the events of an answer, in its order; parameters as `parse_bars`.

    Raises
    ------
    ApiError
        If the answer is anything but a list of at most so many funding events.
    """
    entries = _listed(answer, form=_FUNDING_FORM, limit=limit, subject=subject)
    events = [_event(entry, subject=subject) for entry in entries]
    if unknown is not None:
        names = {name for entry in entries for name in entry.keys() - _FUNDING_KEYS}
        unknown.update(f"'{cut(name)}' of a funding event" for name in sorted(names))
        rate_types = {event.rate_type for event in events} - _RATE_TYPES
        unknown.update(
            f"rateType '{cut(each or '')}' of a funding event" for each in rate_types
        )
    return events


def parse_server_time(answer: Any, *, subject: str) -> int:
    """Return the server's clock, in ms since 1970; parameters as `parse_bars`.

    Raises
    ------
    ApiError
        If the answer does not show it.
    """
    form = "an object with serverTime in ms"
    return _Fields(answer, form=form, subject=subject).read("serverTime", _time)


def check_exchange_info(answer: Any, *, subject: str) -> None:
    """Check that an answer lists symbols; parameters as `parse_bars`.

    Raises
    ------
    ApiError
        If it does not.
    """
    symbols = answer.get("symbols") if isinstance(answer, dict) else None
    if not isinstance(symbols, list):
        raise _refusal(answer, subject, "an object with a list of symbols")


def _bar(row: Any, *, subject: str) -> Bar:
    if not isinstance(row, list) or len(row) < _KLINE_FIELDS:
        raise _refusal(row, subject, _KLINE_FORM)
    fields = _Fields(dict(enumerate(row)), form=_KLINE_FORM, subject=subject)
    return Bar(
        fields.read(0, _time),
        fields.read(1, _number),
        fields.read(2, _number),
        fields.read(3, _number),
        fields.read(4, _number),
        fields.read(5, _number),
        fields.read(6, _time),
        fields.read(7, _number),
        fields.read(8, _count),
        fields.read(9, _number),
        fields.read(10, _number),
    )


def _event(entry: Any, *, subject: str) -> FundingEvent:
    fields = _Fields(entry, form=_FUNDING_FORM, subject=subject)
    return FundingEvent(
        fields.read("symbol", _text),
        fields.read("fundingTime", _time),
        fields.read("fundingRate", _number),
        fields.read_optional("markPrice", _number),
        fields.read_optional("rateType", _text),
    )


class _Fields:
    """The fields of one entry of an answer, each read as what it is to be."""

    def __init__(self, entry: Any, *, form: str, subject: str) -> None:
        if not isinstance(entry, dict):
            raise _refusal(entry, subject, form)
        self._values: Mapping[str | int, Any] = entry
        self._form = form
        self._subject = subject

    def read_optional(self, name: str | int, reader: Callable[[Any], _T]) -> _T | None:
        """Return a field's value, None if it is absent or empty; errors as `read`."""
        return None if self._values.get(name) in _UNKNOWN else self.read(name, reader)

    def read(self, name: str | int, reader: Callable[[Any], _T]) -> _T:
        """Return a field's value.

        Raises
        ------
        ApiError
            If it is not what it should be.
        """
        value = self._values.get(name)
        try:
            return reader(value)
        except _MalformedError as error:
            place = f"position {name + 1}" if isinstance(name, int) else name
            msg = f"{place}: {_shown(value)}"
            raise _refusal(value, self._subject, str(error), msg) from error


def _listed(answer: Any, *, form: str, limit: int | None, subject: str) -> list[Any]:
    if not isinstance(answer, list):
        raise _refusal(answer, subject, f"a list, each entry {form}")
    if limit is not None and len(answer) > limit:
        expected = f"at most the {limit} that were requested"
        raise _refusal(answer, subject, expected, f"{len(answer):,} rows")
    return answer


def _text(value: Any) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= _LONGEST_TEXT:
        msg = f"a text of 1 to {_LONGEST_TEXT} characters"
        raise _MalformedError(msg)
    return value


def _integer(value: Any, bounds: range) -> int:
    # A bool is an int to isinstance.
    if type(value) is not int or value not in bounds:
        msg = f"a whole number from {bounds.start} to {bounds.stop - 1}"
        raise _MalformedError(msg)
    return value


def _time(value: Any) -> int:
    return _integer(value, _TIMES)


def _count(value: Any) -> int:
    return _integer(value, _COUNTS)


def _number(value: Any) -> float:
    number = math.nan
    if isinstance(value, str) and len(value) <= _LONGEST_TEXT:
        with contextlib.suppress(ValueError):
            number = float(value)
    if not math.isfinite(number):
        msg = "a number written as text"
        raise _MalformedError(msg)
    return number


def _shown(value: Any) -> str:
    return f"'{cut(value)}'" if isinstance(value, str) else cut(repr(value))


def _refusal(value: Any, subject: str, form: str, reason: str = "") -> ApiError:
    return ApiError(
        f"{subject}: the answer holds {reason or _shown(value)}, expected {form}; look "
        "whether BHDS has a newer version, or set api.enabled: false to do without the "
        "API"
    )
