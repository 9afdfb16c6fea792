"""Whether rows are in the order of their key."""

import polars as pl
import pytest

from bhds.parse.order import ascends, descents


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        pytest.param([], (True, 0), id="none"),
        pytest.param([(1, 1)], (True, 0), id="one"),
        pytest.param([(1, 1), (1, 2), (2, 0)], (True, 0), id="ascending"),
        pytest.param([(1, 1), (1, 1)], (False, 0), id="equal"),
        pytest.param([(1, 2), (1, 1), (2, 1)], (False, 1), id="second column falls"),
        pytest.param([(3, 0), (2, 1), (2, 2), (1, 9)], (False, 2), id="first falls"),
    ],
)
def test_order_of_rows_is_that_of_their_keys(rows, expected):
    keys = pl.DataFrame(rows, schema={"a": pl.Int64, "b": pl.Int64}, orient="row")

    assert (ascends(keys, key=["a", "b"]), descents(keys, key=["a", "b"])) == expected
