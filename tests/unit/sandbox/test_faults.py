import pytest

from bhds.core.errors import ConfigError
from bhds.sandbox.faults import Failure, Faults

from .conftest import file_url, get

KLINES, TIME = "um_futures/klines", "spot/time"
KEY = "data/futures/um/daily/klines/币安人生USDT/1m/币安人生USDT-1m-2025-01-01.zip"


@pytest.fixture
def faults():
    return Faults({KLINES, TIME})


def failures(faults, endpoint, count):
    taken = [faults.take(endpoint) for _ in range(count)]
    return [fault and fault.how for fault in taken]


def test_a_fault_happens_as_often_as_was_asked_for(faults):
    faults.add("stall", times=2)
    faults.add("cut_off")

    assert failures(faults, TIME, 4) == [
        *[Failure.STALL] * 2,
        Failure.CUT_OFF,
        None,
    ]
    assert faults.served == 3
    assert faults.planned() == []


def test_a_fault_may_be_of_one_endpoint(faults):
    faults.add("halve", target=KLINES)

    assert failures(faults, TIME, 1) == [None]
    assert failures(faults, KLINES, 2) == [Failure.HALVE, None]


def test_a_fault_may_go_on_until_it_is_cleared(faults):
    faults.add("refuse", status=503, times=None)
    assert failures(faults, TIME, 50) == [Failure.REFUSE] * 50
    assert len(faults.planned()) == 1

    faults.clear()

    assert failures(faults, TIME, 1) == [None]


@pytest.mark.parametrize(
    ("status", "given", "told"),
    [(429, None, 1), (418, None, 120), (429, 7, 7), (503, None, None), (503, 3, 3)],
)
def test_when_to_come_back_is_told_where_it_is_usual(faults, status, given, told):
    faults.add("refuse", status=status, retry_after_s=given)

    assert faults.take(TIME).retry_after_s == told


@pytest.mark.parametrize(
    ("status", "is_free"), [(403, True), (429, True), (500, False)]
)
def test_what_never_gets_to_the_exchange_is_free(faults, status, is_free):
    faults.add("refuse", status=status)

    assert faults.take(TIME).is_free is is_free


def test_what_makes_no_sense_is_refused(faults):
    with pytest.raises(ConfigError, match="status 200: expected"):
        faults.add("refuse", status=200)
    with pytest.raises(ConfigError, match="times 0: expected"):
        faults.add("stall", times=0)
    with pytest.raises(ConfigError, match="target 'klines': expected"):
        faults.add("stall", target="klines")
    for seconds in (-1, float("inf"), float("nan")):
        with pytest.raises(ConfigError, match="latency_s"):
            faults.latency_s = seconds
    assert faults.planned() == []


def download(exchange, key=KEY):
    return get(exchange, file_url(key), allow_redirects=False)


@pytest.mark.parametrize(
    ("how", "is_so"),
    [
        (Failure.PAGE, lambda body, _: body.startswith(b"<!DOCTYPE html>")),
        (Failure.PAD, lambda body, sound: body == sound + bytes(100)),
        (
            Failure.FLIP,
            lambda body, sound: (
                sum(map(int.__ne__, body, sound)) == 1 and len(body) == len(sound)
            ),
        ),
    ],
)
def test_other_bytes_come_as_often_as_asked_for(exchange, how, is_so):
    _, _, sound = download(exchange)
    exchange.download_faults.add(how, times=2)

    answers = [download(exchange) for _ in range(3)]

    assert [status for status, *_ in answers] == [200] * 3
    assert [is_so(body, sound) for *_, body in answers] == [True, True, False]
    assert answers[2][2] == sound


def test_a_redirect_leads_to_another_host(exchange):
    exchange.download_faults.add(Failure.REDIRECT)

    status, headers, _ = download(exchange)

    assert status == 302
    assert headers["Location"].startswith("http://localhost:")


def test_one_file_is_refused_as_by_s3(exchange):
    exchange.download_faults.add("refuse", target=KEY)
    exchange.download_faults.add("stall", target=f"{KEY}.CHECKSUM")

    status, _, body = download(exchange)

    assert status == 503
    assert b"<Code>SlowDown</Code>" in body
    assert download(exchange)[0] == 200


def test_listings_are_refused_as_by_s3(exchange):
    codes = {403: b"AccessDenied", 503: b"SlowDown", 500: b"InternalError"}
    for status in codes:
        exchange.listing_faults.add("refuse", status=status)

    for expected, code in codes.items():
        status, _, body = get(exchange, lambda e: e.archive_listing)
        assert (status, code in body) == (expected, True)
    assert exchange.listing_faults.planned() == []
