"""Record what the exchange says of its symbols, or warn that it is not.

The name of a symbol does not distinguish a perpetual on a share from one on a coin, and
the table that BHDS brings along ends at some day. So a plan that may ask the REST API
asks it once a day for exchangeInfo, in one request for each market.
"""

import asyncio
import datetime as dt
import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

from bhds import instruments
from bhds.backfill import refusal
from bhds.backfill.requests import open_client
from bhds.config import Settings
from bhds.core.errors import ApiError, RefusedError, SelectionError
from bhds.core.markets import TradeType
from bhds.instruments import ContractType, Known
from bhds.plan.dataset import PlannedDataset

logger = logging.getLogger(__name__)

MAX_AGE = dt.timedelta(days=1)
"""A recorded exchangeInfo is requested again when it is older."""

_NAMED = 5
"""So many symbols are named in a warning."""


def known_symbols(
    markets: Collection[TradeType],
    *,
    settings: Settings,
    data_dir: Path,
    now: dt.datetime,
    online: bool,
    keep: bool,
) -> dict[TradeType, Known]:
    """Return what the exchange says of the symbols of each market, where it is known.

    Parameters
    ----------
    markets
        Those of which exchangeInfo is requested if it is missing or too old, unless the
        settings forbid it. If that fails there is one warning; if this place is
        refused, the run asks the market for nothing more.
    settings, data_dir
        The settings, and the data directory.
    now
        The present, UTC.
    online
        Whether a server may be queried.
    keep
        Whether an answer is recorded.

    Raises
    ------
    SelectionError
        If a file that was recorded cannot be read.
    """
    paths = {
        market: instruments.exchange_info_path(data_dir, market) for market in TradeType
    }
    may_ask = online and settings.api.enabled and not settings.offline
    due = [m for m in paths if m in markets and _is_due(paths[m], m, now=now)]
    answers = asyncio.run(_answers(due, settings)) if may_ask and due else {}
    known = {}
    for trade_type, path in paths.items():
        if trade_type in answers:
            try:
                answer = answers[trade_type]
                known[trade_type] = _taken(answer, path=path, keep=keep)
                continue
            except (ApiError, SelectionError, TimeoutError) as error:
                cause = str(error) or f"no answer within {settings.http.timeout_s:g} s"
                if keep and isinstance(error, RefusedError):
                    refusal.note(data_dir, trade_type, message=str(error))
                logger.warning(
                    "%s: exchangeInfo was not recorded: %s; %s decides of which class "
                    "a symbol is",
                    *(
                        trade_type,
                        cause,
                        "the last one" if path.exists() else "its name",
                    ),
                )
        if path.exists():
            known[trade_type] = instruments.read_exchange_info(path)
    return known


def warn_of_younger(
    planned: Iterable[PlannedDataset],
    *,
    known: Mapping[TradeType, Known],
    data_dir: Path,
) -> None:
    """Warn of perpetuals that are younger than what distinguishes shares from coins.

    Parameters
    ----------
    planned
        The datasets, with what the bucket has of their symbols.
    known
        See `known_symbols`.
    data_dir
        The data directory.
    """
    market = TradeType.UM_FUTURES
    path = instruments.exchange_info_path(data_dir, market)
    listed = known.get(market)
    last_day = instruments.tradifi_table_day()
    what = "no exchangeInfo is recorded, and the shipped table of contracts on shares "
    what += "and commodities ends on"
    if listed is not None and path.exists():
        modified = dt.datetime.fromtimestamp(path.stat().st_mtime, dt.UTC).date()
        last_day, what = max(last_day, modified), "the recorded exchangeInfo is of"
    younger = sorted(
        {
            symbol
            for each in planned
            if each.dataset.trade_type == market
            for symbol, listing_period in each.listing_periods.items()
            if listing_period.first_day > last_day
            and symbol not in (listed or {})
            and instruments.classify(symbol, trade_type=market).contract_type
            is ContractType.PERPETUAL
        }
    )
    if younger:
        more = len(younger) - _NAMED
        logger.warning(
            "%s: %s %s; %d younger symbol(s) are taken for perpetuals on coins, which "
            "they may not be: %s%s; record it: bhds api-data exchange-info %s",
            *(market, what, last_day, len(younger), ", ".join(younger[:_NAMED])),
            *(f" and {more:,} more" if more > 0 else "", market),
        )


def _is_due(path: Path, trade_type: TradeType, *, now: dt.datetime) -> bool:
    if trade_type is TradeType.OPTION:
        return False  # it has no such API
    try:
        age = now.timestamp() - path.stat().st_mtime
    except FileNotFoundError:
        return True
    return abs(age) > MAX_AGE.total_seconds()  # of a time to come: a wrong clock


async def _answers(
    markets: Sequence[TradeType], settings: Settings
) -> dict[TradeType, bytes | BaseException]:
    """Request exchangeInfo of several markets, and return answers or errors.

    All at once, so that a plan that cannot reach the API waits once, not once a market.
    """
    requests = [
        asyncio.wait_for(_exchange_info(market, settings), settings.http.timeout_s)
        for market in markets
    ]
    found = await asyncio.gather(*requests, return_exceptions=True)
    return dict(zip(markets, found, strict=True))


async def _exchange_info(trade_type: TradeType, settings: Settings) -> bytes:
    async with open_client(trade_type, settings) as client:
        return await client.exchange_info()


def _taken(answer: bytes | BaseException, *, path: Path, keep: bool) -> Known:
    """Return what an answer says; record it if that is wanted.

    Raises
    ------
    ApiError, SelectionError, TimeoutError
        If it is an error, or says nothing of symbols.
    """
    if isinstance(answer, BaseException):
        raise answer
    if keep:
        return instruments.record_exchange_info(path, answer)
    recorded = instruments.read_exchange_info(path) if path.exists() else {}
    return {**recorded, **instruments.parse_exchange_info(answer, path=path)}
