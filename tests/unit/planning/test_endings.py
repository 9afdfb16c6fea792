"""When it is known that a symbol has ended."""

import datetime as dt

import pytest

from bhds.markets import TradeType
from bhds.planning.endings import has_ended
from bhds.planning.fills import STAYS_OPEN, Life

UM = TradeType.UM_FUTURES
AS_OF = dt.date(2024, 3, 29)
DAY = dt.timedelta(days=1)


def ended(symbol="AUSDT", *, last=AS_OF, as_of=AS_OF, **entry):
    life = None if last is None else Life(dt.date(2020, 1, 1), last)
    known = {symbol: entry} if entry else None
    return has_ended(symbol, trade_type=UM, life=life, as_of=as_of, known=known)


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
    life = Life(dt.date(2020, 1, 1), AS_OF)
    known = {"OTHERUSDT": {"status": "TRADING"}}
    options = {"trade_type": market, "life": life, "as_of": AS_OF, "known": known}

    assert has_ended("AUSDT", known_on=known_on, **options) is expected
    assert not has_ended("OTHERUSDT", known_on=known_on, **options)


@pytest.mark.parametrize(
    ("symbol", "delivered"),
    [("AUSDT_240329", None), ("AUSDT", AS_OF)],
    ids=["by its name", "by exchangeInfo"],
)
@pytest.mark.parametrize(("days", "expected"), [(-1, False), (0, True), (1, True)])
def test_a_contract_ends_on_its_delivery_date(symbol, delivered, days, expected):
    as_of = AS_OF + days * DAY

    # The month's zip covers days after the delivery.
    assert (
        ended(symbol, last=dt.date(2024, 3, 31), as_of=as_of, delivery_date=delivered)
        is expected
    )
