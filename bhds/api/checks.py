"""Check that the rows of an answer are those that were requested."""

from collections.abc import Sequence
from typing import TypeVar

from bhds.api.rows import Event
from bhds.core.errors import ApiError, cut
from bhds.core.timegrid import Span

_EventT = TypeVar("_EventT", bound=Event)


def check_times(
    times: Sequence[int], *, requested: Span, subject: str, unique: bool
) -> None:
    """Check that the times of an answer are of the range requested, in order.

    `unique`: also that no two are the same.

    Raises
    ------
    ApiError
        If they are not.
    """
    last = requested.start_ms - 1
    for number, at in enumerate(times):
        is_same = at == last and number > 0 and not unique
        if not (last < at or is_same) or at >= requested.end_ms:
            once = " and each once" if unique else ""
            msg = (
                f"{subject}: the answer holds a row at {at} ms after one at {last} ms, "
                f"expected rows from {requested.start_ms} until before "
                f"{requested.end_ms} ms, in order{once}; run again, "
                "or set api.enabled: false"
            )
            raise ApiError(msg)
        last = at


def check_symbols(found: Sequence[Event], symbol: str, *, subject: str) -> None:
    """Check that all events are of one symbol; errors as `check_times`."""
    stray = next((event.symbol for event in found if event.symbol != symbol), None)
    if stray is not None:
        msg = (
            f"{subject}: the answer holds an event of '{cut(stray)}', expected "
            f"{symbol!r} alone; run again, or set api.enabled: false"
        )
        raise ApiError(msg)


def whole_moments(events: list[_EventT], requested: Span) -> tuple[list[_EventT], Span]:
    """Return the events of a full answer up to its last moment, and their range.

    Events may share a moment, and the answer may end between two of them: that moment
    is for the next request, unless there is no other.
    """
    last = events[-1].time_ms
    whole = [event for event in events if event.time_ms < last]
    if not whole:
        return events, Span(requested.start_ms, last + 1)
    return whole, Span(requested.start_ms, last)
