from decimal import Decimal
from pathlib import Path

import pytest

REAL = Path("../shared/realdata")
SPOT, UM, CM = "data/spot/", "data/futures/um/", "data/futures/cm/"
MARKETS = [
    pytest.param(SPOT, "AAAUSDT", ("2024-12-31", "2025-01-01"), id="spot"),
    pytest.param(SPOT, "SECUSDT", ("2025-01-05", "2025-01-06"), id="seconds"),
    pytest.param(UM, "OLDUSDT", ("2022-05-31", "2022-06-01"), id="um"),
    pytest.param(CM, "OLDUSD_PERP", ("2022-05-31", "2022-06-01"), id="cm"),
]
WIDTHS = {"1s": 1_000, "1m": 60_000, "15m": 900_000, "1h": 3_600_000, "1d": 86_400_000}

BARS = [
    pytest.param(*each.values, interval, id=f"{each.id} {interval}")
    for each in MARKETS
    for interval in WIDTHS
    if interval != "1s" or each.id == "seconds"
]


def rows(archive, market, name, kind, day):
    return archive.lines(f"{market}daily/{kind}/{name}/{name}-{kind}-{day}.zip")


def milliseconds(text):
    return int(text[:13])


@pytest.mark.parametrize(("market", "name", "days", "interval"), BARS)
def test_trades_add_up_to_the_bars(archive, market, name, days, interval):
    traded = {}
    for _, price, quantity, amount, time, is_buyer_maker, *_ in rows(
        archive, market, name, "trades", days[0]
    ):
        open_ms = milliseconds(time) // WIDTHS[interval] * WIDTHS[interval]
        bar = traded.setdefault(open_ms, {"prices": [], "sums": [Decimal(0)] * 5})
        bar["prices"].append(Decimal(price))
        taken = is_buyer_maker.lower() == "false"
        found = map(Decimal, (quantity, amount, 1, taken * Decimal(quantity), 0))
        bar["sums"] = [a + b for a, b in zip(bar["sums"], found, strict=True)]
        bar["sums"][4] += taken * Decimal(amount)

    bars = archive.bars(f"{market}daily/klines/{name}/", interval, days[0])

    assert len(traded) > 1 or interval in {"1d", "1h", "15m"}
    assert {time for time, bar in bars.items() if bar[8]} == traded.keys()
    for time, bar in traded.items():
        prices = bar["prices"]
        expected = [prices[0], max(prices), min(prices), prices[-1], *bar["sums"]]
        assert [*bars[time][1:6], *bars[time][7:11]] == expected


@pytest.mark.parametrize(("market", "name", "days"), MARKETS)
def test_bars_without_trades_are_flat_at_the_last_price(archive, market, name, days):
    bars = archive.bars(f"{market}daily/klines/{name}/", "1m", days[0])
    last = None

    for _, *prices, volume, _, amount, count, taken, _, _ in bars.values():
        if count == 0 and last is not None:
            assert prices == [last] * 4
            assert volume == amount == taken == 0
        last = prices[3]
    quiet = sum(bar[8] == 0 for bar in bars.values())
    assert (quiet > 50) == (name != "SECUSDT")


@pytest.mark.parametrize("day", [0, 1])
@pytest.mark.parametrize(("market", "name", "days"), MARKETS)
def test_agg_trades_are_orders_of_one_or_more_trades(archive, market, name, days, day):
    trades = {
        int(row[0]): row for row in rows(archive, market, name, "trades", days[day])
    }
    orders = rows(archive, market, name, "aggTrades", days[day])

    filled = []
    for _, price, quantity, first, last, *when_and_whose in orders:
        parts = [trades[number] for number in range(int(first), int(last) + 1)]
        filled += [int(part[0]) for part in parts]
        assert sum(Decimal(part[2]) for part in parts) == Decimal(quantity)
        for part in parts:
            assert [part[1], *part[4:]] == [price, *when_and_whose]
    assert filled == list(trades)
    assert name == "SECUSDT" or len(orders) < 0.9 * len(trades)


@pytest.mark.parametrize("kind", ["trades", "aggTrades"])
@pytest.mark.parametrize(("market", "name", "days"), MARKETS)
def test_ids_count_on_across_midnight(archive, market, name, days, kind):
    ids = [
        int(row[0]) for day in days for row in rows(archive, market, name, kind, day)
    ]

    assert ids == list(range(1, len(ids) + 1))


@pytest.mark.parametrize(
    ("key", "first_line"),
    [
        pytest.param(
            f"{UM}daily/trades/OLDUSDT/OLDUSDT-trades-2022-06-01.zip",
            "id,price,qty,quote_qty,time,is_buyer_maker",
            id="um trades",
        ),
        pytest.param(
            f"{CM}daily/trades/OLDUSD_PERP/OLDUSD_PERP-trades-2022-06-01.zip",
            "id,price,qty,base_qty,time,is_buyer_maker",
            id="cm trades",
        ),
        pytest.param(
            f"{UM}daily/aggTrades/OLDUSDT/OLDUSDT-aggTrades-2022-06-01.zip",
            "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,"
            "is_buyer_maker",
            id="um aggTrades",
        ),
    ],
)
def test_futures_have_the_header_of_their_type(archive, key, first_line):
    assert archive.text(key).splitlines()[0] == first_line
    before = archive.text(key.replace("2022-06-01", "2022-05-31"))
    assert before[0].isdigit()


@pytest.mark.parametrize(("day", "digits"), [("2024-12-31", 13), ("2025-01-01", 16)])
def test_spot_has_eight_decimals_capital_flags_and_the_unit_of_its_era(
    archive, day, digits
):
    number, price, quantity, amount, time, *flags = rows(
        archive, SPOT, "AAAUSDT", "trades", day
    )[0]

    assert {len(each.partition(".")[2]) for each in (price, quantity, amount)} == {8}
    assert len(time) == digits
    assert set(flags) <= {"True", "False"}
    assert len(flags) == 2
    assert number.isdigit()


def test_both_sides_take(archive):
    makers = {row[5] for row in rows(archive, UM, "OLDUSDT", "trades", "2022-06-01")}

    assert makers == {"true", "false"}


def test_symbols_have_trades_only_where_they_are_published(archive):
    assert not archive.zips(f"{UM}daily/trades/LABUSDT/")
    assert not archive.zips(f"{UM}daily/aggTrades/LABUSDT/")


@pytest.mark.skipif(not REAL.is_dir(), reason="genuine exchange files are absent")
def test_cm_agg_trades_are_written_as_in_a_genuine_file(archive, genuine_shapes):
    real = genuine_shapes(
        REAL / "cm/aggTrades/BTCUSD_PERP/BTCUSD_PERP-aggTrades-2026-05-08.zip"
    )
    key = f"{CM}daily/aggTrades/OLDUSD_PERP/OLDUSD_PERP-aggTrades-2022-06-01.zip"

    ours = genuine_shapes(archive.text(key))

    # The price has the decimals of its symbol: there one, here two.
    assert {shape.replace("9.99,", "9.9,", 1) for shape in ours} == real
