import datetime as dt
from decimal import Decimal
from itertools import groupby, pairwise

import pytest

UM, CM = "data/futures/um/daily/", "data/futures/cm/daily/"
WHOLE = ["-5", "-4", "-3", "-2", "-1", "1", "2", "3", "4", "5"]
FINE = [
    *("-5.00", "-4.00", "-3.00", "-2.00", "-1.00", "-0.20"),
    *("0.20", "1.00", "2.00", "3.00", "4.00", "5.00"),
]


def snapshots(archive, market, name, day):
    rows = archive.lines(f"{market}bookDepth/{name}/{name}-bookDepth-{day}.zip")
    return {time: list(each) for time, each in groupby(rows, key=lambda row: row[0])}


@pytest.mark.parametrize(("market", "name"), [(UM, "PCTUSDT"), (CM, "PCTUSD_PERP")])
@pytest.mark.parametrize(
    ("day", "percentages"), [("2025-12-31", WHOLE), ("2026-01-01", FINE)]
)
def test_there_is_a_snapshot_every_30_s_in_the_format_of_its_era(
    archive, market, name, day, percentages
):
    found = snapshots(archive, market, name, day)

    assert len(found) == 12 * 120
    for rows in found.values():
        assert [row[1] for row in rows] == percentages
    moments = [dt.datetime.fromisoformat(time) for time in found]
    steps = {b - a for a, b in pairwise(moments)}
    assert max(abs(step.total_seconds() - 30) for step in steps) < 10


@pytest.mark.parametrize(("market", "name"), [(UM, "PCTUSDT"), (CM, "PCTUSD_PERP")])
def test_depth_grows_with_the_distance_and_is_worth_about_the_price(
    archive, market, name
):
    bars = archive.bars(f"{market}klines/{name}/", "1h", "2026-01-01")
    high, low = (
        extreme(bar[place] for bar in bars.values())
        for extreme, place in ((max, 2), (min, 3))
    )

    for rows in list(snapshots(archive, market, name, "2026-01-01").values())[::60]:
        depths = [Decimal(row[2]) for row in rows]
        assert depths[:6] == sorted(depths[:6], reverse=True)
        assert depths[6:] == sorted(depths[6:])
        for _, percentage, depth, notional in rows:
            price = (
                Decimal(notional) / Decimal(depth)
                if market == UM
                else Decimal(depth) * 10 / Decimal(notional)
            )
            off = 1 + Decimal(percentage) / 200
            assert low * Decimal("0.998") < price / off < high * Decimal("1.002")


def quotes(archive, market, name, day):
    rows = archive.lines(f"{market}bookTicker/{name}/{name}-bookTicker-{day}.zip")
    return [list(map(Decimal, row)) for row in rows]


@pytest.mark.parametrize(
    ("market", "name", "day"),
    [(UM, "ENDUSDT", "2024-03-30"), (CM, "ENDUSD_PERP", "2024-10-14")],
)
def test_the_bid_is_below_the_ask_and_both_about_the_price(archive, market, name, day):
    bars = archive.bars(f"{market}klines/{name}/", "1m", day)
    tick = Decimal("0.05")

    found = quotes(archive, market, name, day)

    assert len(found) == 12 * len(bars)
    for number, bid, bid_size, ask, ask_size, time, event_time in found:
        bar = bars[int(time) // 60_000 * 60_000]
        assert tick <= ask - bid <= 2 * tick
        assert bar[3] - tick <= bid <= bar[2] + tick
        assert min(number, bid_size, ask_size) > 0
        assert 0 < event_time - time < 10


def test_update_ids_grow_and_have_holes_across_midnight(archive):
    ids = [
        row[0]
        for day in ("2022-05-31", "2022-06-01")
        for row in quotes(archive, CM, "OLDUSD_PERP", day)
    ]

    steps = [b - a for a, b in pairwise(ids)]
    assert min(steps) > 0
    assert max(steps) > 1
