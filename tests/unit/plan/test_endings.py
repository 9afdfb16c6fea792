"""When it is known that a symbol has ended."""

import datetime as dt

import pytest

from bhds.core.listing_period import STAYS_OPEN, ListingPeriod
from bhds.core.markets import TradeType
from bhds.plan.endings import has_ended, unlisted

UM = TradeType.UM_FUTURES
AS_OF = dt.date(2024, 3, 29)
DAY = dt.timedelta(days=1)

at = dt.datetime.fromisoformat


def ended(symbol="AUSDT", *, last=AS_OF, as_of=AS_OF, **entry):
    listing_period = None if last is None else ListingPeriod(dt.date(2020, 1, 1), last)
    known = {symbol: entry} if entry else None
    return has_ended(
        symbol, trade_type=UM, listing_period=listing_period, as_of=as_of, known=known
    )


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        pytest.param(AS_OF, False, id="its file of the day is there"),
        pytest.param(AS_OF - STAYS_OPEN, False, id="no file for the grace period"),
        pytest.param(AS_OF - STAYS_OPEN - DAY, True, id="no file for longer"),
        pytest.param(None, False, id="no file at all"),
    ],
)
def test_a_symbol_without_files_for_long_has_ended(last, expected):
    assert ended(last=last) is expected


@pytest.mark.parametrize(
    ("symbol", "entry", "expected"),
    [
        pytest.param("AUSDT", {"status": "TRADING"}, False, id="it trades"),
        pytest.param("AUSDT", {"status": "PRE_SETTLE"}, False, id="about to settle"),
        pytest.param("AUSDT", {"status": "BREAK"}, False, id="a halt"),
        pytest.param("AUSDT", {"status": "SETTLING"}, True, id="settling"),
        pytest.param("AUSDT", {"status": "CLOSE"}, True, id="closed"),
        pytest.param("AUSDT", {"status": "NOT_LISTED"}, True, id="not listed any more"),
        pytest.param("AUSDTSETTLED", {}, True, id="renamed"),
    ],
)
@pytest.mark.parametrize("has_later_file", [False, True])
def test_what_settled_later_than_as_of_had_not_ended(
    symbol, entry, expected, *, has_later_file
):
    last = AS_OF + DAY if has_later_file else AS_OF

    assert ended(symbol, last=last, **entry) is (expected and not has_later_file)


@pytest.mark.parametrize(
    ("market", "known_on", "expected"),
    [
        pytest.param(UM, AS_OF + DAY, True, id="recorded after its last file"),
        pytest.param(UM, AS_OF, False, id="its last file is younger"),
        pytest.param(UM, None, False, id="recorded nobody knows when"),
        pytest.param(TradeType.SPOT, AS_OF + DAY, False, id="spot"),
    ],
)
def test_a_contract_that_the_exchange_shows_no_more_has_ended(
    market, known_on, expected
):
    listing_period = ListingPeriod(dt.date(2020, 1, 1), AS_OF)
    known = {"OTHERUSDT": {"status": "TRADING"}}
    options = {
        "trade_type": market,
        "listing_period": listing_period,
        "as_of": AS_OF,
        "known": known,
    }

    assert has_ended("AUSDT", known_on=known_on, **options) is expected
    assert not has_ended("OTHERUSDT", known_on=known_on, **options)


@pytest.mark.parametrize(
    ("symbol", "delivered"),
    [("AUSDT_240329", None), ("AUSDT", at("2024-03-29T09:00Z"))],
    ids=["by its name", "by exchangeInfo"],
)
@pytest.mark.parametrize(("days", "expected"), [(-1, False), (0, True), (1, True)])
def test_a_contract_ends_on_its_delivery_date(symbol, delivered, days, expected):
    as_of = AS_OF + days * DAY

    # The month's zip covers days after the delivery.
    assert (
        ended(symbol, last=dt.date(2024, 3, 31), as_of=as_of, delivery_time=delivered)
        is expected
    )


SETTLED = at("2025-01-31T09:00Z")
AGAIN = at("2025-12-23T17:30Z")


@pytest.mark.parametrize(
    ("symbol", "as_of", "expected"),
    [
        pytest.param("LITUSDT", "2025-01-30", False, id="the day before"),
        pytest.param("LITUSDT", "2025-01-31", True, id="settled (#495)"),
        pytest.param("LITUSDT", "2025-12-22", True, id="not yet listed again"),
        pytest.param("LITUSDT", "2025-12-23", False, id="listed again"),
        pytest.param("FTMUSDT", "2025-01-06", True, id="bars go on (#500)"),
        pytest.param("MATICUSDT", "2024-09-04", True, id="MATIC (#500)"),
        pytest.param("RNDRUSDT", "2024-07-16", True, id="RNDR (#500)"),
        pytest.param("GALUSDT", "2024-07-11", True, id="traded at the end (#497)"),
        pytest.param("FTMUSDT", "2026-07-04", True, id="the day of the table"),
        pytest.param("FTMUSDT", "2026-07-05", False, id="later, as far as it knows"),
    ],
)
def test_a_settlement_of_the_table_is_known_without_listing_and_exchange(
    symbol, as_of, expected
):
    day = dt.date.fromisoformat(as_of)

    # The archive publishes bars without trades of settled contracts for years.
    for last in (None, day, dt.date(2026, 9, 1)):
        assert ended(symbol, last=last, as_of=day) is expected
    market = TradeType.SPOT
    assert not has_ended(
        symbol, trade_type=market, listing_period=None, as_of=day, known=None
    )


@pytest.mark.parametrize(
    ("symbol", "as_of", "entry", "expected"),
    [
        pytest.param("LITUSDT", "2025-01-30", {}, (), id="nothing yet"),
        pytest.param("LITUSDT", "2026-01-30", {}, ((SETTLED, AGAIN),), id="table"),
        pytest.param(
            "AUSDT",
            "2026-01-30",
            {"delivery_time": SETTLED},
            ((SETTLED, None),),
            id="exchangeInfo",
        ),
        pytest.param(
            "AUSDT_250926",
            "2026-01-30",
            {},
            ((at("2025-09-26T08:00Z"), None),),
            id="name",
        ),
        pytest.param("AUSDTSETTLED", "2026-01-30", {}, (), id="a name without a date"),
        pytest.param(
            "OMGUSDT",
            "2026-10-01",
            {},
            ((SETTLED, at("2026-07-05T00:00Z")),),
            id="what the table does not know",
        ),
    ],
)
def test_when_a_contract_was_not_listed(symbol, as_of, entry, expected):
    day = dt.date.fromisoformat(as_of)

    found = unlisted(symbol, trade_type=UM, as_of=day, known={symbol: entry})

    assert found == expected
