"""The API's answers as typed rows, checked one by one.

Numbers that the API writes as text become floats, as they do in parsed archive files.
What an answer has beyond the known fields is left out and reported by name.
"""

import math
from typing import Any, NamedTuple

from bhds.columns import RATE_TYPES
from bhds.errors import ApiError

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
_INFO_FORM = (
    "an object with symbol, fundingIntervalHours, and adjustedFundingRateCap and "
    "adjustedFundingRateFloor as text"
)


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


class FundingInfo(NamedTuple):
    """How a contract's funding differs from the usual 8 hours and bounds."""

    symbol: str
    funding_interval_hours: int
    rate_cap: float
    rate_floor: float


class _MalformedError(Exception):
    """A value that is not what its field is to be."""


def parse_bars(
    answer: Any, *, subject: str, unknown: set[str] | None = None
) -> list[Bar]:
    """Return the bars of an answer, in its order.

    Parameters
    ----------
    answer
        The answer's JSON, read.
    subject
        The request, as errors name it.
    unknown
        Gets the names of fields that are not known.

    Raises
    ------
    ApiError
        If the answer is anything but a list of klines.
    """
    rows = _listed(answer, form=_KLINE_FORM, subject=subject)
    bars = [_bar(row, subject=subject) for row in rows]
    most = max(map(len, rows), default=0)
    if unknown is not None and most > _KLINE_FIELDS:
        unknown.add(f"{most} values of a bar, of which {_KLINE_FIELDS} are known")
    return bars


def parse_funding_events(
    answer: Any, *, subject: str, unknown: set[str] | None = None
) -> list[FundingEvent]:
    """Return the events of an answer, in its order; parameters as `parse_bars`.

    Raises
    ------
    ApiError
        If the answer is anything but a list of funding events.
    """
    events = []
    for entry in _listed(answer, form=_FUNDING_FORM, subject=subject):
        try:
            fields = _object(entry)
            if unknown is not None:
                names = sorted(fields.keys() - _FUNDING_KEYS)
                unknown.update(f"{name!r} of a funding event" for name in names)
            mark_price = fields.get("markPrice")
            rate_type = fields.get("rateType")
            event = FundingEvent(
                _text(fields.get("symbol")),
                _whole(fields.get("fundingTime")),
                _number(fields.get("fundingRate")),
                None if mark_price in _UNKNOWN else _number(mark_price),
                None if rate_type in _UNKNOWN else _text(rate_type),
            )
            if unknown is not None and event.rate_type not in _RATE_TYPES:
                unknown.add(f"rateType {event.rate_type!r} of a funding event")
        except _MalformedError as error:
            raise _refusal(entry, subject, _FUNDING_FORM) from error
        events.append(event)
    return events


def parse_funding_info(answer: Any, *, subject: str) -> list[FundingInfo]:
    """Return the entries of an answer, in its order; parameters as `parse_bars`.

    Raises
    ------
    ApiError
        If the answer is anything but a list of such entries.
    """
    infos = []
    for entry in _listed(answer, form=_INFO_FORM, subject=subject):
        try:
            fields = _object(entry)
            info = FundingInfo(
                _text(fields.get("symbol")),
                _whole(fields.get("fundingIntervalHours")),
                _number(fields.get("adjustedFundingRateCap")),
                _number(fields.get("adjustedFundingRateFloor")),
            )
        except _MalformedError as error:
            raise _refusal(entry, subject, _INFO_FORM) from error
        infos.append(info)
    return infos


def parse_server_time(answer: Any, *, subject: str) -> int:
    """Return the server's clock, in ms since 1970; parameters as `parse_bars`.

    Raises
    ------
    ApiError
        If the answer does not tell it.
    """
    try:
        return _whole(_object(answer).get("serverTime"))
    except _MalformedError as error:
        raise _refusal(answer, subject, "an object with serverTime in ms") from error


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
    try:
        return Bar(
            _whole(row[0]),
            _number(row[1]),
            _number(row[2]),
            _number(row[3]),
            _number(row[4]),
            _number(row[5]),
            _whole(row[6]),
            _number(row[7]),
            _integer(row[8]),  # one that cannot be is counted, as of the archive
            _number(row[9]),
            _number(row[10]),
        )
    except _MalformedError as error:
        raise _refusal(row, subject, _KLINE_FORM) from error


def _listed(answer: Any, *, form: str, subject: str) -> list[Any]:
    if not isinstance(answer, list):
        raise _refusal(answer, subject, f"a list, each entry {form}")
    return answer


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _MalformedError
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise _MalformedError
    return value


def _integer(value: Any) -> int:
    # A bool is an int to isinstance.
    if type(value) is not int:
        raise _MalformedError
    return value


def _whole(value: Any) -> int:
    number = _integer(value)
    if number < 0:
        raise _MalformedError
    return number


def _number(value: Any) -> float:
    if not isinstance(value, str):
        raise _MalformedError
    try:
        number = float(value)
    except ValueError as error:
        raise _MalformedError from error
    if not math.isfinite(number):
        raise _MalformedError
    return number


_SHOWN = 200


def _refusal(value: Any, subject: str, form: str) -> ApiError:
    shown = repr(value)
    if len(shown) > _SHOWN:
        shown = f"{shown[:_SHOWN]}..."
    return ApiError(
        f"{subject}: the answer holds {shown}, expected {form}; look whether BHDS has "
        "a newer version, or set api.enabled: false to do without the API"
    )
