"""`bhds adopt`: what it prints, and what the next plan makes of adopted files."""

import json

import pytest


@pytest.fixture
def elsewhere(archive, tmp_path):
    """Return a folder with the zips of a symbol, which the data directory lists."""
    archive.publish("AUSDT", "2025-02", "2025-03-01")
    for key, content in archive.contents.items():
        place = tmp_path / "old" / key
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
    return tmp_path / "old"


def missing(bhds):
    return json.loads(bhds("plan", "--json", "--files").stdout)["files"]


def test_the_next_plan_downloads_nothing_but_what_differs_from_the_listing(
    archive, elsewhere, bhds
):
    assert len(missing(bhds)) == 4
    text = bhds("adopt", str(elsewhere), "--dry-run").stdout
    assert text.startswith("Dry run, nothing was taken into")
    assert len(missing(bhds)) == 4

    result = bhds("adopt", str(elsewhere), "--json")

    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["outcomes"]["taken"]["files"] == 4
    assert missing(bhds) == []
    # A revision of the same size, of which the MD5 alone shows that it is another.
    key = archive.file("AUSDT", "2025-02").key
    archive.contents[key] = archive.contents[key][:-1] + b"\x01"
    archive.publish("AUSDT")
    zips = [file["path"] for file in missing(bhds) if file["path"].endswith(".zip")]
    assert zips == [archive.file("AUSDT", "2025-02").path]


def test_counts_bytes_and_the_first_paths_of_each_outcome_are_printed(elsewhere, bhds):
    for number in range(5):
        (elsewhere / f"{number}.txt").write_text("x")

    lines = bhds("adopt", str(elsewhere)).stdout.splitlines()

    assert "5  5 bytes" in next(line for line in lines if "neither zip" in line)
    assert f"  {elsewhere}/2.txt" in lines
    assert f"  {elsewhere}/3.txt" not in lines
    assert "  and 2 more" in lines
    assert "downloads those again" in lines[-1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--link", "--move"], "--link and --move: exclude each other"),
        (["--data-type", "trades"], "--data-type 'trades': use one of klines"),
    ],
)
def test_options_that_cannot_be_are_refused(elsewhere, bhds, arguments, message):
    result = bhds("adopt", str(elsewhere), *arguments)

    assert result.exit_code == 1
    assert message in str(result.exception)
