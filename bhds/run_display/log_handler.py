"""The handler of Snakemake's log that shows a run: its public interface for that."""

import datetime as dt
import os
import sys
import threading
import time
from logging import LogRecord
from pathlib import Path
from typing import TextIO

import polars as pl
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.spinner import Spinner
from rich.text import Text
from snakemake_interface_logger_plugins.base import LogHandlerBase

from bhds.archive.download import progress
from bhds.backfill import api_use
from bhds.io.job_log import LOG_ONLY
from bhds.run_display import text
from bhds.run_display.run_state import RunState

_TICK_S = 1.0
_REQUESTS_EVERY_S = 5.0
_FIRST_LINE_S = 10.0
_LONGER = 1.4
"""Plain lines come ever more rarely, so that a run of hours has some twenty."""


class LogHandler(LogHandlerBase):
    """Shows a run of BHDS: a live block in a terminal, else a line now and then."""

    def __post_init__(self) -> None:
        """Begin to follow the run, in a thread of its own."""
        self._began = dt.datetime.now(dt.UTC)
        self._stream: TextIO = sys.stderr
        self._state = RunState()
        self._shown: list[str] = []
        self._requests = (0.0, 0)
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._live: Live | None = None
        self._plain_at = self._state.started + _FIRST_LINE_S
        self._is_dry = bool(self.common_settings.dryrun)
        # Jobs inherit it.
        os.environ[LOG_ONLY] = "1"
        self._ticker = threading.Thread(target=self._tick, daemon=True)
        self._ticker.start()

    @property
    def writes_to_stream(self) -> bool:
        """Snakemake writes nothing itself to the terminal."""
        return True

    @property
    def writes_to_file(self) -> bool:
        """Snakemake keeps its own log of the run."""
        return False

    @property
    def has_filter(self) -> bool:
        """It takes all records."""
        return True

    @property
    def has_formatter(self) -> bool:
        """It words all records."""
        return True

    @property
    def needs_rulegraph(self) -> bool:
        """It needs none."""
        return False

    def emit(self, record: LogRecord) -> None:
        """Follow one record of the log, and show what is worth a line."""
        with self._lock:
            lines = self._state.take(record)
            has_jobs = bool(self._state.stages)
        if lines:
            self._print(lines)
        if has_jobs and not self._is_dry and self._live is None and _is_live():
            self._live = Live(
                get_renderable=self._block,
                console=Console(file=self._stream, highlight=False),
                refresh_per_second=2,
                transient=True,
                redirect_stdout=False,
            )
            self._live.start()

    def close(self) -> None:
        """End with what became of the run."""
        if self._ended.is_set():
            return
        self._ended.set()
        self._ticker.join()
        if self._live is not None:
            self._live.stop()
        with self._lock:
            state = self._state
            if self._is_dry:
                print(*text.dry_run(state), sep="\n", flush=True)  # noqa: T201 -- the output
            elif not state.is_interrupted and (state.total or state.is_up_to_date):
                downloads = self._downloads()
                line = text.summary(
                    state,
                    seconds=state.clock() - state.started,
                    size_bytes=downloads.size_bytes if downloads else 0,
                    requests=self._count_requests(),
                )
                self._print([line])
        os.environ.pop(LOG_ONLY, None)
        super().close()

    # --- what is shown while the run goes on

    def _tick(self) -> None:
        while not self._ended.wait(_TICK_S):
            now = self._state.clock()
            is_due = self._live is not None or now >= self._plain_at
            if self._is_dry or not is_due or not self._state.stages:
                continue
            with self._lock:
                self._shown = self._lines(now)
            if self._live is None:
                self._print([f"bhds: {'; '.join(self._shown)}"])
                since = now - self._state.started
                self._plain_at = self._state.started + since * _LONGER

    def _block(self) -> RenderableType:
        first, *more = [
            Text(line, overflow="ellipsis", no_wrap=True)
            for line in self._shown or ["starting"]
        ]
        return Group(Spinner("dots", text=first), *(Padding(m, (0, 2)) for m in more))

    def _lines(self, now: float) -> list[str]:
        if now - self._requests[0] >= _REQUESTS_EVERY_S:
            self._requests = (now, self._count_requests())
        fetching = self._state.stages.get("download")
        is_fetching = fetching is not None and fetching.left > 0
        return text.going_on(
            self._state,
            downloads=self._downloads() if is_fetching else None,
            requests=self._requests[1],
        )

    def _downloads(self) -> progress.Downloads | None:
        if "download" not in self._state.stages:
            return None
        return progress.of_run(Path(), now=time.time())

    def _count_requests(self) -> int:
        if "backfill" not in self._state.stages:
            return 0
        made = api_use.read(Path()).filter(pl.col("requested_at") >= self._began)
        return int(made["requests"].sum())

    def _print(self, lines: list[str]) -> None:
        if self._live is not None and not self._ended.is_set():
            for line in lines:
                self._live.console.print(line, soft_wrap=True, markup=False)
            return
        self._stream.write("".join(f"{line}\n" for line in lines))
        self._stream.flush()


def _is_live() -> bool:
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
