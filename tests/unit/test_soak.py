"""What `make soak` would miss were it wrong itself."""

import pytest
from hypothesis import strategies as st

from tests.soak import __main__ as soak
from tests.soak import archives, readers
from tests.soak.part import Part


def test_every_reader_is_fuzzed_with_what_it_reads(tmp_path):
    for name, (read, sent) in readers.readers(tmp_path).items():
        assert readers.fuzz(read, sent, 1, examples=5) == (5, None), name


def test_what_a_reader_lets_through_is_found():
    _, fault = readers.fuzz(lambda text: text.decode(), st.binary(), 1)

    assert fault.startswith("UnicodeDecodeError")


@pytest.mark.parametrize(("damage", "lost"), [(None, 0), ("fail", 1), ("drop", 1)])
def test_a_zip_that_takes_others_with_it_is_found(tmp_path, monkeypatch, damage, lost):
    if damage == "fail":
        monkeypatch.setattr(archives, "JOB", "raise MemoryError")
    if damage == "drop":
        monkeypatch.setattr(archives, "DAY", archives.DAY + 1)
    monkeypatch.setattr(archives, "SIZES", (1, 1, 100))
    part = Part("archives", seed=1, seconds=0)

    archives.run(part, folder=tmp_path)

    assert (part.tried.total(), len(part.lost)) == (1, lost)


def test_the_table_has_what_was_tried_and_lost(capsys):
    part = Part("kills", seed=1, seconds=0)
    part.count("report", times=3)
    part.count("build", "1 file differs")

    soak.show([part], soak.Console(width=120))

    said = capsys.readouterr().out
    assert said.splitlines()[1].split() == ["kills", "4", "3", "1", "0"]
    assert "LOST kills: build: 1 file differs" in said
