"""Which symbols there are, and what of them a UTC day knows."""

import datetime as dt
import json
import shutil

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bhds.archive.listing.directory import Directory
from bhds.archive.listing.tables import Listed, ListingTable, TableStore
from bhds.core.errors import ConfigError, ResultError, SelectionError
from bhds.core.markets import Frequency, TradeType
from bhds.io import storage
from bhds.quality import judged_until
from bhds.reader.universes import STOPPED_DAYS, UNIVERSE, universe
from bhds.schemas import klines as columns
from bhds.schemas import quality_tables
from bhds.schemas.archive_tables import LISTING_SCHEMA
from bhds.stages import results

from .conftest import START, make_rows

DAY = dt.timedelta(days=1)
BARS_OF_A_DAY = 4
SETTINGS = {
    "vwap": True,
    "fill": True,
    "split": {"enabled": True, "min_days": 1.0, "min_price_change": 0.1},
    "has_ended": False,
    "is_trading": False,
    "unlisted": (),
    "contract_usd": None,
}


class Market:
    """Results of 6h bars, built by the real job from days of traded bars."""

    def __init__(self, folder):
        self.folder = folder
        self.root = folder / "results_data/um_futures"

    def build(self, symbol, days, *, until, interval="6h", has_ended=False):
        """Build a symbol of days `(number, trades of its bars)`, None: no file."""
        schema = columns.parsed_klines(TradeType.UM_FUTURES)
        trades = {
            START + (number + bar / BARS_OF_A_DAY) * DAY: count
            for number, counts in days
            if counts is not None
            for bar, count in enumerate(counts)
        }
        rows = make_rows(
            schema,
            open_time=list(trades),
            trade_count=list(trades.values()),
            **{name: [1.0] * len(trades) for name in columns_of_prices(schema)},
            close_time=list(trades),
            source=["daily"] * len(trades),
        )
        partition = str(self.folder / f"parsed/{symbol}/2025.parquet")
        storage.write_parquet(rows, partition, metadata={}, symbol=symbol)
        storage.write_json({}, partition.replace(".parquet", ".sources.json"))
        klines = f"{self.root}/klines/{interval}"
        results.write_results(
            [partition],
            outputs={"result": f"{klines}/{symbol}.pqt"}
            | {
                name: f"{klines}/{name}/{symbol}.parquet"
                for name in ("gaps", "days", "conflicts")
            },
            settings=SETTINGS | {"has_ended": has_ended},
            last_day=day(until),
            trade_type="um_futures",
            symbol=symbol,
            interval=interval,
        )

    def judge(self, *symbols, until, ends=()):
        """Write the condition of some days: of which symbols, and until when."""
        frame = make_rows(
            quality_tables.CONDITION, symbol=list(symbols), day=[day(0)] * len(symbols)
        )
        storage.write_parquet(
            frame,
            self.root / "quality/condition-klines-6h.parquet",
            metadata=judged_until.to_metadata(day(until), dict(ends)),
        )

    def list_archive(self, symbol, *, last_day, listed_on):
        """Write a listing of the daily zips of a symbol, until a day."""
        directory = Directory(
            TradeType.UM_FUTURES, Frequency.DAILY, "klines", interval="6h"
        )
        prefix = directory.symbol_prefix(symbol)
        keys = [f"{prefix}{symbol}-6h-{day(n)}.zip" for n in range(last_day + 1)]
        rows = [(key, 10, "a", moment(0)) for key in keys]
        frame = pl.DataFrame(rows, schema=LISTING_SCHEMA, orient="row")
        at = moment(listed_on)
        table = ListingTable(frame, {symbol: Listed(at, at)})
        TableStore(self.folder).put_table(directory, table)

    def exchange_info(self, *, recorded, **contract_types):
        path = self.folder / "api_data/um_futures/exchangeInfo.json"
        path.parent.mkdir(parents=True)
        entries = [
            {"symbol": s, "baseAsset": s[0] * 3, "quoteAsset": "X", "contractType": t}
            for s, t in contract_types.items()
        ]
        at = int((START + recorded * DAY).timestamp() * 1000)
        path.write_text(json.dumps({"serverTime": at, "symbols": entries}))

    def of(self, number, **options):
        options = {"interval": "6h", "data_dir": self.folder} | options
        as_of = None if number is None else day(number)
        return universe("um_futures", as_of=as_of, **options)


def columns_of_prices(schema):
    return [name for name, dtype in schema.items() if dtype == pl.Float64]


def day(number):
    return START.date() + number * DAY


def moment(number):
    return START + number * DAY


ALL = (1, 1, 1, 1)
FLAT = (0, 0, 0, 0)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A: always; B: stops on day 2, comes back on day 10; C: from day 5 on."""
    found = Market(tmp_path_factory.mktemp("built"))
    found.build("AUSDT", [(n, ALL) for n in range(12)], until=11)
    found.build("BUSDT", [(n, ALL) for n in (0, 1, 2, 10, 11)], until=11)
    found.build("CUSDT", [(n, ALL) for n in range(5, 12)], until=11)
    return found


@pytest.fixture
def market(built, tmp_path):
    """Copy the market of three symbols, which a test may add to."""
    shutil.copytree(built.folder, tmp_path, dirs_exist_ok=True)
    return Market(tmp_path)


def symbols_of(frame):
    return "".join(name[0] for name in frame["symbol"])


def test_all_symbols_with_a_result_are_listed(market):
    found = market.of(None)
    assert found.schema == UNIVERSE
    assert found["symbol"].to_list() == ["AUSDT", "BUSDT", "CUSDT"]
    assert found.row(1, named=True) == {
        "symbol": "BUSDT",
        "base": "B",
        "quote": "USDT",
        "contract_type": "PERPETUAL",
        "settled": False,
        "delivery_date": None,
        "leveraged": False,
        "stable_pair": False,
        "first_traded": moment(0),
        "last_traded": moment(11.75),
        "built_until": day(11),
    }
    assert market.of(None, symbols="CUSDT")["symbol"].to_list() == ["CUSDT"]
    with pytest.raises(SelectionError, match="did you mean 'CUSDT'"):
        market.of(None, symbols="CUSD")


@pytest.mark.parametrize(
    ("number", "symbols"),
    [
        (-1, ""),
        (0, "AB"),
        (2, "AB"),
        (2 + STOPPED_DAYS, "ABC"),
        (3 + STOPPED_DAYS, "AC"),
        (9, "AC"),
        (10, "ABC"),
        (11, "ABC"),
    ],
)
def test_a_day_has_the_symbols_that_trade_or_have_just_stopped(market, number, symbols):
    assert symbols_of(market.of(number)) == symbols


def test_a_quiet_symbol_stays_by_its_trades_and_not_by_its_flat_bars(tmp_path):
    market = Market(tmp_path)
    quiet = [(n, (0, 1, 0, 0) if n % 4 == 0 else FLAT) for n in range(12)]
    market.build("AUSDT", [(n, ALL) for n in range(12)], until=11)
    market.build("BUSDT", quiet, until=11)
    market.build("CUSDT", [(0, ALL), *((n, FLAT) for n in range(1, 12))], until=11)
    assert symbols_of(market.of(7)) == "AB"
    assert market.of(7)["last_traded"].to_list() == [moment(7.75), moment(4.25)]


def test_bars_count_once_they_are_closed(tmp_path):
    """The trades of a bar of three days may all be of its last day."""
    market = Market(tmp_path)
    market.build("AUSDT", [(3, [1])], until=11, interval="3d")
    opened = market.of(None, interval="3d")["first_traded"][0]
    first = (opened - START).days + 2
    found = [n for n in range(12) if market.of(n, interval="3d").height]
    assert found == list(range(first, first + 3 + STOPPED_DAYS))


def test_what_became_of_a_symbol_is_not_known_on_a_day(tmp_path):
    market = Market(tmp_path)
    market.build("AUSDT_SETTLED", [(n, ALL) for n in range(3)], until=5)
    market.build("BUSDT_250305", [(n, ALL) for n in range(5)], until=5)
    found = market.of(1).select("settled", "delivery_date", "last_traded").rows()
    then = moment(1.75)
    assert found == [(False, None, then), (False, dt.date(2025, 3, 5), then)]
    assert market.of(None)["settled"].to_list() == [True, False]


@pytest.mark.parametrize(("recorded", "base"), [(3.5, "AAA"), (4, "A"), (9, "A")])
def test_an_exchange_info_is_of_no_day_before_it_was_recorded(market, recorded, base):
    market.exchange_info(recorded=recorded, AUSDT="TRADIFI_PERPETUAL")
    first = market.of(3).row(0, named=True)
    assert first["base"] == base
    assert market.of(None).row(0, named=True)["contract_type"] == "TRADIFI_PERPETUAL"


# --- results that do not reach the day ------------------------------------------------


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (day(12), "as_of 2025-03-13: the results reach to 2025-03-12"),
        ("March", "as_of 'March': expected a UTC day"),
        (20250301, "as_of 20250301: expected a UTC day"),
        (START, "expected a UTC day"),
    ],
)
def test_no_known_day_is_refused(market, value, message):
    with pytest.raises(ConfigError, match=message):
        universe("um_futures", as_of=value, interval="6h", data_dir=market.folder)


def test_a_symbol_last_built_before_the_others_is_not_left_out(market):
    market.build("DUSDT", [(n, ALL) for n in range(4)], until=3)
    assert symbols_of(market.of(3)) == "ABD"
    message = r"as_of 2025-03-05: the results of 1 symbols end before it \(DUSDT 2025-"
    with pytest.raises(ResultError, match=message):
        market.of(4)
    assert symbols_of(market.of(4, symbols=["AUSDT"])) == "A"
    market.judge("AUSDT", "BUSDT", "CUSDT", until=11)
    with pytest.raises(ResultError, match=message):
        market.of(4)


def test_a_symbol_that_was_judged_with_the_others_has_ended(market):
    market.build("DUSDT", [(n, ALL) for n in range(4)], until=3)
    market.judge("AUSDT", "BUSDT", "CUSDT", "DUSDT", until=10)
    assert symbols_of(market.of(4)) == "ABD"
    assert symbols_of(market.of(10)) == "ABC"
    assert market.of(10, symbols="DUSDT").is_empty()
    with pytest.raises(ResultError, match="end before it"):
        market.of(11)


def test_a_symbol_of_which_fewer_days_were_wanted_may_go_on(market):
    market.build("DUSDT", [(n, ALL) for n in range(4)], until=3)
    market.judge("AUSDT", "BUSDT", "CUSDT", "DUSDT", until=10, ends={"DUSDT": day(3)})
    assert symbols_of(market.of(3)) == "ABD"
    with pytest.raises(ResultError, match="end before it"):
        market.of(4)


def test_a_symbol_that_was_known_to_have_ended_when_built_has(market):
    market.build("DUSDT", [(n, ALL) for n in range(4)], until=3, has_ended=True)
    assert symbols_of(market.of(4)) == "ABD"
    assert symbols_of(market.of(11)) == "ABC"


def test_a_symbol_without_trades_for_long_may_have_come_back_since(market):
    days = [(0, ALL), *((n, FLAT) for n in range(1, 10))]
    market.build("DUSDT", days, until=9)
    with pytest.raises(ResultError, match="end before it"):
        market.of(10)


def test_the_only_symbol_of_a_market_may_have_ended(tmp_path):
    market = Market(tmp_path)
    market.build("DUSDT", [(n, ALL) for n in range(4)], until=3, has_ended=True)
    with pytest.raises(ConfigError, match="results reach to 2025-03-04"):
        market.of(9)
    market.judge("DUSDT", until=9)
    assert market.of(9).is_empty()


def test_a_delivered_contract_has_ended(market):
    market.build("DUSDT_250303", [(n, ALL) for n in range(3)], until=2)
    assert [symbols_of(market.of(n)) for n in (5, 6)] == ["ABCD", "AC"]
    market.build("DUSDT_250303", [(0, ALL)], until=0)
    assert symbols_of(market.of(6)) == "AC"
    with pytest.raises(ResultError, match="end before it"):
        market.of(5)


def test_a_settled_contract_has_ended(tmp_path):
    market = Market(tmp_path)
    settled = (dt.date(2025, 3, 17) - START.date()).days  # at 9:00
    market.build("BNXUSDT", [(settled, (1, 1, 0, 0))], until=settled)
    market.build("AUSDT", [(n, ALL) for n in range(settled, 40)], until=39)
    assert [symbols_of(market.of(settled + n)) for n in (3, 4)] == ["AB", "A"]
    assert market.of(30)["symbol"].to_list() == ["AUSDT"]


@pytest.mark.parametrize(
    ("listed_on", "last_day", "is_known"),
    [
        pytest.param(6, 3, True, id="no later file, as listed after the day"),
        pytest.param(5, 3, False, id="as listed before"),
        pytest.param(6, 4, False, id="there is a later file"),
    ],
)
def test_a_symbol_without_a_later_file_in_the_listing_has_ended(
    market, listed_on, last_day, is_known
):
    market.build("DUSDT", [(n, ALL) for n in range(4)], until=3)
    market.list_archive("DUSDT", last_day=last_day, listed_on=listed_on)
    if is_known:
        assert symbols_of(market.of(5)) == "ABCD"
        return
    with pytest.raises(ResultError, match=r"DUSDT 2025-03-04"):
        market.of(5)


# --- nothing of a day depends on what came after --------------------------------------

histories = st.lists(
    st.sampled_from([None, None, FLAT, (0, 0, 1, 0), ALL]), min_size=10, max_size=10
)


@settings(max_examples=settings.default.max_examples // 3)
@given(
    several=st.lists(histories, min_size=1, max_size=3),
    number=st.integers(0, 9),
    recorded=st.integers(0, 10),
)
def test_cutting_what_came_after_a_day_changes_no_row(
    tmp_path_factory, several, number, recorded
):
    """Files end with a symbol's last day, as without the API; all were judged."""
    histories = {
        f"{name}USDT": {n: trades for n, trades in enumerate(each) if trades}
        for name, each in zip("ABC", several, strict=False)
    } | {"DUSDT": dict.fromkeys(range(10), ALL)}
    listed = [symbol for symbol, days in histories.items() if max(days, default=-1) > 4]

    def rows(last):
        market = Market(tmp_path_factory.mktemp("market"))
        for symbol, days in histories.items():
            known = [(n, trades) for n, trades in days.items() if n <= last]
            if known:
                until = known[-1][0]
                market.build(symbol, known, until=until, has_ended=until < last)
        market.judge(*histories, until=last)
        if recorded <= last:
            types = dict.fromkeys(listed, "TRADIFI_PERPETUAL")
            market.exchange_info(recorded=recorded, **types)
        return market.of(number)

    assert rows(9).rows() == rows(number).rows()
