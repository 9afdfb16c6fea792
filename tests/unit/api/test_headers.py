import pytest

from bhds.api import headers
from bhds.api.limits import LONGEST_PAUSE_S

DATE = "Mon, 10 Feb 2025 12:00:00 GMT"
LATER = "Mon, 10 Feb 2025 12:01:30 GMT"


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({}, 60),
        ({"Retry-After": ""}, 60),
        ({"Retry-After": "0"}, 0),
        ({"Retry-After": " 7 "}, 7),
        ({"Retry-After": LATER, "Date": DATE}, 90),
        ({"Retry-After": DATE, "Date": LATER}, 0),
        ({"Retry-After": DATE}, 0),
    ],
)
def test_a_pause_is_read(caplog, told, expected):
    assert headers.pause_s(told, default_s=60) == expected
    assert caplog.messages == []


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ("259201", LONGEST_PAUSE_S),
        ("1" + "0" * 16, LONGEST_PAUSE_S),
        ("9" * 5_000, LONGEST_PAUSE_S),
        ("Fri, 31 Dec 9999 23:59:59 GMT", LONGEST_PAUSE_S),
        ("-1", 60),
        ("1e9", 60),
        ("nan", 60),
        ("²", 60),
        ("soon", 60),
        ("Fri, 31 Dec 99999 23:59:59 GMT", 60),
    ],
)
def test_a_pause_out_of_bounds_is_named_and_bounded(caplog, told, expected):
    found = headers.pause_s({"Retry-After": told, "Date": DATE}, default_s=60)

    assert found == expected
    (line,) = caplog.messages
    assert line.startswith(f"API: the header Retry-After is '{told[:40]}")
    assert len(line) < 150


@pytest.mark.parametrize(
    ("told", "expected"),
    [(None, None), ("", None), ("0" * 5_000 + "7", 7), ("1000000", 1_000_000)],
)
def test_the_used_weight_is_read(caplog, told, expected):
    sent = {} if told is None else {"X-MBX-USED-WEIGHT-1M": told}

    assert headers.used_weight(sent) == expected
    assert caplog.messages == []


@pytest.mark.parametrize("told", ["1000001", "9" * 23, "9" * 5_000, "-1", "many", "²"])
def test_a_used_weight_that_no_server_counts_to_is_ignored(caplog, told):
    assert headers.used_weight({"X-MBX-USED-WEIGHT-1M": told}) is None

    (line,) = caplog.messages
    assert line.startswith(f"API: the header X-MBX-USED-WEIGHT-1M is '{told[:40]}")
    assert line.endswith("it is ignored")
