"""`bhds clean`: what it removes, when, and what it never does."""

import json
import os

import pytest

from bhds.cli import clean
from bhds.cli.settings import read_settings
from bhds.plan import prepare

from .conftest import LISTED_AT

DAYS = ("2025-02-01", "2025-02-02")
STAGED = "aws_data/.staging/um_futures/monthly/klines/AUSDT/1h/AUSDT-1h-2025-02.zip.e"
PARTIAL = "results_data/um_futures/klines/1h/.AUSDT.pqt.1.partial"
QUARANTINED = "aws_data/.quarantine/um_futures/AUSDT-1h-2025-01.zip.0123"


@pytest.fixture
def cluttered(archive):
    """Two superseded days, a killed write, a staged file in place, a damaged file."""
    archive.publish("AUSDT", "2025-02", *DAYS, "2025-03-01")
    archive.fetch("AUSDT", "2025-02", *DAYS, "2025-03-01")
    archive.parse("AUSDT", "2025-02", "2025-03-01", last_day="2025-03-01")
    for path in (STAGED, PARTIAL, QUARANTINED):
        (archive.data_dir / path).parent.mkdir(parents=True, exist_ok=True)
        (archive.data_dir / path).write_bytes(b"x")
    os.utime(archive.data_dir / PARTIAL, (0, 0))
    return archive


def superseded_paths(archive):
    return {
        f"{archive.file('AUSDT', day).path}{suffix}"
        for day in DAYS
        for suffix in ("", ".CHECKSUM")
    }


def files_of(archive):
    return {
        str(path.relative_to(archive.data_dir))
        for path in archive.data_dir.rglob("*")
        if path.is_file()
    }


def test_with_yes_what_nothing_needs_is_removed_and_nothing_else(cluttered, bhds):
    before = files_of(cluttered)

    result = bhds("clean", "--yes")

    assert result.exit_code == 0, result.output
    removed = before - files_of(cluttered)
    assert removed == superseded_paths(cluttered) | {STAGED, PARTIAL}
    assert files_of(cluttered) <= before
    assert "Removed 6 files" in result.stdout


def test_the_plan_is_the_same_afterwards(cluttered, bhds, configfile):
    settings = read_settings([configfile], values=[], environment={})

    def plan():
        return prepare.plan(
            settings,
            targets=[],
            data_dir=cluttered.data_dir,
            now=LISTED_AT,
            online=False,
        )

    before = plan()
    assert bhds("clean", "--yes").exit_code == 0
    after = plan()

    assert before.batches == after.batches == []
    assert before.raw == after.raw
    assert all((cluttered.data_dir / path).exists() for path in after.raw)


def test_what_would_be_removed_is_shown_and_stays_where_nobody_can_agree(
    cluttered, bhds, tree
):
    before = tree()

    result = bhds("clean", stdin="y\n")  # a pipe is no terminal

    assert result.exit_code == 0
    assert tree() == before
    rows = [" ".join(line.split()) for line in result.stdout.splitlines()]
    size = sum(
        (cluttered.data_dir / path).stat().st_size
        for path in superseded_paths(cluttered)
    )
    assert f"daily files that a monthly zip replaces 4 {clean.decimal(size)}" in rows
    assert "temporary files of killed runs 1 1 byte" in rows
    assert "staged downloads of files in place 1 1 byte" in rows
    assert "Kept: damaged files in the quarantine: 1, 1 byte" in rows
    assert rows[-1] == "Removed nothing; --yes removes these files without asking."


@pytest.mark.parametrize(("answer", "removes"), [("y", True), ("n", False)])
def test_on_a_terminal_it_is_asked(cluttered, bhds, monkeypatch, answer, removes):
    monkeypatch.setattr(clean, "_is_terminal", lambda: True)

    result = bhds("clean", stdin=f"{answer}\n")

    assert result.exit_code == 0
    assert "Remove these 6 files?" in result.output
    assert (cluttered.data_dir / STAGED).exists() is not removes


def test_a_document_is_not_mixed_with_a_question(cluttered, bhds, monkeypatch):
    monkeypatch.setattr(clean, "_is_terminal", lambda: True)

    result = bhds("clean", "--json", stdin="y\n")

    assert json.loads(result.output)["removed"] is False
    assert (cluttered.data_dir / STAGED).exists()


def test_damaged_files_go_only_when_asked_for(cluttered, bhds):
    bhds("clean", "--yes")
    assert (cluttered.data_dir / QUARANTINED).exists()

    bhds("clean", "--yes", "--quarantine")
    assert not (cluttered.data_dir / QUARANTINED).exists()


def test_one_document_tells_all(cluttered, bhds, tree):
    before = tree()

    told = json.loads(bhds("clean", "--json").stdout)

    assert tree() == before
    assert told["removed"] is False
    assert set(told["removable"]["superseded"]["paths"]) == superseded_paths(cluttered)
    assert told["removable"]["killed_writes"] == {
        "files": 1,
        "size_bytes": 1,
        "paths": [PARTIAL],
    }
    assert told["removable"]["staged"]["paths"] == [STAGED]
    assert told["kept"]["quarantined"]["paths"] == [QUARANTINED]
    assert told["total"]["files"] == 6
    assert told["total"]["size_bytes"] == sum(
        kind["size_bytes"] for kind in told["removable"].values()
    )

    told = json.loads(bhds("clean", "--json", "--yes").stdout)

    assert told["removed"] is True
    assert not (cluttered.data_dir / STAGED).exists()


def test_days_whose_month_is_not_parsed_stay_and_are_told(archive, bhds):
    archive.publish("AUSDT", "2025-02", *DAYS)
    archive.fetch("AUSDT", "2025-02", *DAYS)

    result = bhds("clean", "--yes")

    assert "Kept: daily files whose monthly zip is not parsed yet" in result.stdout
    assert result.stdout.endswith("Nothing to remove.\n")
    assert archive.path("AUSDT", DAYS[0]).exists()


@pytest.mark.usefixtures("cluttered")
def test_it_never_asks_a_server(bhds, monkeypatch):
    asked = {}

    def planned(*arguments, **options):
        asked.update(options)
        return original(*arguments, **options)

    original = prepare.plan
    monkeypatch.setattr(prepare, "plan", planned)

    bhds("clean", "--config", "offline=false")

    assert (asked["online"], asked["keep"]) == (False, False)


def test_without_listings_nothing_is_removed(archive, bhds):
    path = archive.data_dir / PARTIAL
    path.parent.mkdir(parents=True)
    path.write_bytes(b"x")
    os.utime(path, (0, 0))

    result = bhds("clean", "--yes")

    assert "there is no listing on disk" in str(result.exception)
    assert path.exists()


def test_files_that_no_dataset_selects_go_only_when_asked_for(cluttered, bhds):
    selected = files_of(cluttered)
    unselected = [
        "aws_data/um_futures/monthly/klines/AUSDT/1m/AUSDT-1m-2025-02.zip",
        "parsed_data/um_futures/klines/GONEUSDT/1h/2025.parquet",
        "parsed_data/um_futures/klines/GONEUSDT/1h/.2025.parquet.before",
        "api_data/um_futures/fundingRate/GONEUSDT/2025.parquet",
        "results_data/um_futures/klines/1h/GONEUSDT.pqt",
        "results_data/um_futures/klines/1h/gaps/GONEUSDT.parquet",
        "results_data/um_futures/resampled_klines/7h/AUSDT.pqt",
        "results_data/um_futures/split_klines/1h/GONEUSDT_seg1.pqt",
    ]
    of_market = "results_data/um_futures/split_klines/1h/segments.parquet"
    of_symbol = "results_data/um_futures/klines/1h/AUSDT.pqt"
    for path in (*unselected, of_market, of_symbol):
        (cluttered.data_dir / path).parent.mkdir(parents=True, exist_ok=True)
        (cluttered.data_dir / path).write_bytes(b"x")

    bhds("clean", "--yes")
    assert {*unselected} <= files_of(cluttered)

    shown = json.loads(bhds("clean", "--json", "--unselected").stdout)["removable"]
    found = {path for kind in shown.values() for path in kind["paths"]}
    assert found == {*unselected}
    assert shown["unselected_parsed"]["files"] == 2

    bhds("clean", "--yes", "--unselected")
    left = files_of(cluttered)
    assert left.isdisjoint(unselected)
    assert {of_market, of_symbol} <= left
    assert left <= selected | {of_market, of_symbol}
