"""The page as a reader has it, in a real browser at the widths of desk and pocket."""

import polars as pl
import pytest
from playwright.sync_api import expect

from bhds.report import coverage, page
from bhds.report.blocks import ColumnKind, ReportTable, Section, TableColumn
from bhds.schemas import quality_tables
from bhds.stages import report as job
from tests import chromium

from .conftest import AS_OF, MARKUP, DataDir, day_rows, fill, of_series

DESKTOP, PHONE = 1280, 390


@pytest.fixture(scope="module")
def browser():
    with chromium.running() as running:
        yield running


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    data_dir = fill(DataDir(tmp_path_factory.mktemp("data")))
    output = data_dir.root / "reports" / "quality.html"
    job.write_report(
        data_dir.tables, output=output, as_of=AS_OF, data_dir=data_dir.root
    )
    return output


@pytest.fixture(scope="module")
def opened(browser, report):
    with chromium.opened(browser, report, width=DESKTOP) as visit:
        yield visit


@pytest.fixture
def visit(opened):
    """Return the opened report without a filter."""
    opened.page.select_option("#market", "")
    opened.page.fill("#symbol", "")
    opened.page.get_by_text("4 of 4 symbols").wait_for()
    opened.page.locator(".heatmap .series").select_option(index=0)
    return opened


@pytest.fixture
def page_of(tmp_path):
    """Write a page of some blocks."""

    def write(*blocks, symbols=()):
        sections = [Section("part", "A part", blocks=blocks)]
        output = tmp_path / "page.html"
        text = page.render(sections, symbols=symbols, as_of=AS_OF)
        output.write_text(text, encoding="utf-8")
        return output

    return write


@pytest.mark.parametrize(
    ("width", "dark"),
    [
        pytest.param(DESKTOP, True, id="desktop, dark"),
        pytest.param(PHONE, False, id="phone, light"),
    ],
)
def test_everything_is_drawn_without_a_word_or_a_request(browser, report, width, dark):
    with chromium.opened(browser, report, width=width, dark=dark) as visit:
        assert visit.messages == []
        assert visit.requests == []
        assert not visit.is_too_wide()
        figures = visit.page.locator("figure .plot")
        assert figures.count() == 5
        for figure in figures.all():
            assert figure.locator(".main-svg").count()
            assert figure.get_attribute("aria-label")
        for table in visit.page.locator("table.data").all():
            assert table.locator("caption").inner_text()
            assert table.locator("tbody td").count() > 1
        background = visit.page.evaluate("getComputedStyle(document.body).color")
        is_light_on_dark = background == "rgb(229, 233, 240)"
        assert is_light_on_dark == dark


def test_no_number_stands_twice_beside_a_figure(visit):
    for market in ("", "um_futures", "spot"):
        visit.page.select_option("#market", market)
        for figure in visit.page.locator("figure:not([hidden]) .plot").all():
            ticks = figure.locator(".ytick text").all_text_contents()
            assert len(set(ticks)) == len(ticks)


def test_the_market_filter_acts_on_tables_figures_and_the_heat_map(visit):
    assert len(visit.rows("coverage-table")) == 4

    visit.page.select_option("#market", "um_futures")

    assert visit.texts("#matches") == ["1 of 4 symbols"]
    rows = visit.rows("coverage-table")
    assert [row[0] for row in rows] == ["um_futures"]
    assert visit.rows("gaps-longest")[0][0].startswith("No rows match")
    assert visit.texts(".heatmap option")[0] == "um_futures klines 1m"
    assert visit.texts(".heatmap .count") == ["1 of 1 symbols"]
    pictures = visit.page.locator("figure[data-symbol]")
    assert [each.is_visible() for each in pictures.all()] == [False, False]


def test_the_symbol_filter_takes_a_part_of_a_name(visit):
    visit.page.fill("#symbol", "币安")
    visit.page.get_by_text("1 of 4 symbols").wait_for()

    rows = visit.rows("coverage-table")
    assert [row[2] for row in rows] == ["币安人生USDT"]
    assert visit.texts(".heatmap .count") == ["1 of 3 symbols"]

    visit.page.fill("#symbol", "ausd")
    visit.page.get_by_text("2 of 4 symbols").wait_for()

    assert {row[2] for row in visit.rows("coverage-table")} == {"AUSDT"}
    visible = visit.page.locator("figure[data-symbol]:visible")
    assert visible.count() == 1
    assert visit.messages == []


def test_a_symbol_that_looks_like_markup_is_text(visit):
    assert MARKUP in visit.texts("[data-table='coverage-table'] tbody td")
    assert visit.page.locator("table.data b").count() == 0
    assert MARKUP in visit.texts(".heatmap .ytick text")
    assert any(MARKUP in text for text in visit.texts("figcaption"))


def test_text_cannot_end_the_script_that_carries_it(browser, page_of):
    evil = "</script><script>document.title = 'evil'</script>"
    table = ReportTable(
        "t", evil, (TableColumn("x", "X"),), pl.DataFrame({"x": [evil]})
    )

    with chromium.opened(browser, page_of(table), width=DESKTOP) as visit:
        assert visit.rows("t") == [[evil]]
        assert visit.page.title() == "Quality report, 2025-02-04"


def test_numbers_are_aligned_separated_and_never_rounded_to_all(browser, page_of):
    columns_ = [TableColumn(kind.value, kind.value, kind) for kind in ColumnKind]
    rows = pl.DataFrame(
        {
            "text": ["a", None],
            "prose": ["b", None],
            "market": ["spot", "spot"],
            "symbol": ["A", "B"],
            "count": [1_234_567, None],
            "number": [81099.57, -1.5e-7],
            "share": [0.999999, 1.0],
            "change": [-0.25, 0.0],
            "span": [93_600, 59],
            "bytes": [8_123_456, 999],
        }
    )

    path = page_of(ReportTable("t", "Kinds", columns_, rows))
    with chromium.opened(browser, path, width=DESKTOP) as visit:
        shown = visit.rows("t")
        cells = visit.page.locator("[data-table='t'] tbody tr:first-child td")
        align = [c.evaluate("e => getComputedStyle(e).textAlign") for c in cells.all()]

    numbers = ["1,234,567", "81,099.6", "> 99.99 %", "−25.00 %", "1 d 2 h", "8.1 MB"]
    assert shown[0] == ["a", "b", "spot", "A", *numbers]
    assert shown[1][4:] == ["–", "−1.50e-7", "100 %", "0.00 %", "59 s", "999 B"]
    assert align == ["start"] * 4 + ["right"] * 6


def test_numbers_are_sorted_by_their_size(browser, page_of):
    rows = pl.DataFrame({"n": [10, 9, None, 1_000]})
    path = page_of(
        ReportTable("t", "T", (TableColumn("n", "N", ColumnKind.COUNT),), rows)
    )

    with chromium.opened(browser, path, width=DESKTOP) as visit:
        visit.page.click("[data-table='t'] th")

        expect(visit.page.locator("[data-table='t'] td").first).to_have_text("–")
        assert [row[0] for row in visit.rows("t")] == ["–", "9", "10", "1,000"]


def heatmap_of(number):
    names = [f"S{n:04d}USDT" for n in range(number)]
    whole = dict.fromkeys(names, "available") | {"S0007USDT": "missing"}
    rows = [
        row
        for name, condition in whole.items()
        for row in day_rows(name, conditions=[condition] * 2)
    ]
    months = coverage.by_month(of_series(rows, quality_tables.CONDITION))
    return coverage.heatmap(months), [("spot", n) for n in names]


def test_a_thousand_symbols_scroll_in_a_box_of_the_page(browser, page_of):
    heatmap, symbols = heatmap_of(1_000)

    path = page_of(heatmap, symbols=symbols)
    with chromium.opened(browser, path, width=PHONE) as visit:

        def names():
            return visit.texts(".heatmap .ytick text")

        assert names()[:3] == ["S0007USDT", "S0000USDT", "S0001USDT"]
        assert len(names()) < 40
        box = visit.page.locator(".heatmap .window")
        assert box.bounding_box()["height"] < 600

        box.evaluate("box => { box.scrollTop = box.scrollHeight; }")
        last = visit.page.locator(".heatmap .ytick text").last
        expect(last).to_have_text("S0999USDT")
        assert "S0007USDT" not in names()

        visit.page.select_option(".heatmap .order", "name")
        eighth = visit.page.locator(".heatmap .ytick text").nth(7)
        expect(eighth).to_have_text("S0007USDT")
        assert names()[6:9] == ["S0006USDT", "S0007USDT", "S0008USDT"]
        assert visit.messages == []
        assert not visit.is_too_wide()


def test_the_heat_map_tells_the_days_under_the_pointer(browser, page_of):
    heatmap, symbols = heatmap_of(10)

    path = page_of(heatmap, symbols=symbols)
    with chromium.opened(browser, path, width=DESKTOP) as visit:
        box = visit.page.locator(".heatmap .plot .nsewdrag").bounding_box()
        visit.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 9)
        hover = visit.page.locator(".heatmap .hoverlayer .hovertext")
        hover.wait_for()

        assert hover.text_content() == "S0007USDT 2025-012 missing"
