"""The names of resample rules, and the bars that they can be made from."""

import datetime as dt

import pytest

from bhds.core.errors import ConfigError
from bhds.core.markets import Interval
from bhds.core.resample_rule import ResampleRule


@pytest.mark.parametrize(
    ("name", "interval", "offset_s"),
    [
        ("1h", "1h", 0),
        ("3d", "3d", 0),
        ("1mo", "1mo", 0),
        ("5m_90s", "5m", 90),
        ("2h_90m", "2h", 90 * 60),
        ("1w_2h", "1w", 120 * 60),
        ("1w_1d", "1w", 24 * 60 * 60),
    ],
)
def test_an_offset_is_named_in_the_largest_unit_that_fits(name, interval, offset_s):
    rule = ResampleRule(Interval.parse(interval), dt.timedelta(seconds=offset_s))

    assert rule.name == name
    assert ResampleRule.parse(name) == rule


@pytest.mark.parametrize(
    ("spelling", "name"),
    [("4h_60m", "4h_1h"), ("1h_300s", "1h_5m"), ("1w_48h", "1w_2d")],
)
def test_an_offset_may_be_in_any_unit(spelling, name):
    assert ResampleRule.parse(spelling) == ResampleRule.parse(name)
    assert ResampleRule.parse(spelling).name == name


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("1x", "interval '1x': expected a number of at most 5 digits"),
        ("1h_", "interval '': expected"),
        ("1h_0m", "interval '0m': expected"),
        ("1h_5m_5m", "interval '5m_5m': expected"),
        ("1h_60m", "offset 1:00:00 must be whole seconds and shorter"),
        ("1mo_1d", "offset 1 day, 0:00:00 must be .*none for months"),
        ("1h_1mo", "an offset cannot be in months"),
    ],
)
def test_a_rule_that_cannot_be_is_refused(name, message):
    with pytest.raises(ConfigError, match=message):
        ResampleRule.parse(name)


@pytest.mark.parametrize("offset_s", [-60, 1.5])
def test_an_offset_is_a_positive_number_of_whole_seconds(offset_s):
    with pytest.raises(ConfigError, match="must be whole seconds"):
        ResampleRule(Interval.parse("1h"), dt.timedelta(seconds=offset_s))


@pytest.mark.parametrize(
    ("rule", "base", "fits"),
    [
        ("1m", "1m", True),
        ("1h_5m", "1m", True),
        ("1w", "1d", True),
        ("1mo", "1d", True),
        *(("3d", base, True) for base in ("1m", "8h", "1d", "3d")),
        *(("3d_1d", base, True) for base in ("1m", "8h", "1d")),
        pytest.param("90s", "1m", False, id="interval is no multiple"),
        pytest.param("1h_90s", "1m", False, id="offset is no multiple"),
        pytest.param("1m", "5m", False, id="shorter than the base"),
        pytest.param("1w", "3d", False, id="weeks of 3d"),
        pytest.param("6d", "3d", False, id="other anchor"),
        pytest.param("1mo", "1w", False, id="months of weeks"),
        pytest.param("1mo", "1mo", False, id="months of months"),
    ],
)
def test_bars_are_made_of_bars_that_fill_them(rule, base, fits):
    parsed, interval = ResampleRule.parse(rule), Interval.parse(base)

    if fits:
        parsed.check_base(interval)
    else:
        with pytest.raises(ConfigError, match=f"must be multiples of {base}"):
            parsed.check_base(interval)
