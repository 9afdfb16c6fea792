"""Sets of moments, as sorted ranges of milliseconds that neither meet nor overlap."""

from collections.abc import Iterable, Sequence

from bhds.core.timegrid import Span


def union(ranges: Iterable[Span]) -> list[Span]:
    """Return the moments that lie in any of some ranges, in whatever order they are."""
    joined: list[Span] = []
    for start, end in sorted(ranges):
        if start >= end:
            continue
        if joined and start <= joined[-1].end_ms:
            joined[-1] = Span(joined[-1].start_ms, max(end, joined[-1].end_ms))
        else:
            joined.append(Span(start, end))
    return joined


def subtract(ranges: Iterable[Span], taken: Iterable[Span]) -> list[Span]:
    """Return the moments of `ranges` that lie in none of `taken`."""
    gone = union(taken)
    left: list[Span] = []
    position = 0
    for start, end in union(ranges):
        while position < len(gone) and gone[position].end_ms <= start:
            position += 1
        at, following = start, position
        while following < len(gone) and gone[following].start_ms < end:
            if gone[following].start_ms > at:
                left.append(Span(at, gone[following].start_ms))
            at = max(at, gone[following].end_ms)
            following += 1
        if at < end:
            left.append(Span(at, end))
    return left


def joined_within(ranges: Sequence[Span], *, span_ms: int) -> list[Span]:
    """Join sorted ranges with their gaps, as long as a joined one is no longer.

    One request answers all that it spans: small ranges near each other cost one.
    """
    joined: list[Span] = []
    for each in ranges:
        if joined and each.end_ms - joined[-1].start_ms <= span_ms:
            joined[-1] = Span(joined[-1].start_ms, each.end_ms)
        else:
            joined.append(each)
    return joined
