"""Plotly figures."""

import datetime as dt

import polars as pl
import pytest

from bhds.report import bar_sources, figures, gaps, pictures
from bhds.report.pictures import Picture
from bhds.schemas import quality_tables

from .conftest import START, day_rows, gap_row, of_series, result_of

MINUTE = dt.timedelta(minutes=1)


def picture_of(bars, *, begin, minutes, name="halt"):
    first = START + begin * MINUTE
    marked = pl.DataFrame(
        {"class": [name], "begin": [first], "end": [first + minutes * MINUTE]}
    )
    return Picture("spot", "klines 1m", "AUSDT", pictures.windows_of(bars), marked, 1)


def trace_named(figure, name):
    (trace,) = [each for each in figure.plot["data"] if each.get("name") == name]
    return trace


def test_gaps_are_stacked_by_class_in_their_colours():
    rows = [
        gap_row("A", begin=0, minutes=5, name="halt"),
        gap_row("A", begin=9, minutes=5, name="missing_file"),
    ]
    found = of_series(rows, quality_tables.CLASSIFIED_GAPS)

    figure = figures.gaps_by_month(gaps.by_month(found))

    drawn = [(t["name"], t["marker"]["color"], t["y"]) for t in figure.plot["data"]]
    assert drawn == [
        ("missing file", gaps.CLASSES["missing_file"][0], [1]),
        ("halt", gaps.CLASSES["halt"][0], [1]),
    ]
    assert figure.plot["layout"]["barmode"] == "stack"
    assert figure.title == "Gaps that begin in each month, by class (klines 1m)"


def test_months_without_a_bar_have_no_bars():
    days = day_rows("A", conditions=["missing"] * 3)
    frame = of_series(days, quality_tables.CONDITION)

    figure = figures.sources_by_month(bar_sources.by_month(frame))

    assert figure.plot["data"] == []


def test_a_gap_is_marked_from_its_beginning_to_its_end():
    picture = picture_of(result_of(), begin=1440, minutes=2880)

    mark = trace_named(figures.price_and_volume(picture), "halt (1)")

    assert (mark["x"][0], mark["x"][2]) == ("2025-01-31 00:00", "2025-02-02 00:00")
    assert mark["fillcolor"] == gaps.CLASSES["halt"][0]
    assert mark["yaxis"] == "y3"  # prices do not stretch it


def test_the_mark_of_a_short_gap_is_wide_enough_to_be_seen():
    picture = picture_of(result_of(), begin=1440, minutes=1)

    mark = trace_named(figures.price_and_volume(picture), "halt (1)")

    assert mark["x"][2] == "2025-01-31 00:34"  # 0.4 % of six days


def test_the_band_of_prices_breaks_where_nothing_was_published():
    picture = picture_of(result_of(missing=range(1440, 2880)), begin=1440, minutes=1440)

    figure = figures.price_and_volume(picture)

    assert trace_named(figure, "low to high")["x"].count(None) == 2
    assert trace_named(figure, "close")["y"].count(None) == 130


@pytest.mark.parametrize(("factor", "scale"), [(1, "linear"), (10, "log")])
def test_prices_that_differ_much_are_drawn_by_logarithm(factor, scale):
    late = pl.col("open_time") > START + dt.timedelta(days=3)
    price = pl.col("close", "high", "low")
    bars = result_of().with_columns(pl.when(late).then(price * factor).otherwise(price))

    figure = figures.price_and_volume(picture_of(bars, begin=0, minutes=1))

    assert figure.plot["layout"]["yaxis"]["type"] == scale
