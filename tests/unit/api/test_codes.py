"""The table of the API's error codes."""

import csv
from importlib import resources

import pytest

from bhds.api.codes import ApiRefusal, CodeKind, kind_of, refusal_of


def test_the_table_has_each_code_once_with_its_source():
    table = resources.files("bhds").joinpath("data", "api_errors.csv").read_text()
    rows = list(csv.DictReader(table.splitlines()))

    codes = [int(row["code"]) for row in rows]
    assert codes == sorted(set(codes), reverse=True)
    assert all(row["name"] and row["source"] for row in rows)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (-1121, CodeKind.SYMBOL),
        (-1122, CodeKind.SYMBOL),
        (-1100, CodeKind.REQUEST),
        (-1003, CodeKind.TEMPORARY),
        (-9999, None),
    ],
)
def test_a_code_is_of_a_kind_or_not_documented(code, kind):
    assert kind_of(code) is kind
    assert ApiRefusal(code, "").is_documented is (kind is not None)


def test_a_refusal_is_an_object_with_code_and_message():
    assert refusal_of({"code": -1, "msg": "No."}) == ApiRefusal(-1, "No.")
    assert refusal_of({"code": -1, "msg": None}) is None
    assert refusal_of([-1, "No."]) is None
