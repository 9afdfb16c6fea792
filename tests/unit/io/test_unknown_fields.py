import pytest

from bhds.io import unknown_fields
from bhds.parse.csv_reader import unknown_columns


@pytest.fixture
def warned(tmp_path, caplog):
    def names(where, *fields):
        caplog.clear()
        unknown_fields.warn_once(tmp_path, where, fields)
        return [record.args[1] for record in caplog.records]

    return names


def test_each_field_is_warned_of_once_a_run(warned, tmp_path):
    assert warned("um klines", "b", "a/../c") == ["a/../c", "b"]
    assert warned("um klines", "b", "new") == ["new"]
    assert warned("cm klines", "b") == ["b"]

    unknown_fields.forget(tmp_path)

    assert warned("um klines", "b") == ["b"]


def test_columns_and_words_are_named_as_in_the_file():
    warnings = [
        "column unknown:trade_status is ignored",
        "rate_type 'Newer' is no known word",
        "the CSV has no rows",
    ]

    assert unknown_columns(warnings) == {"trade_status", "rate_type 'Newer'"}
