from decimal import Decimal

from bhds.sandbox.exchange import Exchange
from bhds.sandbox.universe import Universe

FOLDER = "data/futures/cm/daily/liquidationSnapshot/"
KEY = f"{FOLDER}ENDUSD_PERP/ENDUSD_PERP-liquidationSnapshot-2024-10-14.zip"
HEADER = (
    "time,side,order_type,time_in_force,original_quantity,price,average_price,"
    "order_status,last_fill_quantity,accumulated_fill_quantity"
)


def test_there_are_a_few_orders_a_day(archive):
    keys = archive.zips(FOLDER)

    counts = [len(archive.lines(key)) for key in keys]

    # The other contracts begin after the end of the feed.
    assert {key.split("/")[-2] for key in keys} == {"OLDUSD_PERP", "ENDUSD_PERP"}
    assert all(1 <= count <= 8 for count in counts)


def test_an_order_is_filled_at_the_close_of_its_minute(archive):
    bars = archive.bars("data/futures/cm/daily/klines/ENDUSD_PERP/", "1m", "2024-10-14")

    rows = archive.lines(KEY)

    assert archive.text(KEY).startswith(f"{HEADER}\n")
    for time, side, kind, force, quantity, price, average, status, *filled in rows:
        assert (kind, force, status) == ("LIMIT", "IOC", "FILLED")
        assert Decimal(average) == bars[int(time) // 60_000 * 60_000][4]
        worse = (Decimal(price) - Decimal(average)) * (1 if side == "BUY" else -1)
        assert 0 <= worse <= Decimal(average) / 100
        assert int(filled[0]) <= int(filled[1]) == int(quantity)


def test_a_day_without_orders_has_no_file(symbol, tmp_path):
    contract = symbol(
        "cm_futures",
        "AAAUSD_PERP",
        listed="2024-09-30T23:55:00Z",
        delisted="2024-10-01T00:05:00Z",
    )
    universe = Universe.model_validate({"seed": 7, "symbols": [contract]})

    with Exchange(universe, cache_dir=tmp_path) as exchange:
        assert list(exchange.store.keys("data/futures/cm/daily/metrics/"))
        assert not list(exchange.store.keys(FOLDER))
