"""Where a bar came from."""

from pathlib import Path

from bhds.core.errors import ConfigError
from bhds.explanation import Explanation
from bhds.explanation import explain as explanation_of
from bhds.reader.files import BuiltMarket
from bhds.reader.period import Moment, TimeRange


def explain(
    trade_type: str,
    symbol: str,
    time: Moment,
    *,
    interval: str = "1m",
    data_dir: Path | str | None = None,
) -> Explanation:
    """Explain where the bar that contains a moment came from, as `bhds explain` does.

    Parameters
    ----------
    trade_type, data_dir
        See `bhds.reader`.
    symbol
        Whose bar it is.
    time
        A moment in the bar, of its open time or later, before its end.
    interval
        Of the result.

    Returns
    -------
    Explanation
        The bar as built; its zip with hashes, integrity status and revisions, and the
        row as published; or the API's requests and responses; the gap it lies in, what
        else was published of it, and its funding. Where there is no bar, `state` says
        why. `to_dict()` is fit for JSON.

    Raises
    ------
    ConfigError
        If the market, the interval or the moment is none.
    SelectionError
        If the symbol has no result.
    ResultError
        If a file cannot be read.
    """
    market, moment = (
        BuiltMarket.of(trade_type, data_dir),
        TimeRange.of(time, None).start,
    )
    if moment is None:
        msg = "time None: expected a moment in the bar, such as 2025-01-31T12:00"
        raise ConfigError(msg)
    return explanation_of(
        market.data_dir,
        trade_type=market.trade_type,
        interval=interval,
        symbol=symbol,
        time=moment,
    )
