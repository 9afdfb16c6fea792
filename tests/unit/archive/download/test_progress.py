import io

import pytest

from bhds.archive.download.progress import (
    BatchProgress,
    FileCounts,
    begin_run,
    describe,
)

MB = 1_000_000
START = 1_000_000.0


class Clock:
    """A clock that stands still until a test turns it on."""

    def __init__(self):
        self.now = START

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def console():
    return io.StringIO()


@pytest.fixture
def batch(tmp_path, clock, console):
    def batch(*keys, size_bytes=MB):
        return BatchProgress(
            tmp_path, keys=keys, size_bytes=size_bytes, stream=console, clock=clock
        )

    return batch


def said(console):
    lines = console.getvalue().splitlines()
    console.seek(0)
    console.truncate()
    return lines


@pytest.mark.parametrize(
    ("done", "total", "expected"),
    [
        pytest.param(
            FileCounts(START, files=1200, size_bytes=1_200 * MB, kept_bytes=0),
            (16_956, 14_100 * MB),
            "1,200 of 16,956 files, 1.2 of 14.1 GB, 12.0 MB/s, about 18 min left",
            id="under way",
        ),
        pytest.param(
            FileCounts(START, files=10, size_bytes=10 * MB, kept_bytes=0),
            (16, 15 * MB),
            "10 of 16 files, 10.0 of 15.0 MB, 100.0 kB/s, about 50 s left",
            id="nearly done",
        ),
        pytest.param(
            FileCounts(START, files=1, size_bytes=10 * MB, kept_bytes=0),
            (9000, 3_000 * MB),
            "1 of 9,000 files, 0.0 of 3.0 GB, 100.0 kB/s, about 8.3 h left",
            id="slow",
        ),
        pytest.param(
            FileCounts(START, files=5, size_bytes=500, kept_bytes=500),
            (10, 900),
            "5 of 10 files, 500 of 900 bytes",
            id="nothing new",
        ),
        pytest.param(
            FileCounts(START, files=2, size_bytes=2 * MB, kept_bytes=MB),
            (2, 2 * MB),
            "2 of 2 files, 2.0 of 2.0 MB, 10.0 kB/s",
            id="done, half of it kept",
        ),
    ],
)
def test_the_state_is_told_in_one_line(done, total, expected):
    assert describe(done, total=total, now=START + 100) == f"downloads: {expected}"


def test_counts_are_of_all_batches_of_the_run(tmp_path, batch, clock, console):
    begin_run(tmp_path, files=10, size_bytes=10 * MB, clock=clock)
    one, two = batch("a", "b"), batch("c", "d")
    one.update(files=0, size_bytes=0)
    two.update(files=1, size_bytes=MB)
    said(console)
    clock.now += 10

    one.update(files=1, size_bytes=2 * MB)

    assert said(console) == [
        "downloads: 2 of 10 files, 3.0 of 10.0 MB, 200.0 kB/s, about 35 s left"
    ]


def test_batches_together_speak_once_a_period(tmp_path, batch, clock, console):
    begin_run(tmp_path, files=10, size_bytes=10 * MB, clock=clock)
    batches = [batch(f"{number}", "more") for number in range(3)]
    for second in range(11):
        clock.now = START + second
        for one in batches:
            one.update(files=0, size_bytes=second)

    assert len(said(console)) == 3  # at 0, 5 and 10 s


def test_the_end_of_the_run_is_told_at_once(tmp_path, batch, clock, console):
    begin_run(tmp_path, files=3, size_bytes=MB, clock=clock)
    one, two = batch("a", "b"), batch("c")
    one.update(files=0, size_bytes=0)
    two.update(files=1, size_bytes=MB // 2)
    said(console)

    one.update(files=2, size_bytes=MB // 2)

    assert said(console) == ["downloads: 3 of 3 files, 1.0 of 1.0 MB"]


def test_a_batch_that_is_begun_again_is_counted_once(tmp_path, batch, clock, console):
    begin_run(tmp_path, files=4, size_bytes=4 * MB, clock=clock)
    batch("a", "b").update(files=1, size_bytes=MB)
    said(console)
    clock.now += 10

    again = batch("b", "a")
    again.update(files=1, size_bytes=MB)

    assert said(console) == ["downloads: 1 of 4 files, 1.0 of 4.0 MB"]


def test_a_batch_outside_a_run_tells_of_itself(batch, console):
    batch("other").update(files=1, size_bytes=MB)
    said(console)

    batch("a", "b", size_bytes=2 * MB).update(files=2, size_bytes=2 * MB)

    assert said(console) == ["downloads: 2 of 2 files, 2.0 of 2.0 MB"]


def test_files_that_a_crash_left_empty_are_passed_over(tmp_path, batch, console):
    begin_run(tmp_path, files=9, size_bytes=9 * MB)
    folder = tmp_path / "aws_data" / ".staging" / "progress"
    for name in ("run.json", "spoken.json", "batch-0.json"):
        (folder / name).write_text("")

    batch("a").update(files=1, size_bytes=MB)

    assert said(console) == ["downloads: 1 of 1 files, 1.0 of 1.0 MB"]


def test_a_new_run_forgets_the_one_before(tmp_path, batch, clock, console):
    begin_run(tmp_path, files=1, size_bytes=MB, clock=clock)
    batch("old").update(files=1, size_bytes=MB)
    said(console)

    begin_run(tmp_path, files=2, size_bytes=2 * MB, clock=clock)
    batch("a", "b").update(files=0, size_bytes=0)

    assert said(console) == ["downloads: 0 of 2 files, 0.0 of 2.0 MB"]


def test_lines_go_to_standard_error(tmp_path, capsys):
    BatchProgress(tmp_path, keys=["a"], size_bytes=5).update(files=1, size_bytes=5)

    captured = capsys.readouterr()
    assert captured.err == "downloads: 1 of 1 files, 5 of 5 bytes\n"
    assert captured.out == ""
