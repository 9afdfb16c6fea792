"""The page as a file: its content, and that it depends on its inputs alone."""

import hashlib
import json
import re

from bhds import report
from bhds.backfill import api_use
from bhds.report import page
from bhds.stages import report as job

from .conftest import AS_OF, START, fill_records

GOLDEN = {7: "2cdc208a1c6f21fa"}


def written(data, name="quality.html"):
    output = data.root / "reports" / name
    job.write_report(data.tables, output=output, as_of=AS_OF, data_dir=data.root)
    return output.read_text(encoding="utf-8")


def content_of(text):
    """Return the data that a page's tables and figures are drawn from."""
    found = re.search(r'id="page-data">(.*?)</script>', text, re.DOTALL)
    return json.loads(found[1])


def test_a_page_does_not_depend_on_how_often_runs_recorded_the_same(data_dir):
    page = written(data_dir)
    numbers = {"requests": 12, "weight": 24, "refusals": 1, "rows": 2000}
    path = "api_data/spot/klines/AUSDT/1m/all.parquet"
    api_use.append(data_dir.root, requested_at=START, path=path, **numbers)
    fill_records(data_dir)

    assert written(data_dir, "again.html") == page


def test_the_page_changes_only_with_the_revision(data_dir):
    text = written(data_dir)
    own = {"css", "js"}
    for name, asset in page.assets().items():
        # What others publish has versions of its own.
        text = text if name in own else text.replace(asset, "")
    digest = hashlib.sha256(text.encode()).hexdigest()

    assert digest[:16] == GOLDEN.get(report.REVISION), (
        "another page is made: raise report.REVISION and record the new digest"
    )


def test_every_part_has_what_was_found(data_dir):
    content = content_of(written(data_dir))

    tables = {name: each["rows"] for name, each in content["tables"].items()}
    assert {name for name, rows in tables.items() if rows} == {
        *(
            "series",
            "coverage-reasons",
            "coverage-table",
            "gaps-by-class",
            "gaps-longest",
        ),
        *("integrity-by-series", "integrity-doubtful", "revisions-table"),
        *("conflicts-table", "volumes-table"),
        *("reconciliation-by-column", "reconciliation-differing"),
        *("api-unanswered", "sources-table"),
    }
    assert set(content["figures"]) == {
        *("gaps-by-month", "sources-by-month"),
        *("picture-spot-AUSDT", "picture-spot-<b>X</b>&USDT"),
    }
    assert len(content["symbols"]) == 4


def test_without_tables_and_records_the_page_says_so(empty_dir):
    text = written(empty_dir)

    assert "the settings name no dataset that is parsed" in text
    assert "No row comes from the REST API" in text
    assert "No file was downloaded." in text
    assert "No zip was replaced" in text
    assert content_of(text)["symbols"] == []
