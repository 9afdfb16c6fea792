"""The defect museum: each defect of the catalogue, to be put on display by its number.

A defect brings symbols of its own, named after it (`D06USDT`), so that defects do not
disturb each other and one exchange may show many. Some show what the exchange really
does and no other symbol does; others need files to be spoiled, withheld or misnamed.
A few have a sequel, such as a file that is replaced. The user's list of them, with what
BHDS does about each, is docs/known-limitations.md.

All dates are fixed: most are the days before `exchange.PRESENT`, and defects of a
certain time are where the real ones were.
"""

import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from bhds.core.errors import ConfigError, SelectionError
from bhds.core.markets import Frequency, TradeType
from bhds.sandbox.defects import Defect
from bhds.sandbox.exchange import PRESENT, Exchange
from bhds.sandbox.universe import FundingInterval, Halt, Symbol

INTERVALS = ("1m", "3m", "5m", "15m", "30m", "1h")
"""The intervals of which the bars have a defect."""

_SPOT, _UM, _CM = TradeType.SPOT, TradeType.UM_FUTURES, TradeType.CM_FUTURES
_DAILY, _MONTHLY = Frequency.DAILY, Frequency.MONTHLY
_RUNNING_S = 30
_FORBIDDEN, _UNAVAILABLE_FOR_LEGAL_REASONS = 403, 451
_BROKEN_LISTINGS = 2
_WITHOUT_MINUTES = ("D22AUSDT", "D22BUSDT", "D22CUSDT")

Act = Callable[[Exchange], None]
"""Does something to an exchange."""


def _nothing(_: Exchange) -> None:
    """Do nothing: the symbols are all that there is to see."""


@dataclass(frozen=True)
class Exhibit:
    """One defect of the catalogue."""

    number: str
    """`D01` to `D32`."""
    title: str
    what: str
    """What the exchange does, and to which symbol."""
    symbols: tuple[Symbol, ...]
    """The symbols that show it; they are listed when the defect is put on display."""
    show: Act = _nothing
    """What else makes it appear."""
    sequel: Act | None = None
    """What happens later."""
    outages: tuple[tuple[TradeType, Halt], ...] = ()
    """When whole markets stand still."""
    since: dt.datetime = PRESENT
    """The earliest time that the exchange's clock may show."""


def exhibit(exchange: Exchange, number: str) -> None:
    """Put a defect on display: list its symbols, and let their data be wrong.

    Raises
    ------
    SelectionError
        If there is no defect of that number.
    ConfigError
        If it is on display already, the clock shows a time before it, the universe has
        a symbol of the same name, or the bucket serves other files.
    """
    shown = _of_number(number)
    if number in exchange.exhibited:
        msg = f"defect {number}: expected one that is not on display yet"
        raise ConfigError(msg)
    if exchange.now < shown.since:
        msg = (
            f"defect {number}: the exchange's clock shows {exchange.now:%Y-%m-%d}, "
            f"expected {shown.since:%Y-%m-%d} or later; set it first"
        )
        raise ConfigError(msg)
    outages: dict[TradeType, tuple[Halt, ...]] = {}
    for market, halt in shown.outages:
        outages[market] = (*outages.get(market, ()), halt)
    exchange.extend(shown.symbols, outages=outages)
    shown.show(exchange)
    exchange.exhibited.append(number)


def advance(exchange: Exchange, number: str) -> None:
    """Let what comes later of a defect happen: files appear, are replaced, ...

    Raises
    ------
    SelectionError
        If there is no defect of that number, nothing comes later, or it has come.
    ConfigError
        If the defect is not on display.
    """
    shown = _of_number(number)
    if number not in exchange.exhibited:
        msg = f"defect {number}: expected one that is on display; exhibit it first"
        raise ConfigError(msg)
    if shown.sequel is None:
        known = [each.number for each in EXHIBITS.values() if each.sequel]
        msg = f"defect {number}: nothing comes later, as it does of {known}"
        raise SelectionError(msg)
    shown.sequel(exchange)


def _of_number(number: str) -> Exhibit:
    if number not in EXHIBITS:
        first, *_, last = EXHIBITS
        msg = f"defect {number!r}: expected one of {first} to {last}"
        raise SelectionError(msg)
    return EXHIBITS[number]


# --- what exhibits are made of


def _march(day: int, hour: int = 0, minute: int = 0) -> dt.datetime:
    """Return a time of the month in which most symbols live."""
    return dt.datetime(2025, 3, day, hour, minute, tzinfo=dt.UTC)


def _at(text: str) -> dt.datetime:
    """Return a time from `2025-03-07T10:00`, in UTC."""
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


_LISTED = _march(5)


def _symbol(market: TradeType, name: str, listed: dt.datetime, **more: Any) -> Symbol:
    """Describe a symbol that trades in every minute."""
    is_cm = market is _CM
    base = name.removesuffix("_PERP").removesuffix("USD" if is_cm else "USDT")
    given: dict[str, Any] = {
        "market": market,
        "name": name,
        "base_asset": base,
        "quote_asset": "USD" if is_cm else "USDT",
        "contract_type": "" if market is _SPOT else "PERPETUAL",
        "listed": listed,
        "price": Decimal(100),
        "price_decimals": 2,
        "tick": Decimal("0.01"),
        "quantity_decimals": 0 if is_cm else 3,
        "quantity_per_trade": Decimal(2),
        "trades_per_minute": 20,
        "contract_size": 10 if is_cm else 0,
    }
    return Symbol(**given | more)


def _perpetual(name: str, listed: dt.datetime = _LISTED, **more: Any) -> Symbol:
    return _symbol(_UM, name, listed, **more)


def key_of(
    market: TradeType,
    frequency: Frequency,
    data_type: str,
    symbol: str,
    period: str,
    *,
    interval: str | None = None,
) -> str:
    """Return the key of a zip; the period is as in its name."""
    layer = f"{interval}/" if interval else ""
    return (
        f"data/{market.bucket_path}/{frequency}/{data_type}/{symbol}/{layer}"
        f"{symbol}-{interval or data_type}-{period}.zip"
    )


@dataclass(frozen=True)
class _Files:
    """The keys of one period of one symbol: of bars, one of each interval."""

    market: TradeType
    symbol: str
    period: str
    data_type: str = "klines"

    def __iter__(self) -> Iterator[str]:
        frequency = _DAILY if self.period.count("-") > 1 else _MONTHLY
        is_bars = self.data_type.lower().endswith("klines")
        for interval in INTERVALS if is_bars else (None,):
            yield key_of(
                self.market,
                frequency,
                self.data_type,
                self.symbol,
                self.period,
                interval=interval,
            )


def _um(symbol: str, day: int, data_type: str = "klines") -> _Files:
    """Name the files of USD-M of a day in March 2025."""
    return _Files(_UM, symbol, f"2025-03-{day:02}", data_type)


def _spoil(*spoiled: tuple[_Files, tuple[Defect, ...]]) -> Act:
    def act(exchange: Exchange) -> None:
        for files, hows in spoiled:
            for key in files:
                for how in hows:
                    exchange.spoil(key, how)

    return act


def _withhold(*withheld: _Files, suffix: str = "") -> Act:
    def act(exchange: Exchange) -> None:
        for files in withheld:
            for key in files:
                exchange.withhold(key + suffix)

    return act


def _release(*withheld: _Files) -> Act:
    def act(exchange: Exchange) -> None:
        for files in withheld:
            for key in files:
                exchange.release(key)

    return act


def _republish(files: _Files) -> Act:
    def act(exchange: Exchange) -> None:
        for key in files:
            exchange.republish(key)

    return act


def _all(*acts: Act) -> Act:
    def act(exchange: Exchange) -> None:
        for each in acts:
            each(exchange)

    return act


def _misname_february(exchange: Exchange) -> None:
    files = _Files(_UM, "D05USDT", "2025-02")
    for key in files:
        name = key.rpartition("/")[2]
        exchange.misname(key, name=name.replace("2025-02", "2025-2"))


def _lose_minutes(exchange: Exchange) -> None:
    """Let neither the archive nor the API have ten minutes of marks and indices."""
    for symbol in _WITHOUT_MINUTES:
        for data_type in ("markPriceKlines", "indexPriceKlines"):
            key = key_of(_UM, _DAILY, data_type, symbol, "2025-03-07", interval="1m")
            exchange.spoil(key, Defect.LOST_ROWS)
            exchange.api_withhold(
                _UM, symbol, _march(7, 8), _march(7, 8, 10), data_type=data_type
            )


def _begin_a_minute(exchange: Exchange) -> None:
    exchange.set_now(exchange.now.replace(second=_RUNNING_S))


def _deny(exchange: Exchange) -> None:
    exchange.api_faults.refuse(
        _UNAVAILABLE_FOR_LEGAL_REASONS, times=None, endpoint=f"{_CM}/klines"
    )
    exchange.bucket_faults.refuse(_FORBIDDEN)


def _grant(exchange: Exchange) -> None:
    exchange.api_faults.clear()
    exchange.bucket_faults.clear()


def _break_listings(exchange: Exchange) -> None:
    exchange.bucket_faults.halve(times=_BROKEN_LISTINGS)


_EXHIBITS = (
    Exhibit(
        "D01",
        "Whole days are missing in monthly files",
        "April 2022 of D01USDT, a month known to be bad, lacks the days 1, 2, 17 and "
        "27, which its daily files have; February 2025 of D01BUSDT lacks the 27th.",
        (
            _perpetual("D01USDT", _at("2022-03-30"), delisted=_at("2022-05-02")),
            _perpetual("D01BUSDT", _at("2025-02-26")),
        ),
        _spoil(
            (_Files(_UM, "D01USDT", "2022-04"), (Defect.LOST_DAYS,)),
            (_Files(_UM, "D01BUSDT", "2025-02"), (Defect.LOST_DAYS,)),
        ),
    ),
    Exhibit(
        "D02",
        "Monthly files of spot are stale",
        "Fifty bars of December 2020 of spot LINKUSDT, from 21st 13:00 on in those of "
        "1m, differ from those of the daily files and the API.",
        (
            _symbol(
                _SPOT,
                "LINKUSDT",
                _at("2020-12-19T13:00"),
                delisted=_at("2020-12-23T13:00"),
            ),
        ),
        _spoil((_Files(_SPOT, "LINKUSDT", "2020-12"), (Defect.STALE,))),
    ),
    Exhibit(
        "D03",
        "Files are replaced without notice",
        "Sequel: the files of 2025-03-07 of D03USDT are replaced.",
        (_perpetual("D03USDT"),),
        sequel=_republish(_um("D03USDT", 7)),
    ),
    Exhibit(
        "D04",
        "The CHECKSUM is that of another zip",
        "2025-03-07 of D04USDT: zip and ETag agree, the CHECKSUM is older.",
        (_perpetual("D04USDT"),),
        _spoil((_um("D04USDT", 7), (Defect.STALE_CHECKSUM,))),
    ),
    Exhibit(
        "D05",
        "Zips that break the rules",
        "D05USDT: February 2025 is named 2025-2; in March, the zip of the 5th cannot "
        "be opened, that of the 6th has no CHECKSUM, that of the 7th holds two CSVs, "
        "that of the 8th has its CSV in a folder.",
        (_perpetual("D05USDT", _at("2025-02-27")),),
        _all(
            _misname_february,
            _spoil(
                (_um("D05USDT", 5), (Defect.CORRUPT,)),
                (_um("D05USDT", 7), (Defect.TWO_MEMBERS,)),
                (_um("D05USDT", 8), (Defect.IN_FOLDER,)),
            ),
            _withhold(_um("D05USDT", 6), suffix=".CHECKSUM"),
        ),
    ),
    Exhibit(
        "D06",
        "Days end early, with a right CHECKSUM",
        "2025-03-07 of D06USDT ends at 08:00.",
        (_perpetual("D06USDT"),),
        _spoil((_um("D06USDT", 7), (Defect.TRUNCATED,))),
    ),
    Exhibit(
        "D07",
        "Rows are there more than once",
        "D07USDT: each row of 2025-03-07 is there twice; on the 8th, every 60th bar "
        "comes after one of the same minute with other values.",
        (_perpetual("D07USDT"),),
        _spoil(
            (_um("D07USDT", 7), (Defect.DUPLICATED,)),
            (_um("D07USDT", 8), (Defect.CONTRADICTED,)),
        ),
    ),
    Exhibit(
        "D08",
        "Rows are out of order",
        "2025-03-07 of D08USDT: bars, and orders of aggTrades, of which some are "
        "missing too.",
        (_perpetual("D08USDT", trades_published=True, trades_per_minute=4),),
        _spoil(
            (_um("D08USDT", 7), (Defect.UNSORTED,)),
            (_um("D08USDT", 7, "aggTrades"), (Defect.UNSORTED, Defect.LOST_ROWS)),
        ),
    ),
    Exhibit(
        "D09",
        "Spot went from ms to µs",
        "D09USDT of spot lives over the turn of 2025; D09BUSDT of spot has both units "
        "in the file of 2025-03-06, and bars of the 8th in that of the 7th.",
        (
            _symbol(
                _SPOT, "D09USDT", _at("2024-12-30"), delisted=_at("2025-01-03T00:00")
            ),
            _symbol(_SPOT, "D09BUSDT", _LISTED),
        ),
        _spoil(
            (_Files(_SPOT, "D09BUSDT", "2025-03-06"), (Defect.MIXED_UNITS,)),
            (_Files(_SPOT, "D09BUSDT", "2025-03-07"), (Defect.WRONG_DAY,)),
        ),
    ),
    Exhibit(
        "D10",
        "Headers came, and change",
        "D10USDT lives over June 1, 2022, when headers came; of D10BUSDT, the file of "
        "2025-03-07 has a column more, that of the 8th lacks one.",
        (
            _perpetual("D10USDT", _at("2022-05-30"), delisted=_at("2022-06-03")),
            _perpetual("D10BUSDT"),
        ),
        _spoil(
            (_um("D10BUSDT", 7), (Defect.EXTRA_COLUMN,)),
            (_um("D10BUSDT", 8), (Defect.MISSING_COLUMN,)),
        ),
    ),
    Exhibit(
        "D11",
        "Volumes of COIN-M are contracts",
        "D11USD_PERP: the header says quote volume, the values are coins; a contract "
        "is worth 25 USD, which no table knows.",
        (_symbol(_CM, "D11USD_PERP", _LISTED, contract_size=25),),
    ),
    Exhibit(
        "D12",
        "Outages of the exchange",
        "Spot stood still on 2025-03-06 from 02:00 to 03:10; D12AUSDT and D12BUSDT.",
        (_symbol(_SPOT, "D12AUSDT", _LISTED), _symbol(_SPOT, "D12BUSDT", _LISTED)),
        outages=((_SPOT, Halt(start=_march(6, 2), end=_march(6, 3, 10))),),
    ),
    Exhibit(
        "D13",
        "Bars are off the grid after a halt",
        "D13USDT was halted on 2025-03-07 from 10:00 to 10:30; the 120 bars after that "
        "open 14.789 s late.",
        (
            _perpetual(
                "D13USDT",
                halts=(Halt(start=_march(7, 10), end=_march(7, 10, 30)),),
            ),
        ),
        _spoil((_um("D13USDT", 7), (Defect.OFF_GRID,))),
    ),
    Exhibit(
        "D14",
        "Bars without trades that are wrong",
        "D14USDT: 13 bars on 2025-03-07, from 12:00 on in those of 1m.",
        (_perpetual("D14USDT"),),
        _spoil((_um("D14USDT", 7), (Defect.NO_VOLUME,))),
    ),
    Exhibit(
        "D15",
        "Flat bars after the delisting",
        "D15USDT was delisted on 2025-03-05 at 09:00; flat bars go on until midnight.",
        (_perpetual("D15USDT", _march(3), delisted=_march(5, 9)),),
        _spoil((_um("D15USDT", 5), (Defect.FLAT_TAIL,))),
    ),
    Exhibit(
        "D16",
        "One name, two assets",
        "D16USDT was settled on 2025-01-09, its funding went on, and another asset has "
        "had its name since 2025-03-06.",
        (
            _perpetual(
                "D16USDT",
                _at("2025-01-06"),
                halts=(
                    Halt(start=_at("2025-01-09"), end=_march(6, 10), price_change=4),
                ),
            ),
        ),
        _spoil(
            (
                _Files(_UM, "D16USDT", "2025-01", "fundingRate"),
                (Defect.PHANTOM_EVENTS,),
            )
        ),
    ),
    Exhibit(
        "D17",
        "Relisted after months",
        "D17USDT was away from 2025-01-10 to 2025-03-06, and came back 30 % lower.",
        (
            _perpetual(
                "D17USDT",
                _at("2025-01-06"),
                halts=(
                    Halt(
                        start=_at("2025-01-10T03:00"),
                        end=_march(6, 8),
                        price_change=-0.3,
                    ),
                ),
            ),
        ),
    ),
    Exhibit(
        "D18",
        "Days of files are missing",
        "D18USDT has no files of 2025-03-06 and 07. Sequel: those of the 6th appear.",
        (_perpetual("D18USDT"),),
        _withhold(_um("D18USDT", 6), _um("D18USDT", 7)),
        _release(_um("D18USDT", 6)),
    ),
    Exhibit(
        "D19",
        "Publication stalls for days",
        "D19USDT has no files since 2025-03-08. Sequel: they appear.",
        (_perpetual("D19USDT"),),
        _withhold(_um("D19USDT", 8), _um("D19USDT", 9)),
        _release(_um("D19USDT", 8), _um("D19USDT", 9)),
    ),
    Exhibit(
        "D20",
        "The labels of metrics were moved",
        "D20USDT lives over 2026-06-25, since when labels are the starts of periods.",
        (_perpetual("D20USDT", _at("2026-06-23")),),
        since=_at("2026-06-27T12:00"),
    ),
    Exhibit(
        "D21",
        "Metrics with holes, blanks and zeros",
        "D21USDT: on 2025-03-07 rows are out of order, ten are missing, some ratios "
        "blank and an open interest 0; the 8th begins with the label that ends the "
        "7th.",
        (_perpetual("D21USDT"),),
        _spoil(
            (
                _um("D21USDT", 7, "metrics"),
                (Defect.UNSORTED, Defect.LOST_ROWS, Defect.BLANKS, Defect.ZEROS),
            ),
            (_um("D21USDT", 8, "metrics"), (Defect.MIDNIGHT_TWICE,)),
        ),
    ),
    Exhibit(
        "D22",
        "Minutes of mark and index prices are missing everywhere",
        "D22AUSDT, D22BUSDT and D22CUSDT: 2025-03-07 08:00 to 08:10, bars of 1m of the "
        "archive and all of the API.",
        tuple(map(_perpetual, _WITHOUT_MINUTES)),
        _lose_minutes,
    ),
    Exhibit(
        "D23",
        "Quantities of aggTrades are next to nothing",
        "2025-03-07 of D23USDT: every tenth quantity.",
        (_perpetual("D23USDT", trades_published=True, trades_per_minute=4),),
        _spoil((_um("D23USDT", 7, "aggTrades"), (Defect.LOST_PRECISION,))),
    ),
    Exhibit(
        "D24",
        "Liquidations were withdrawn, and doubled",
        "D24USD_PERP lives over 2024-10-14, when the feed ended; the rows of the 12th "
        "are there twice. USD-M has none at all.",
        (_symbol(_CM, "D24USD_PERP", _at("2024-10-11"), delisted=_at("2024-10-17")),),
        _spoil(
            (
                _Files(_CM, "D24USD_PERP", "2024-10-12", "liquidationSnapshot"),
                (Defect.DUPLICATED,),
            )
        ),
    ),
    Exhibit(
        "D25",
        "Feeds end",
        "D25USDT of USD-M lives over 2024-03-30, the end of bookTicker, and D25USDT of "
        "the options over 2023-10-23, that of EOHSummary.",
        (
            _perpetual("D25USDT", _at("2024-03-29"), delisted=_at("2024-04-03")),
            _symbol(
                TradeType.OPTION,
                "D25USDT",
                _at("2023-10-21"),
                delisted=_at("2023-10-26"),
                contract_type="UNDERLYING",
            ),
        ),
    ),
    Exhibit(
        "D26",
        "Times as text, to the second",
        "Metrics and book depth of D26USDT.",
        (_perpetual("D26USDT", _march(8)),),
    ),
    Exhibit(
        "D27",
        "Funding changes its interval",
        "D27USDT paid every 8 hours until 2025-02-20 and pays every 4 since.",
        (
            _perpetual(
                "D27USDT",
                _at("2025-02-17"),
                funding_interval_hours=4,
                funding_interval_before=FundingInterval(
                    until=_at("2025-02-20"), hours=8
                ),
            ),
        ),
    ),
    Exhibit(
        "D28",
        "The last bar of the API is not over",
        "The clock shows half a minute more; D28USDT is like any other symbol.",
        (_perpetual("D28USDT", _march(8)),),
        _begin_a_minute,
    ),
    Exhibit(
        "D29",
        "Symbols that are not ASCII",
        "博物馆USDT.",
        (_perpetual("博物馆USDT", _march(8)),),
    ),
    Exhibit(
        "D30",
        "Commodities rest at week-ends",
        "XAUUSDT, on gold, has bars but no trades on 2025-03-08 and 09.",
        (
            _perpetual(
                "XAUUSDT",
                contract_type="TRADIFI_PERPETUAL",
                quiet_weekends=True,
            ),
        ),
    ),
    Exhibit(
        "D31",
        "The exchange refuses to answer",
        "The API refuses all klines of COIN-M by 451, the bucket the next listing by "
        "403; D31USD_PERP has no files of 2025-03-09. Sequel: both answer again.",
        (_symbol(_CM, "D31USD_PERP", _LISTED),),
        _all(
            _withhold(_Files(_CM, "D31USD_PERP", "2025-03-09")),
            _deny,
        ),
        _grant,
    ),
    Exhibit(
        "D32",
        "Listings are cut off",
        "The next two listings have status 200 and half of their XML; D32USDT.",
        (_perpetual("D32USDT", _march(8)),),
        _break_listings,
    ),
)

EXHIBITS = {each.number: each for each in _EXHIBITS}
"""All defects by number, in the order of the catalogue."""
