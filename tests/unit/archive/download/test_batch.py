import errno
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest

from bhds.archive.download import aria2, ledger, publication, transfers, unreachable
from bhds.archive.download.aria2_console import Outcome
from bhds.archive.download.batch import fetch_batch
from bhds.archive.download.progress import begin_run
from bhds.core.errors import FetchError

from ..conftest import (
    DEADLINE_S,
    LISTED_AT,
    all_have_come,
    md5,
    record_of,
    stage,
    staged_files,
    staging,
    wait_until,
)

# --- the ordinary course ------------------------------------------------------------


def test_a_batch_is_put_into_place_and_entered_into_the_ledger(fetch, want, tmp_path):
    began = time.time()
    zip_, checksum = want("A.zip", b"z" * 57_000), want("A.zip.CHECKSUM", b"abc  A.zip")

    report = fetch(zip_, checksum)

    assert zip_.path.read_bytes() == b"z" * 57_000
    assert checksum.path.read_bytes() == b"abc  A.zip"
    assert zip_.path.stat().st_mtime >= began - 1
    assert (report.files, report.kept, report.size_bytes) == (2, 0, 57_010)
    assert staged_files(tmp_path) == []
    row = ledger.read(tmp_path).row(by_predicate=pl_key(zip_), named=True)
    assert row["etag"] == row["md5"] == md5(b"z" * 57_000)
    assert row["sha256"] == hashlib.sha256(b"z" * 57_000).hexdigest()
    assert (row["size"], row["last_modified"]) == (57_000, LISTED_AT)
    assert began <= row["requested_at"].timestamp() < row["first_seen"].timestamp()


def test_the_files_of_a_batch_share_their_times(fetch, want, tmp_path):
    fetch(want("A.zip"), want("A.zip.CHECKSUM"))
    fetch(want("B.zip"))

    times = ledger.read(tmp_path).select("requested_at", "first_seen").rows()

    assert times[0] == times[1]
    assert times[2][0] > times[1][1]


def test_a_file_that_was_staged_before_counts_for_no_rate(fetch, want, tmp_path):
    kept, new = want("A.zip", b"a" * 100), want("B.zip", b"b" * 9)
    stage(kept, b"a" * 100)

    fetch(kept, new)

    rows = ledger.read(tmp_path)
    measured = rows.filter(pl.col("requested_at").is_not_null())
    assert measured["key"].to_list() == [new.key]
    seconds = measured["first_seen"][0] - measured["requested_at"][0]
    rate = ledger.download_rate(rows)
    assert rate.bytes_per_s == pytest.approx(9 / seconds.total_seconds())


def test_a_file_in_place_as_listed_is_not_downloaded_again(
    fetch, want, bucket, tmp_path
):
    zip_, checksum, other = want("A.zip"), want("A.zip.CHECKSUM"), want("B.zip", b"new")
    for file, content in ((zip_, b"zip"), (other, b"old")):
        file.path.parent.mkdir(parents=True, exist_ok=True)
        file.path.write_bytes(content)
    stage(zip_, b"z").with_name(f"A.zip.{zip_.etag}.aria2").write_bytes(record_of(3))

    report = fetch(zip_, checksum, other)

    assert report.kept == 1
    assert {got for verb, got, _ in bucket.requests} == {checksum.key, other.key}
    assert [f.path.read_bytes() for f in (zip_, checksum, other)] == [
        b"zip",
        b"zip",
        b"new",
    ]
    assert staged_files(tmp_path) == []
    assert ledger.read(tmp_path).filter(pl_key(zip_))["etag"].to_list() == [zip_.etag]


def pl_key(wanted):
    return pl.col("key") == wanted.key


def test_a_file_that_was_staged_long_ago_is_new_in_its_place(fetch, want):
    kept, new = want("A.zip"), want("B.zip")
    os.utime(stage(kept, b"zip"), (1, 1))
    began = time.time()

    fetch(kept, new)

    assert all(file.path.stat().st_mtime >= began - 1 for file in (kept, new))


class Told:
    """Stands in for the progress of a batch, and keeps what it is told."""

    def __init__(self):
        self.counts = []

    def update(self, *, files, size_bytes):
        self.counts.append((files, size_bytes))


def test_progress_counts_files_in_part_and_those_that_are_gone(
    want, bucket, tmp_path, monkeypatch
):
    part, whole, gone = want("A.zip", b"abcd"), want("B.zip"), want("C.zip", None)
    stage(part, b"ab")
    record = stage(part, record_of(4), tag=f"{part.etag}.aria2")
    stage(whole, b"zip")
    bucket.statuses[gone.key] = [404]

    told = Told()

    def run(*_, **__):
        stage(part, b"abcd")
        record.unlink()
        return Outcome(0, {})

    monkeypatch.setattr(aria2, "run", run)
    fetch_batch(
        [part, whole, gone], data_dir=tmp_path, base_url=bucket.url, progress=told
    )

    assert told.counts[0] == (1, 5)
    assert told.counts[-1] == (3, 7)


def test_an_empty_batch_does_nothing(tmp_path):
    report = fetch_batch([], data_dir=tmp_path, base_url="http://127.0.0.1:1")

    assert report.files == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "name",
    ["币安人生USDT-1m-2026-01-01.zip", "A B%20+&#[1]{2}~'é=.zip", "#out=x;.zip"],
)
def test_names_of_any_script_and_sign_arrive(fetch, want, name):
    wanted = want(name, name.encode())

    fetch(wanted)

    assert wanted.path.read_bytes() == name.encode()


def test_an_empty_object_is_no_failure(fetch, want):
    wanted = want("A.zip", b"")

    report = fetch(wanted)

    assert wanted.path.read_bytes() == b""
    assert report.vanished == ()


def test_a_replaced_file_takes_the_place_of_the_old_one(fetch, want, tmp_path):
    fetch(want("A.zip", b"old"))
    new = want("A.zip", b"newer")

    fetch(new)

    assert new.path.read_bytes() == b"newer"
    assert ledger.newest(ledger.read(tmp_path))["md5"].to_list() == [md5(b"newer")]
    assert ledger.read(tmp_path).height == 2


def test_a_relative_data_directory_will_do(fetch, want, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    wanted = want("A.zip", b"zip", path=Path("aws_data/spot/A.zip"))

    fetch(wanted, data_dir=".")

    assert (tmp_path / "aws_data/spot/A.zip").read_bytes() == b"zip"


@pytest.fixture
def hashed(monkeypatch):
    """Return the contents that are hashed, as they are."""
    contents = []

    def digest(path, *, digest=transfers.digest):
        contents.append(Path(path).read_bytes())
        return digest(path)

    monkeypatch.setattr(transfers, "digest", digest)
    return contents


@pytest.fixture
def staged_as(monkeypatch):
    """Stand in for aria2: of each run, what is staged at a tick, and at its end."""

    def staged_as(*runs):
        left = iter(runs)

        def run(downloads, *, directory, on_tick, **_):
            for number, content in enumerate(next(left)):
                place = directory / downloads[0].name
                place.parent.mkdir(parents=True, exist_ok=True)
                if not place.exists() or place.read_bytes() != content:
                    place.write_bytes(content)
                    os.utime(place, (number, number))
                on_tick()
            return Outcome(0, {})

        monkeypatch.setattr(aria2, "run", run)

    return staged_as


def test_a_file_that_is_whole_is_hashed_while_others_come(
    fetch, want, hashed, staged_as
):
    staged_as([b"whole", b"whole"])

    report = fetch(want("A.zip", b"whole"))

    assert hashed == [b"whole"]
    assert report.size_bytes == 5


def test_a_file_that_changed_since_it_was_hashed_is_hashed_again(
    fetch, want, hashed, staged_as
):
    wanted = want("A.zip", b"sound")
    staged_as([b"sound", b"s0und"], [b"sound"])

    report = fetch(wanted)

    assert hashed[:2] == [b"sound", b"s0und"]
    assert wanted.path.read_bytes() == b"sound"
    assert report.unlike_listing == ()


@pytest.mark.parametrize(
    ("content", "listed"),
    [
        pytest.param(b"spoil", {}, id="unlike its ETag"),
        pytest.param(b"whole", {"etag": f"{'0' * 32}-2"}, id="of parts"),
        pytest.param(b"who", {}, id="in part"),
    ],
)
def test_what_cannot_be_known_to_be_whole_is_judged_at_the_end(
    fetch, want, staged_as, content, listed
):
    wanted = want("A.zip", b"whole", **listed)
    staged_as([content], [b"whole"])

    fetch(wanted)

    assert wanted.path.read_bytes() == b"whole"


def test_a_place_on_another_file_system_is_copied_to(
    fetch, want, tmp_path, monkeypatch
):
    wanted, replace, refused = want("A.zip"), os.replace, []

    def refuse(path, target):
        if ".staging" in Path(path).parts and Path(target) == wanted.path:
            refused.append(path)
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        return replace(path, target)

    monkeypatch.setattr(os, "replace", refuse)
    fetch(wanted)

    assert len(refused) == 1
    assert wanted.path.read_bytes() == b"zip"
    assert staged_files(tmp_path) == []


def test_the_proxy_is_used_for_files_and_questions(fetch, bucket, want):
    there, gone = want("A.zip"), want("B.zip", None)

    fetch(
        *(there, gone),
        base_url="http://archive.invalid",
        proxy=f"127.0.0.1:{bucket.server_port}",
    )

    assert there.path.read_bytes() == b"zip"
    assert {headers["Host"] for *_, headers in bucket.requests} == {"archive.invalid"}
    assert {verb for verb, *_ in bucket.requests} == {"GET", "HEAD"}


# --- what the server does not have --------------------------------------------------


@pytest.mark.parametrize("status", [404, 410])
def test_a_vanished_file_is_empty_and_the_others_arrive(
    fetch, bucket, want, caplog, status
):
    gone, there = want("A.zip", b"was here"), want("B.zip")
    bucket.statuses[gone.key] = [status]

    report = fetch(gone, there)

    assert gone.path.read_bytes() == b""
    assert there.path.read_bytes() == b"zip"
    assert report.vanished == (gone.key,)
    assert "gone on the server; left empty" in caplog.text


def test_a_vanished_file_is_entered_as_listed_without_digests(
    fetch, bucket, want, tmp_path
):
    gone = want("A.zip", b"was here")
    bucket.statuses[gone.key] = [404]

    fetch(gone)

    row = ledger.read(tmp_path).row(by_predicate=pl_key(gone), named=True)
    assert (row["etag"], row["size"], row["md5"]) == (gone.etag, gone.size, None)


def test_a_zip_that_was_gone_before_may_be_gone_again(fetch, want, bucket):
    files = [want("A.zip"), want("B.zip")]
    for file in files:
        file.path.parent.mkdir(parents=True, exist_ok=True)
        file.path.touch()
        bucket.statuses[file.key] = [404] * 9

    report = fetch(*files)

    assert report.vanished == tuple(file.key for file in files)


def test_a_revision_at_hand_stays_with_its_checksum_when_the_new_one_is_gone(
    fetch, want, bucket, tmp_path
):
    archive, checksum = want("A.zip", b"old"), want("A.zip.CHECKSUM", b"old sum")
    fetch(archive, checksum)
    new = [want("A.zip", b"new"), want("A.zip.CHECKSUM", b"new sum")]
    other = want("B.zip")
    bucket.statuses[new[0].key] = [404] * 9

    report = fetch(*new, other)

    assert archive.path.read_bytes() == b"old"
    assert checksum.path.read_bytes() == b"old sum"
    assert report.vanished == (archive.key,)
    newest = ledger.newest(ledger.read(tmp_path))
    gone = newest.filter(newest["key"].is_in([archive.key, checksum.key]))
    assert gone["md5"].to_list() == [None, None]


def test_a_server_that_has_none_of_the_zips_is_not_believed(fetch, want, bucket):
    files = [want("A.zip"), want("B.zip")]
    for file in files:
        bucket.statuses[file.key] = [404] * 9

    with pytest.raises(FetchError, match=r"none of 2 listed zips.*archive_download"):
        fetch(*files)

    assert not any(file.path.exists() for file in files)

    report = fetch(*files, may_all_be_gone=True)

    assert report.vanished == tuple(file.key for file in files)


# --- what fails ---------------------------------------------------------------------


def test_a_failure_is_named_and_holds_back_no_other_file(fetch, bucket, want, tmp_path):
    files = [want(f"{name}.zip", name.encode()) for name in "ABCDEF"]
    for bad in files[:4]:
        bucket.statuses[bad.key] = [500]

    with pytest.raises(FetchError) as caught:
        fetch(*files)

    text = str(caught.value)
    assert text.startswith(
        "download: 4 of 6 files failed (A.zip, B.zip, C.zip, ...) - The response "
        "status is not successful. status=500 - "
    )
    assert "\n" not in text
    assert [file.path.exists() for file in files] == [False] * 4 + [True] * 2
    assert sorted(ledger.read(tmp_path)["key"]) == [file.key for file in files[4:]]


def test_a_zip_is_not_published_without_its_checksum(fetch, bucket, want, tmp_path):
    pair = want("A.zip"), want("A.zip.CHECKSUM", b"sum")
    bucket.statuses[pair[1].key] = [500]

    with pytest.raises(FetchError, match=r"1 of 2 files failed \(A.zip.CHECKSUM\)"):
        fetch(*pair)

    assert staged_files(tmp_path) == [staging(pair[0]).name]

    bucket.statuses.clear()
    report = fetch(*pair)

    assert report.kept == 1
    assert bucket.count(pair[0].key) == 1
    assert all(file.path.exists() for file in pair)


def test_what_a_failed_job_would_remove_is_published_when_the_run_has_ended(
    fetch, bucket, want, tmp_path
):
    bad, good = want("A.zip"), want("B.zip")
    bucket.statuses[bad.key] = [500]
    with pytest.raises(FetchError, match=r"1 of 2 files failed"):
        fetch(bad, good, is_removed_on_failure=True)
    assert not good.path.exists()
    began = time.time()

    assert publication.publish_noted(tmp_path) == 1

    assert good.path.read_bytes() == b"zip"
    assert good.path.stat().st_mtime >= began - 1
    assert ledger.read(tmp_path)["key"].to_list() == [good.key]
    assert publication.publish_noted(tmp_path) == 0


def test_a_note_of_a_run_that_was_killed_is_forgotten(fetch, bucket, want, tmp_path):
    bad, good = want("A.zip"), want("B.zip")
    bucket.statuses[bad.key] = [500]
    with pytest.raises(FetchError):
        fetch(bad, good, is_removed_on_failure=True)
    publication.forget_notes(tmp_path)

    assert publication.publish_noted(tmp_path) == 0
    assert fetch(good).kept == 1


def test_a_passing_server_error_is_tried_again(fetch, bucket, want):
    wanted = want("A.zip")
    bucket.statuses[wanted.key] = [500, 200]

    fetch(wanted)

    assert wanted.path.read_bytes() == b"zip"


def test_a_refusal_is_no_vanished_file(fetch, bucket, want):
    wanted = want("A.zip")
    bucket.statuses[wanted.key] = [403]

    with pytest.raises(FetchError, match=r"1 of 1 files failed \(A.zip\) .*403"):
        fetch(wanted)

    assert not wanted.path.exists()


def test_batches_are_given_up_after_several_that_reached_no_server(
    fetch, want, tmp_path
):
    wanted, nobody = want("A.zip"), "http://127.0.0.1:1"

    def fails(match, **changes):
        with pytest.raises(FetchError, match=match):
            fetch(wanted, **changes)

    fails("1 of 1 files failed .*Connection refused", base_url=nobody)
    fetch(want("B.zip"))  # which reached the server: these are no two in a row
    for _ in range(unreachable.MOST_BATCHES):
        fails("1 of 1 files failed .*Connection refused", base_url=nobody)
    fails("3 batches in a row .*Connection refused.*run the same command")

    begin_run(tmp_path, files=1, size_bytes=3)
    fetch(wanted)


def test_a_full_disk_is_named_and_not_tried_again(fetch, want, tmp_path):
    fake = tmp_path / "aria2c"
    fake.write_text(f"#!/bin/sh\necho run >> {tmp_path}/runs\nexit 9\n")
    fake.chmod(0o755)

    with pytest.raises(FetchError, match="there is no space left on the disk"):
        fetch(want("A.zip"), aria2c=fake)

    assert (tmp_path / "runs").read_text() == "run\n"


def test_a_disk_that_fills_up_at_the_end_is_named(fetch, want, monkeypatch):
    def fail(*_args, **_kwargs):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(ledger, "append", fail)

    with pytest.raises(FetchError, match=r"No space left on device.* free some space"):
        fetch(want("A.zip"))


@pytest.mark.parametrize(
    "proxied", [pytest.param(False, id="directly"), pytest.param(True, id="by proxy")]
)
def test_a_redirect_to_another_host_is_not_followed(fetch, bucket, want, proxied):
    """`localhost` is the same server, which would have the file."""
    moved, there, aside = want("A.zip"), want("B.zip"), want("C.zip")
    host = "archive.invalid" if proxied else "127.0.0.1"
    bucket.redirects[moved.key] = f"http://localhost:{bucket.server_port}/{aside.key}"
    settings = {
        "base_url": f"http://{host}:{bucket.server_port}",
        "proxy": f"127.0.0.1:{bucket.server_port}" if proxied else None,
    }

    with pytest.raises(FetchError) as caught:
        fetch(moved, there, **settings)

    assert (
        f"{host} redirects to localhost, which is not one of the hosts of `endpoints`: "
        "not followed" in str(caught.value)
    )
    assert there.path.read_bytes() == b"zip"
    assert bucket.count(aside.key) == 0
    assert bucket.count(moved.key) == 1


def test_a_body_without_an_end_is_cut_and_fails_alone(
    fetch, bucket, want, monkeypatch, caplog
):
    monkeypatch.setattr(aria2, "_SLACK_BYTES", 0)
    endless, other = want("A.zip", b"sound"), want("B.zip", bytes(100_000))
    bucket.versions[endless.key] = [bytes(1_000_000)]

    with pytest.raises(FetchError, match=r"1 of 2 files failed \(A\.zip\)"):
        fetch(endless, other)

    assert other.path.exists()
    assert "1,000,000 bytes" not in caplog.text


def test_what_a_body_says_to_download_is_not(fetch, bucket, want, tmp_path):
    """aria2 would take a metalink or torrent at its word, and any name in it."""
    aside = want("B.zip", b"elsewhere")
    metalink = (
        '<metalink xmlns="urn:ietf:params:xml:ns:metalink"><file name="evil.zip">'
        f"<url>{bucket.url}/{aside.key}</url></file></metalink>"
    )
    torrent = (
        b"d4:infod6:lengthi9e4:name8:evil.zip12:piece lengthi16384e6:pieces20:"
        + bytes(20)
        + b"ee"
    )
    files = [want("A.zip", metalink.encode()), want("T.zip", torrent)]
    types = ["application/metalink4+xml", "application/x-bittorrent"]
    bucket.types |= {file.key: type_ for file, type_ in zip(files, types, strict=True)}

    fetch(*files)

    assert [file.path.read_bytes() for file in files] == [metalink.encode(), torrent]
    assert bucket.count(aside.key) == 0
    assert not list(tmp_path.rglob("evil*"))


def test_a_redirect_within_the_host_is_followed(fetch, bucket, want):
    moved, lost = want("A.zip"), want("C.zip")
    bucket.redirects[moved.key] = f"/{want('B.zip').key}"
    bucket.redirects[lost.key] = "/nowhere"

    report = fetch(moved, lost)

    assert moved.path.read_bytes() == b"zip"
    assert report.vanished == (lost.key,)


# --- what is resumed, and what is not -----------------------------------------------


def test_a_part_of_another_revision_is_thrown_away(fetch, bucket, want, tmp_path):
    wanted = want("A.zip", b"new" * 100)
    stage(wanted, b"old" * 50, tag=md5(b"old"))
    stage(wanted, b"control", tag=f"{md5(b'old')}.aria2")
    neighbour = stage(want("B.zip"), b"zi")

    fetch(wanted)

    assert bucket.starts(wanted.key) == [0]
    assert wanted.path.read_bytes() == b"new" * 100
    assert staged_files(tmp_path) == [neighbour.name]


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"too long for it", id="longer"),
        pytest.param(b"piz", id="same length, other bytes"),
        pytest.param(b"zi", id="shorter, without aria2's record"),
    ],
)
def test_a_spoilt_staged_file_is_fetched_from_scratch(fetch, bucket, want, content):
    wanted = want("A.zip")
    stage(wanted, content)

    report = fetch(wanted)

    assert bucket.starts(wanted.key) == [0]
    assert wanted.path.read_bytes() == b"zip"
    assert report.kept == 0


@pytest.mark.parametrize(
    ("part", "record"),
    [
        pytest.param(b"part", b"", id="empty record"),
        pytest.param(b"part", b"\0\1garbage" * 9, id="garbage"),
        pytest.param(b"part", record_of(5 << 20)[:-1], id="cut off"),
        pytest.param(b"part", record_of(5 << 20) + b"\0", id="too long"),
        pytest.param(b"part", record_of(6 << 20), id="of another size"),
        pytest.param(b"x" * (6 << 20), record_of(5 << 20), id="long part"),
        pytest.param(None, record_of(5 << 20), id="no part"),
        pytest.param(b"", record_of(5 << 20), id="empty part"),
        pytest.param(b"part", record_of(5 << 20), id="none has come"),
        pytest.param(b"x" * (5 << 20), all_have_come(5 << 20), id="wrong bytes"),
    ],
)
def test_a_part_that_cannot_be_continued_is_fetched_again_at_once(
    fetch, want, part, record
):
    large, small = want("L.zip", bytes(5 << 20)), want("S.zip", b"small")
    for file in (large, small):
        stage(file, record, tag=f"{file.etag}.aria2")
        if part is not None:
            stage(file, part)

    fetch(large, small)

    assert large.path.read_bytes() == bytes(5 << 20)
    assert small.path.read_bytes() == b"small"


def test_an_answer_of_another_length_does_not_block_the_next(fetch, bucket, want):
    large = want("L.zip", bytes(5 << 20))
    bucket.versions[large.key] = [bytes(6 << 20), bytes(4 << 20), bytes(5 << 20)]

    fetch(large)

    assert large.path.read_bytes() == bytes(5 << 20)


def test_a_file_without_a_known_revision_is_never_continued(fetch, bucket, want):
    wanted = want("A.zip", etag=None)
    stage(wanted, b"zi", tag="unlisted")

    fetch(wanted)

    assert set(bucket.starts(wanted.key)) == {0}


# --- processes ----------------------------------------------------------------------

CHILD = """
import json, sys
from pathlib import Path
from bhds.archive.download.batch import fetch_batch
from bhds.archive.download.staging import RequestedFile
order = json.loads(sys.stdin.read())
wanted = [
    RequestedFile(path=Path(one.pop("path")), **one) for one in order.pop("wanted")
]
fetch_batch(wanted, **order)
"""


def start_child(bucket, tmp_path, wanted):
    order = {
        "wanted": [
            {name: getattr(file, name) for name in ("key", "size", "etag")}
            | {"path": str(file.path)}
            for file in wanted
        ],
        "data_dir": str(tmp_path),
        "base_url": bucket.url,
        "timeout_s": DEADLINE_S,
    }
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD],
        stdin=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    child.stdin.write(json.dumps(order))
    child.stdin.close()
    return child


@pytest.mark.parametrize("sign", ["SIGKILL", "SIGTERM", "SIGINT"])
def test_a_killed_batch_goes_on_where_it_was(fetch, bucket, want, tmp_path, sign):
    small = [want(f"{name}.zip", name.encode() * 1000) for name in "ABCD"]
    large = want("L.zip", os.urandom(3 << 20))
    bucket.stalling.add(large.key)
    child = start_child(bucket, tmp_path, [*small, large])
    assert bucket.stalled.wait(DEADLINE_S)
    wait_until(lambda: all(staged_whole(file) for file in small))

    end(child, bucket, sign=sign)

    record = staging(large, tag=f"{large.etag}.aria2")
    wait_until(lambda: record.read_bytes() != record_of(large.size))
    assert not any(file.path.exists() for file in [*small, large])

    bucket.stalling.clear()
    report = fetch(*small, large)

    assert report.kept == 4
    assert [bucket.count(file.key) for file in small] == [1, 1, 1, 1]
    assert bucket.starts(large.key)[-1] > 0, "the part was not continued"
    assert large.path.read_bytes() == bucket.objects[large.key]
    assert ledger.download_rate(ledger.read(tmp_path)) is None, "a part was counted"


def test_a_part_is_begun_again_where_the_server_cannot_continue(
    fetch, bucket, want, tmp_path
):
    large = want("L.zip", os.urandom(3 << 20))
    bucket.stalling.add(large.key)
    child = start_child(bucket, tmp_path, [large])
    assert bucket.stalled.wait(DEADLINE_S)
    end(child, bucket, sign="SIGTERM")
    bucket.stalling.clear()
    bucket.ranges = False

    fetch(large)

    assert large.path.read_bytes() == bucket.objects[large.key]


def test_a_part_that_aria2_refuses_to_begin_again_is_given_up(
    fetch, bucket, want, tmp_path
):
    """aria2 mostly begins anew by itself; here it does not, while a part is there."""
    file = want("L.zip", b"whole")
    place = staging(file)
    place.parent.mkdir(parents=True)
    place.write_bytes(b"wh")
    place.with_name(f"{place.name}.aria2").write_bytes(record_of(5))
    refusing = tmp_path / "aria2c"
    url = f"{bucket.url}/{file.key}"
    refusing.write_text(
        "#!/bin/sh\n"
        f"if [ -e '{place}' ]; then\n"
        f"  echo '[ERROR] CUID#7 - Download aborted. URI={url}'\n"
        "  echo 'Exception: [A.cc:1] errorCode=8 URI=x'\n"
        "  echo '  -> [B.cc:2] errorCode=8 Invalid range header.'\n"
        "  exit 8\n"
        "fi\n"
        f'exec {aria2.find_executable()} "$@"\n'
    )
    refusing.chmod(0o755)

    fetch(file, aria2c=refusing)

    assert file.path.read_bytes() == b"whole"


def end(child, bucket, *, sign):
    child.send_signal(getattr(signal, sign))
    assert child.wait(DEADLINE_S) != 0
    assert bucket.dropped.wait(DEADLINE_S), "aria2c outlived its parent"


def staged_whole(file):
    place = staging(file)
    control = place.with_name(f"{place.name}.aria2")
    return place.exists() and place.stat().st_size == file.size and not control.exists()


def test_two_processes_fetch_side_by_side(bucket, want, tmp_path):
    batches = [[want(f"{name}{i}.zip") for i in range(20)] for name in "AB"]

    children = [start_child(bucket, tmp_path, batch) for batch in batches]

    assert [child.wait(DEADLINE_S) for child in children] == [0, 0]
    files = [file for batch in batches for file in batch]
    assert all(file.path.read_bytes() == b"zip" for file in files)
    assert [bucket.count(file.key) for file in files] == [1] * 40
    assert sorted(ledger.read(tmp_path)["key"]) == sorted(file.key for file in files)
