"""Render sections as one self-contained HTML page."""

import datetime as dt
import json
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any

import plotly.offline
from jinja2 import Environment, StrictUndefined, Template

from bhds.core.version import __version__
from bhds.report.blocks import Figure, Heatmap, ReportTable, Section
from bhds.report.inputs import MARKET


def render(
    sections: Sequence[Section],
    *,
    symbols: Sequence[tuple[str, str]],
    as_of: dt.date,
) -> str:
    """Return the page: the same text for the same sections.

    Parameters
    ----------
    sections
        Sections in their order.
    symbols
        Market and symbol of each entry of the page's filter, sorted.
    as_of
        The last requested UTC day.

    Notes
    -----
    The page contains Plotly.js (4.8 MB) and DataTables (0.6 MB), and its content
    security policy forbids every request: it works offline, and never changes.
    """
    blocks = [block for section in sections for block in section.blocks]
    data = {
        "symbols": [list(each) for each in symbols],
        "tables": {b.name: _table(b) for b in blocks if isinstance(b, ReportTable)},
        "figures": {b.name: b.plot for b in blocks if isinstance(b, Figure)},
        "heatmaps": {b.name: _heatmap(b) for b in blocks if isinstance(b, Heatmap)},
    }
    named = {market for market, _ in symbols}
    return _template().render(
        sections=sections,
        markets=[market for market in MARKET.categories if market in named],
        data=_script_text(data),
        assets=assets(),
        as_of=as_of.isoformat(),
        version=__version__,
    )


def _table(table: ReportTable) -> dict[str, Any]:
    columns = [{"title": c.title, "kind": c.kind.value} for c in table.columns]
    return {"columns": columns, "rows": table.values()}


def _heatmap(heatmap: Heatmap) -> dict[str, Any]:
    return {"series": heatmap.series, "levels": heatmap.levels}


def _script_text(value: Any) -> str:
    """Write JSON that cannot end the script element that it stands in."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c")


@cache
def assets() -> dict[str, str]:
    """Return the styles and scripts of every page, by name.

    Those of Plotly.js and DataTables are from their packages; `css` and `js` are our
    own.
    """
    own = files("bhds.report") / "assets"
    bundle = files("itables") / "html"
    return {
        "css": (own / "page.css").read_text(encoding="utf-8"),
        "js": (own / "page.js").read_text(encoding="utf-8"),
        "tables_css": (bundle / "dt_bundle.css").read_text(encoding="utf-8"),
        "tables_js": _script_text(
            (bundle / "dt_bundle.js").read_text(encoding="utf-8")
        ),
        "plotly_js": plotly.offline.get_plotlyjs(),
    }


@cache
def _template() -> Template:
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["kind_of"] = lambda block: type(block).__name__
    source = files("bhds.report") / "assets" / "page.html.j2"
    return environment.from_string(source.read_text(encoding="utf-8"))
