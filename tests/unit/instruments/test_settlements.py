"""The table of settlements, against the exchange's own recorded lists."""

import datetime as dt

from bhds.core.markets import TradeType
from bhds.instruments import settlements, settlements_day

UM = TradeType.UM_FUTURES


def test_settlements_are_in_order_and_each_has_a_source():
    assert settlements_day() == dt.date(2026, 7, 4)
    for (_, symbol), rows in settlements().items():
        moments = [m for row in rows for m in (row.settled_at, row.listed_again) if m]
        assert moments == sorted(moments), symbol
        assert all(moment.tzinfo is dt.UTC for moment in moments), symbol
        assert all(row.listed_again for row in rows[:-1]), symbol
        assert all(row.source for row in rows), symbol


def test_settlements_are_those_of_the_recorded_exchange_info(real_lists):
    listed = real_lists.entries("um/api/2026-07-04/fapi-v1-exchangeInfo.json")
    settling = {s for s, entry in listed.items() if entry["status"] == "SETTLING"}

    for symbol in settling:
        (row,) = settlements()[UM, symbol]
        assert row.settled_at.timestamp() * 1000 == listed[symbol]["deliveryDate"]
        assert row.listed_again is None
    for (_, symbol), rows in settlements().items():
        is_listed = symbol in listed and symbol not in settling
        assert (rows[-1].listed_again is not None) == is_listed, symbol
