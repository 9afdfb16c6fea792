"""Plotly figures; the page colours text and grid."""

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go
import polars as pl
from plotly.subplots import make_subplots

from bhds.report.bar_sources import SOURCES
from bhds.report.blocks import Figure
from bhds.report.gaps import CLASSES
from bhds.report.inputs import of_first_series
from bhds.report.pictures import Picture

_PRICE = "#3f7fb5"
_LOG_FROM = 8
"""Ratio of highest to lowest price above which the scale is logarithmic."""
_MONTH = dt.timedelta(days=30)
_MONTHS = 12
"""Minimum number of months on the axis."""
_NARROWEST = 0.004
"""Minimum width of the mark of a gap, as a share of the time axis."""


def gaps_by_month(months: pl.DataFrame) -> Figure:
    """Draw how many gaps of each class begin in each month: `gaps.by_month`.

    Only the first series of each market is drawn.
    """
    drawn = of_first_series(months).sort("class", maintain_order=True)
    colours = {name: colour for name, (colour, _) in CLASSES.items()}
    bars = [
        _bars(part, "gaps", name=str(name), colour=colours[str(name)], market=market)
        for (name, market), part in _parts(drawn, "class", "market")
    ]
    return Figure(
        name="gaps-by-month",
        title=f"Gaps that begin in each month, by class ({_series(drawn)})",
        description="Stacked bars, one per month: the number of gaps of each class. "
        "The tables below list the gaps.",
        plot=_plot(bars, title="gaps"),
    )


def sources_by_month(months: pl.DataFrame) -> Figure:
    """Draw how many bars of each month are of which source: `bar_sources.by_month`.

    Only the first series of klines of each market is drawn.
    """
    is_bars = pl.col("series").cast(pl.String).str.starts_with("klines ")
    drawn = of_first_series(months.filter(is_bars))
    bars = [
        _bars(part, source, name=source, colour=colour, market=market)
        for source, colour in SOURCES.items()
        for (market,), part in _parts(drawn, "market")
        if part[source].sum()
    ]
    return Figure(
        name="sources-by-month",
        title=f"Bars of each month by source ({_series(drawn)})",
        description="Stacked bars, one per month: the number of bars of each source. "
        "A click on a source in the legend hides it. The table below has the sums.",
        plot=_plot(bars, title="bars"),
    )


def price_and_volume(picture: Picture) -> Figure:
    """Draw the price and, beneath, the volume of a symbol, with its gaps marked."""
    windows = picture.windows
    times = _texts(windows["open_time"])
    figure = make_subplots(
        rows=2, shared_xaxes=True, vertical_spacing=0.06, row_heights=[0.72, 0.28]
    )
    figure.add_traces(_gap_marks(picture))  # on an axis of their own
    for trace in _price_lines(windows, times):
        figure.add_trace(trace, row=1, col=1)
    figure.add_trace(_volumes(windows, times), row=2, col=1)
    low, high = windows.select(pl.col("low").min(), pl.col("high").max()).row(0)
    scale = "log" if low and high / low > _LOG_FROM else "linear"
    figure.update_yaxes(type=scale, title_text="price", row=1, col=1)
    figure.update_yaxes(title_text="volume", row=2, col=1)
    figure.update_xaxes(range=[times[0], times[-1]])
    marks_axis = {"overlaying": "y", "range": [0, 1], "visible": False}
    figure.update_layout(yaxis3=marks_axis, bargap=0, hovermode="x")
    shown, count = picture.gaps.height, picture.gaps_in_all
    marked = (
        f"all {shown:,}" if shown == count else f"the {shown:,} longest of {count:,}"
    )
    return Figure(
        name=f"picture-{picture.market}-{picture.symbol}",
        title=f"{picture.symbol} · {picture.market} · {picture.series}",
        description=f"Price and volume of {picture.symbol}, from {times[0]} to "
        f"{times[-1]}, with gaps marked by class: {marked}.",
        plot=_as_json(figure),
        market=picture.market,
        symbol=picture.symbol,
    )


def _volumes(windows: pl.DataFrame, times: Sequence[str]) -> go.Bar:
    return go.Bar(
        x=times,
        y=_numbers(windows["volume"]),
        name="volume",
        marker={"color": _PRICE, "line": {"width": 0}},
        showlegend=False,
        hovertemplate="%{y:.4s}<extra>volume</extra>",
    )


def _price_lines(windows: pl.DataFrame, times: Sequence[str]) -> list[go.Scatter]:
    """Draw the closes as a line, and the range from low to high as a band."""
    band_x, band_y = _band(windows, times)
    return [
        go.Scatter(
            x=band_x,
            y=band_y,
            mode="lines",
            line={"width": 0},
            fill="toself",
            fillcolor="rgba(63,127,181,0.25)",
            name="low to high",
            hoverinfo="skip",
            showlegend=False,
        ),
        go.Scatter(
            x=times,
            y=_numbers(windows["close"]),
            mode="lines",
            name="close",
            line={"color": _PRICE, "width": 1.3},
            showlegend=False,
            hovertemplate="%{y:.6~g}<extra>close</extra>",
        ),
    ]


def _band(
    windows: pl.DataFrame, times: Sequence[str]
) -> tuple[list[str | None], list[float | int | None]]:
    """Outline the areas between lows and highs, one per run of windows with prices."""
    x: list[str | None] = []
    y: list[float | int | None] = []
    lows, highs = _numbers(windows["low"]), _numbers(windows["high"])
    runs = windows["low"].is_null().rle().struct.unnest()
    begin = 0
    for length, is_empty in runs.select("len", "value").iter_rows():
        end = begin + length
        if not is_empty:
            around = [*range(begin, end), *reversed(range(begin, end))]
            x += [*(times[number] for number in around), None]
            y += [*highs[begin:end], *reversed(lows[begin:end]), None]
        begin = end
    return x, y


def _gap_marks(picture: Picture) -> list[go.Scatter]:
    """Draw the gaps of each class as areas over the whole height."""
    times = picture.windows["open_time"]
    narrowest = (times[-1] - times[0]) * _NARROWEST
    marks = []
    for (name,), gaps in _parts(picture.gaps, "class"):
        x: list[str | None] = []
        y: list[int | None] = []
        for begin, end in gaps.select("begin", "end").iter_rows():
            right = max(end, begin + narrowest)
            x += [*(f"{t:%Y-%m-%d %H:%M}" for t in (begin, begin, right, right)), None]
            y += [0, 1, 1, 0, None]
        colour = CLASSES[str(name)][0]
        marks.append(
            go.Scatter(
                x=x,
                y=y,
                xaxis="x",
                yaxis="y3",
                mode="lines",
                fill="toself",
                fillcolor=colour,
                opacity=0.45,
                line={"width": 0.8, "color": colour},
                name=f"{name} ({gaps.height:,})",
                hoverinfo="skip",
            )
        )
    return marks


def _bars(
    rows: pl.DataFrame, column: str, *, name: str, colour: str, market: str
) -> go.Bar:
    """Draw one layer of the stacks; `meta` is for the market filter of the page."""
    return go.Bar(
        x=_texts(rows["month"]),
        y=_numbers(rows[column]),
        name=name.replace("_", " "),
        legendgroup=name,
        meta={"market": market},
        marker={"color": colour, "line": {"width": 0}},
        hovertemplate="%{y:,}<extra>" + f"{market}: {name}" + "</extra>",
    )


def _plot(traces: Sequence[go.Bar], *, title: str) -> dict[str, Any]:
    """Stack bars, one per month, of a fixed width."""
    figure = go.Figure(traces)
    figure.update_layout(barmode="stack", bargap=0.2, hovermode="x unified")
    figure.update_yaxes(title_text=title, rangemode="tozero", tickformat=",~d")
    dates = [dt.date.fromisoformat(x) for trace in traces for x in trace.x]
    last = max(dates, default=dt.date(2020, 1, 1))
    shown = max(last - min(dates, default=last) + _MONTH, _MONTH * _MONTHS)
    figure.update_xaxes(
        type="date", range=[last - shown + _MONTH / 2, last + _MONTH / 2]
    )
    figure.update_traces(width=_MONTH / dt.timedelta(milliseconds=1) * 0.8)
    return _as_json(figure)


def _as_json(figure: go.Figure) -> dict[str, Any]:
    """Return data and layout as plain values, without Plotly's own template."""
    figure.update_layout(template=go.layout.Template())
    plain: dict[str, Any] = json.loads(figure.to_json())
    return plain


def _series(rows: pl.DataFrame) -> str:
    return ", ".join(rows["series"].unique().sort())


def _parts(
    rows: pl.DataFrame, *columns: str
) -> list[tuple[tuple[Any, ...], pl.DataFrame]]:
    found: Mapping[tuple[Any, ...], pl.DataFrame] = rows.partition_by(
        columns, as_dict=True, maintain_order=True
    )
    return list(found.items())


def _texts(times: pl.Series) -> list[str]:
    pattern = "%Y-%m-%d" if times.dtype == pl.Date else "%Y-%m-%d %H:%M"
    return times.dt.to_string(pattern).to_list()


def _numbers(values: pl.Series) -> list[float | int | None]:
    """Return numbers with the digits that are visible."""
    if values.dtype.is_float():
        values = values.round_sig_figs(7)
    return values.to_list()
