import pytest

from bhds.core.errors import ConfigError
from bhds.sandbox.faults import Faults, Manner

KLINES, TIME = "um_futures/klines", "spot/time"


@pytest.fixture
def faults():
    return Faults({KLINES, TIME})


def manners(faults, endpoint, count):
    taken = [faults.take(endpoint) for _ in range(count)]
    return [fault and fault.manner for fault in taken]


def test_a_fault_happens_as_often_as_was_asked_for(faults):
    faults.stall(times=2)
    faults.cut_off()

    assert manners(faults, TIME, 4) == [
        *[Manner.STALL] * 2,
        Manner.CUT_OFF,
        None,
    ]
    assert faults.served == 3
    assert faults.planned() == []


def test_a_fault_may_be_of_one_endpoint(faults):
    faults.halve(endpoint=KLINES)

    assert manners(faults, TIME, 1) == [None]
    assert manners(faults, KLINES, 2) == [Manner.HALVE, None]


def test_a_fault_may_go_on_until_it_is_cleared(faults):
    faults.refuse(503, times=None)
    assert manners(faults, TIME, 50) == [Manner.REFUSE] * 50
    assert len(faults.planned()) == 1

    faults.clear()

    assert manners(faults, TIME, 1) == [None]


@pytest.mark.parametrize(
    ("status", "given", "told"),
    [(429, None, 1), (418, None, 120), (429, 7, 7), (503, None, None), (503, 3, 3)],
)
def test_when_to_come_back_is_told_where_it_is_usual(faults, status, given, told):
    faults.refuse(status, retry_after_s=given)

    assert faults.take(TIME).retry_after_s == told


@pytest.mark.parametrize(
    ("status", "is_free"), [(403, True), (429, True), (500, False)]
)
def test_what_never_gets_to_the_exchange_is_free(faults, status, is_free):
    faults.refuse(status)

    assert faults.take(TIME).is_free is is_free


def test_what_makes_no_sense_is_refused(faults):
    with pytest.raises(ConfigError, match="status 200: expected"):
        faults.refuse(200)
    with pytest.raises(ConfigError, match="times 0: expected"):
        faults.stall(times=0)
    with pytest.raises(ConfigError, match="endpoint 'klines': expected"):
        faults.stall(endpoint="klines")
    for seconds in (-1, float("inf"), float("nan")):
        with pytest.raises(ConfigError, match="latency_s"):
            faults.latency_s = seconds
    assert faults.planned() == []
