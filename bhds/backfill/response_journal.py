"""Keep what the API answered, so that nothing is requested twice.

Every page that comes is appended to a file beside the backfill, as a line of JSON,
before the next is requested: a run that is killed loses no more than the pages under
way. The file outlives the backfill, which Snakemake removes before it is made again.
"""

import datetime as dt
import json
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bhds.api.codes import ApiRefusal
from bhds.core.time_ranges import subtract, union
from bhds.core.timegrid import Span
from bhds.io import storage
from bhds.io.places import writing

logger = logging.getLogger(__name__)

Row = Sequence[Any]

SETTLED_AFTER = dt.timedelta(days=3)
"""What the API did not have of a range when it was requested so long after its end, it
will not have: it is requested no more. ASSUME: outages are made good within days."""

_BELIEVED_FOR = dt.timedelta(hours=12)
"""How long a younger answer without rows is believed: a run that is repeated does not
request again, the next day's does."""


@dataclass(frozen=True)
class Answer:
    """One page of the API: all rows that it had of a range of time."""

    span: Span
    requested_at: dt.datetime
    """UTC."""
    rows: tuple[Row, ...]
    """Typed rows of the client, with the time in ms first or as given to `Journal`."""
    refusal: ApiRefusal | None = None
    """The API's error, if it refused the symbol instead; there are no rows then."""

    @property
    def expires_at(self) -> dt.datetime | None:
        """From when on what the answer lacks is requested again; None: never.

        A refusal expires however old its range is: the symbol may be served again.
        """
        settled = self.requested_at - SETTLED_AFTER
        is_settled = self.span.end_ms <= settled.timestamp() * 1000
        if is_settled and self.refusal is None:
            return None
        return self.requested_at + _BELIEVED_FOR

    def is_final(self, now: dt.datetime) -> bool:
        """Check whether what the answer lacks need not be requested again.

        That of the future is not final: a clock was wrong, and it is not known when
        it was requested.
        """
        expires_at = self.expires_at
        return self.requested_at <= now and (expires_at is None or now < expires_at)


class Journal:
    """The answers that belong to one backfill.

    Parameters
    ----------
    path
        The file; it need not exist.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.answers = self._read()

    def append(self, answer: Answer) -> None:
        """Add an answer, and write it down."""
        with writing(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab") as file:
                file.write(_line(answer))
        self.answers.append(answer)

    def take_over(self, other: Path) -> None:
        """Add all answers of another file, and remove it."""
        for answer in Journal(other).answers:
            self.append(answer)
        other.unlink()

    def keep(self, spans: Iterable[Span]) -> None:
        """Forget the answers that say nothing of any of some ranges."""
        wanted = union(spans)
        self._rewrite(
            [a for a in self.answers if subtract([a.span], wanted) != [a.span]]
        )

    def forget_refusals(self, *, before: dt.datetime) -> None:
        """Forget that the API refused the symbol until a moment."""
        self._rewrite(
            [a for a in self.answers if a.refusal is None or a.requested_at >= before]
        )

    def _rewrite(self, kept: list[Answer]) -> None:
        if not kept:
            self.path.unlink(missing_ok=True)
        elif len(kept) < len(self.answers):
            with storage.replacing(self.path) as partial:
                partial.write_bytes(b"".join(map(_line, kept)))
        self.answers = kept

    def _read(self) -> list[Answer]:
        """Read the answers up to the first that is not whole, and drop the rest."""
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return []
        answers: list[Answer] = []
        whole = 0
        for line in content.splitlines(keepends=True):
            answer = _answer(line) if line.endswith(b"\n") else None
            if answer is None:
                break
            answers.append(answer)
            whole += len(line)
        if whole < len(content):
            logger.warning(
                "%s: %d bytes after answer %d are incomplete, as after a kill; their "
                "range is requested again",
                *(self.path, len(content) - whole, len(answers)),
            )
            with writing(self.path), self.path.open("r+b") as file:
                file.truncate(whole)
        return answers


def outstanding(
    wanted: Iterable[Span],
    answers: Iterable[Answer],
    *,
    now: dt.datetime,
    extent: Callable[[Row], Span],
) -> list[Span]:
    """Return what of the wanted ranges is still to be requested.

    Parameters
    ----------
    wanted
        Ranges in any order.
    answers
        What was answered.
    now
        The present, UTC.
    extent
        The range that a row is about.
    """
    known: list[Span] = []
    for answer in answers:
        if answer.is_final(now):
            known.append(answer.span)
        else:
            known += [extent(row) for row in answer.rows]
    return subtract(wanted, known)


def _line(answer: Answer) -> bytes:
    entry: dict[str, Any] = {
        "start_ms": answer.span.start_ms,
        "end_ms": answer.span.end_ms,
        "requested_at": answer.requested_at.isoformat(),
        "rows": answer.rows,
    }
    if answer.refusal is not None:
        entry["refusal"] = answer.refusal._asdict()
    return json.dumps(entry, separators=(",", ":")).encode() + b"\n"


def _answer(line: bytes) -> Answer | None:
    try:
        entry = json.loads(line)
        refusal = dict(entry).get("refusal")
        return Answer(
            Span(entry["start_ms"], entry["end_ms"]),
            # Development versions wrote `asked_at`: what was answered stays.
            dt.datetime.fromisoformat(entry.get("requested_at") or entry["asked_at"]),
            tuple(map(tuple, entry["rows"])),
            ApiRefusal(**refusal) if refusal else None,
        )
    except (ValueError, KeyError, TypeError):
        return None
