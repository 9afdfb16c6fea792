"""The quality report of what was built, as a reader has it."""

import pytest

from bhds.sandbox.exchange import Exchange
from bhds.sandbox.server import serving
from tests import chromium

from .conftest import UNIVERSE, Workspace, settings_for

pytestmark = pytest.mark.workflow

SYMBOL = "龙虾USDT"
"""It halts from 2025-03-02 03:00 to 2025-03-05 10:30."""
LOST = f"data/futures/um/daily/klines/{SYMBOL}/1m/{SYMBOL}-1m-2025-03-08.zip"
"""A day that the archive lacks, so that the API is asked."""
PAGE = "reports/quality.html"
DESKTOP, PHONE = 1280, 390


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Build the report of minutes and days of one symbol, by its target alone."""
    with Exchange(UNIVERSE) as exchange, serving(exchange) as running:
        exchange.withhold(LOST)
        settings = settings_for(running.endpoints, with_api=True, symbols=[SYMBOL])
        (minutes,) = settings["datasets"]
        minutes["results"] = {"funding": False}
        settings["datasets"].append({**minutes, "interval": "1d"})
        settings["as_of"] = "2025-03-09"
        workspace = Workspace(tmp_path_factory.mktemp("report"), settings)
        outcome = workspace.build("write_report")
        assert outcome.jobs["write_report"] == 1
        yield workspace


def facts_of(visit):
    labels, values = visit.texts(".facts dt"), visit.texts(".facts dd")
    return {
        label: value.split()[0] for label, value in zip(labels, values, strict=True)
    }


@pytest.mark.parametrize("width", [DESKTOP, PHONE])
def test_the_page_shows_what_was_found_without_a_word_or_a_request(built, width):
    with (
        chromium.running() as browser,
        chromium.opened(browser, built.path(PAGE), width=width) as visit,
    ):
        assert visit.messages == []
        assert visit.requests == []
        assert not visit.is_too_wide()
        facts = facts_of(visit)
        assert facts["Symbols"] == "1"
        assert facts["Published values equal"] == "100"
        gap = next(row for row in visit.rows("gaps-longest") if row[1] == "klines 1m")
        assert gap[2:6] == [SYMBOL, "halt", "2025-03-02 02:59", "2025-03-05 10:30"]
        (picture,) = visit.texts("figure[data-symbol] figcaption")
        assert picture == f"{SYMBOL} · um_futures · klines 1m"
        sources = {row[1]: row[5] for row in visit.rows("sources-table")}
        assert sources == {"klines 1m": "1,440", "klines 1d": "0"}  # of the API
        assert facts["API rows"] == "1,440"


def test_the_page_is_made_once_for_each_day(built):
    assert built.plan("write_report").is_idle

    outcome = built.plan("write_report", settings={"as_of": "2025-03-08"})

    assert outcome.jobs["write_report"] == 1


def test_the_report_of_snakemake_takes_the_page_in(built, tmp_path):
    whole = tmp_path / "whole.html"

    done = built.snakemake("report", "--report", str(whole))

    assert done.status == 0, done.text
    text = whole.read_text(encoding="utf-8")
    assert "reports/quality.html" in text
    assert "what proves that the rest is right" in text  # of the caption
    assert len(text) > built.path(PAGE).stat().st_size
