"""Which base bars a resampled bar was built from."""

import datetime as dt
import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from bhds import instruments, layout
from bhds.bars import phase
from bhds.core.errors import ResultError
from bhds.core.markets import TradeType
from bhds.core.resample_rule import ResampleRule
from bhds.core.timegrid import floor_time
from bhds.explanation.surroundings import row_of
from bhds.explanation.values import plain
from bhds.io import storage


@dataclass(frozen=True)
class LongerExplanation:
    """A resampled bar, and the base bars that made it. All times are UTC."""

    trade_type: str
    symbol: str
    rule: str
    time: dt.datetime
    open_time: dt.datetime
    """The label of the window that contains the time."""
    end: dt.datetime
    """Exclusive."""
    summary: str
    bar: Mapping[str, Any] | None
    """The row, as built; None where the segment does not cover the window whole."""
    base_interval: str
    base_bars: int
    sources: Mapping[str, int]
    """How many of the base bars come from where."""
    segments: tuple[int, ...]
    set_by: Mapping[str, dt.datetime | None]
    """The open times of the base bars that gave open, high, low and close: of those
    with trades, the first that has the value; all None where none was traded."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain values: times in ISO 8601."""
        document: dict[str, Any] = plain(asdict(self))
        return document


def explain_longer(
    data_dir: Path | str,
    *,
    trade_type: str,
    rule: str,
    symbol: str,
    time: dt.datetime,
) -> LongerExplanation:
    """Return which base bars the resampled bar that contains a moment was built from.

    Parameters
    ----------
    data_dir
        The data directory.
    trade_type, rule, symbol
        Of the resampled file; the rule as in its path, such as `1h_5m`.
    time
        The moment, with a time zone.

    Raises
    ------
    SelectionError
        If the symbol has no such file; the message names the nearest name that has.
    ConfigError
        If there is no such rule.
    ResultError
        If the result that the file was built from is not there any more.
    """
    root, market = Path(data_dir), TradeType(trade_type)
    parsed = ResampleRule.parse(rule)
    path = _resampled(root, trade_type=market, rule=parsed.name, symbol=symbol)
    known = phase.from_metadata(
        parsed.interval, storage.read_parquet_metadata(str(path))
    )
    parsed = replace(parsed, interval=known)
    moment = time.astimezone(dt.UTC)
    open_time, end = _window(moment, rule=parsed)
    base = _result_of(path, root=root, trade_type=market, symbol=symbol)
    inside = (pl.col("open_time") >= open_time) & (pl.col("open_time") < end)
    bars = storage.scan_rows(base).filter(inside).collect()
    bar = row_of(path, open_time=open_time)
    return LongerExplanation(
        trade_type=market.value,
        symbol=symbol,
        rule=parsed.name,
        time=moment,
        open_time=open_time,
        end=end,
        summary=_summary(bars, is_there=bar is not None),
        bar=bar,
        base_interval=base.parent.name,
        base_bars=bars.height,
        sources=dict(
            bars["source"].cast(pl.String).value_counts(sort=True).iter_rows()
        ),
        segments=tuple(bars["segment"].unique().sort()),
        set_by=_set_by(bars),
    )


def _resampled(root: Path, *, trade_type: TradeType, rule: str, symbol: str) -> Path:
    """Return the resampled file of a symbol, which must be there."""
    path = root / layout.resampled(trade_type, rule, symbol)
    if not path.is_file():
        built = {each.stem for each in path.parent.glob(f"*{path.suffix}")}
        where = f"the resampled bars of {trade_type} {rule}"
        instruments.select_named([symbol], built, where=where)
    return path


def _window(
    moment: dt.datetime, *, rule: ResampleRule
) -> tuple[dt.datetime, dt.datetime]:
    """Return the begin and the end, exclusive, of the window that has a moment."""
    label = floor_time(pl.lit(moment), interval=rule.interval, offset=rule.offset)
    begin, end = pl.select(
        label.alias("begin"), label.dt.offset_by(rule.interval.name).alias("end")
    ).row(0)
    return begin, end


def _result_of(path: Path, *, root: Path, trade_type: TradeType, symbol: str) -> Path:
    """Return the result that a resampled file was built from."""
    made_of = storage.read_parquet_metadata(path).get("inputs", "").partition(" ")[0]
    for result in sorted(root.glob(layout.result(trade_type, "*", symbol))):
        with result.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() == made_of:
                return result
    msg = (
        f"{path}: the result that it was built from no longer exists; expected it "
        "below klines/: bhds generate resample makes it again"
    )
    raise ResultError(msg)


def _summary(bars: pl.DataFrame, *, is_there: bool) -> str:
    if is_there:
        return f"built from {bars.height:,} base bars"
    if bars.is_empty():
        return "no bar: there are no base bars in this time"
    return f"no bar: {bars.height:,} base bars, but no segment covers the window whole"


def _set_by(bars: pl.DataFrame) -> dict[str, dt.datetime | None]:
    traded = bars.filter(pl.col("trade_count") > 0)
    if traded.is_empty():
        return dict.fromkeys(("open", "high", "low", "close"))
    times = traded["open_time"]
    return {
        "open": times[0],
        "high": times[traded["high"].arg_max() or 0],
        "low": times[traded["low"].arg_min() or 0],
        "close": times[-1],
    }
