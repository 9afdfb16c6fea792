import json
import tracemalloc

import pytest

from bhds.api.json_bodies import JsonError, read_json
from bhds.io.http import MIB

MOST = 16 * MIB


@pytest.mark.parametrize(
    "value", [[], {}, [{"a": 1}, {"a": "币"}], -0.5e-8, 2**63, None, "\u2028"]
)
def test_json_is_read(value):
    assert read_json(json.dumps(value).encode()) == value


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        pytest.param(b"", "Expecting value", id="empty"),
        pytest.param(b"\xff", "utf-8", id="no UTF-8"),
        pytest.param(b"[NaN]", "NaN is no JSON", id="NaN"),
        pytest.param(b"[-Infinity]", "-Infinity is no JSON", id="infinite"),
        pytest.param(b"[" * 100_000, "nested too deeply", id="deep"),
        pytest.param(b'{"a":' * 100_000, "nested too deeply", id="deep objects"),
        pytest.param(b"9" * 10**6, r"999\.\.\. has 1,000,000 characters", id="digits"),
        pytest.param(b"0." + b"9" * 10**6, "has 1,000,002 characters", id="fraction"),
        pytest.param(b'{"a":1,"b":2,"a":3}', "'a' is there more than", id="twice"),
        pytest.param(
            b'{"' + b"a" * 10**6 + b'":1,"' + b"a" * 10**6 + b'":2}',
            r"aaa\.\.\.' is there more",
            id="long name twice",
        ),
    ],
)
def test_what_is_no_json_is_refused_in_one_short_line(body, reason):
    with pytest.raises(JsonError, match=reason) as refused:
        read_json(body)

    assert len(str(refused.value)) < 300


@pytest.mark.parametrize("unit", [b"[],", b"{},", b'{"a":1},', b"1,", b'"ab",'])
def test_a_body_of_many_values_takes_no_gigabyte(unit):
    body = b"[" + unit * (MOST // len(unit)) + b"1]"
    tracemalloc.start()
    try:
        with pytest.raises(JsonError, match="more than 3,000,000 values"):
            read_json(body)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < MIB
