"""Which base bars a resampled bar was built from."""

import datetime as dt

import pytest

from bhds.core.errors import ConfigError, ResultError, SelectionError
from bhds.explanation import explain_longer

SYMBOL = "龙虾USDT"


def at(text):
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


@pytest.fixture
def built(data, hours):
    rows = hours("2025-03-01", 24)
    rows[5] = (rows[5][0], 130.0, 7)
    rows[6] = (rows[6][0], 70.0, 7)
    data.publish("2025-03-01", [*rows[:9], *rows[11:]])
    data.build()
    data.resample("4h")
    data.resample("4h_1h")
    return data


def explained(data, time, *, rule="4h", symbol=SYMBOL):
    return explain_longer(
        data.root, trade_type="um_futures", rule=rule, symbol=symbol, time=at(time)
    )


def test_the_base_bars_and_those_that_set_the_prices_are_told(built, as_json):
    found = explained(built, "2025-03-01T06:30")

    assert (found.open_time, found.end) == (at("2025-03-01T04"), at("2025-03-01T08"))
    assert (found.base_interval, found.base_bars) == ("1h", 4)
    assert found.sources == {"daily": 4}
    assert found.set_by == {
        "open": at("2025-03-01T04"),
        "high": at("2025-03-01T05"),
        "low": at("2025-03-01T06"),
        "close": at("2025-03-01T07"),
    }
    assert (found.bar["high"], found.bar["low"]) == (131.0, 69.0)
    assert as_json(found)["bar"]["segment"] == 0


@pytest.mark.parametrize("rule", ["4h_1h", "4h_60m"])
def test_an_offset_shifts_the_window(built, rule):
    found = explained(built, "2025-03-01T04:30", rule=rule)

    assert found.open_time == at("2025-03-01T01")


def test_the_window_of_a_3d_bar_is_counted_from_the_phase_of_the_file(data, hours):
    data.publish("2025-03", hours("2025-03-02", 24 * 7))
    data.build()
    data.resample("3d")

    found = explained(data, "2025-03-05T06:30", rule="3d")

    assert found.open_time == found.bar["open_time"] == at("2025-03-05")
    assert found.base_bars == 72


def test_filled_base_bars_are_counted(built):
    assert explained(built, "2025-03-01T09:00").sources == {"daily": 2, "filled": 2}


def test_a_window_that_no_segment_covers_has_no_bar(built):
    found = explained(built, "2025-03-01T22:00", rule="4h_1h")

    assert found.bar is None
    assert found.base_bars == 3
    assert "no segment covers the window whole" in found.summary


def test_a_time_without_base_bars_is_told(built):
    found = explained(built, "2025-06-01")

    assert (found.bar, found.base_bars) == (None, 0)
    assert set(found.set_by.values()) == {None}


def test_an_unknown_symbol_or_rule_is_refused(built):
    with pytest.raises(SelectionError, match=f"did you mean '{SYMBOL}'"):
        explained(built, "2025-03-01", symbol="龙虾USDC")
    with pytest.raises(ConfigError, match=r"'4x'"):
        explained(built, "2025-03-01", rule="4x")


def test_a_file_whose_result_was_built_anew_is_told(built, hours):
    built.publish("2025-03-02", hours("2025-03-02", 24))
    built.build()

    with pytest.raises(ResultError, match="no longer exists"):
        explained(built, "2025-03-01")
