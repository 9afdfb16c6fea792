"""What is kept of what a server sends, and what is a failed transfer."""

import hashlib
import io
import zipfile

import pytest

from bhds.archive.download import ledger
from bhds.core.errors import FetchError

from ..conftest import md5, staged_files

PAGE = b"<!DOCTYPE html><html>Please pay for your room</html>"
NAME = "BTCUSDT-1m-2026-01-01"


def zipped(csv=b"1,2,3\n", *, name=NAME):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(zipfile.ZipInfo(f"{name}.csv"), csv)
    return file.getvalue()


def checksum_of(content, *, name=NAME):
    return f"{hashlib.sha256(content).hexdigest()}  {name}.zip\n".encode()


SOUND, NEWER = zipped(), zipped(b"4,5,6\n")
OLD = {"etag": md5(b"replaced since"), "size": 9}
"""What a listing says that is older than the file."""


@pytest.mark.parametrize(
    ("body", "has_checksum"),
    [
        pytest.param(PAGE, True, id="page"),
        pytest.param(SOUND + bytes(9), False, id="padded"),
        pytest.param(SOUND.replace(b"1,2,3", b"1,2,4"), True, id="other bytes"),
        pytest.param(SOUND[:-1], False, id="cut off"),
        # Its CRC would prove it, were there no CHECKSUM.
        pytest.param(NEWER, True, id="another file"),
        pytest.param(b"", False, id="nothing"),
    ],
)
def test_a_body_unlike_its_listing_fails_by_name_and_comes_right_later(  # noqa: PLR0917
    fetch, bucket, want, tmp_path, caplog, body, has_checksum
):
    archive, other = want(f"{NAME}.zip", SOUND), want("other.zip")
    pair = [archive]
    if has_checksum:
        pair.append(want(f"{NAME}.zip.CHECKSUM", checksum_of(SOUND)))
    bucket.versions[archive.key] = [body]

    with pytest.raises(FetchError, match=rf"failed \({NAME}\.zip\) - received "):
        fetch(*pair, other)

    assert other.path.exists()
    assert not archive.path.exists()
    assert f"received {len(body):,} bytes with MD5 {md5(body)}, listed" in caplog.text
    assert f"{len(SOUND):,} bytes with ETag {archive.etag}" in caplog.text
    assert ("looks like a page" in caplog.text) == (body == PAGE)
    assert archive.key not in ledger.read(tmp_path)["key"]

    bucket.versions.clear()
    fetch(*pair)

    assert archive.path.read_bytes() == SOUND
    assert staged_files(tmp_path) == []


@pytest.mark.parametrize("times", [1, 2])
def test_a_file_that_was_spoilt_on_the_way_is_fetched_again(fetch, bucket, want, times):
    wanted = want("A.zip", b"sound")
    bucket.versions[wanted.key] = [b"s0und"] * times + [b"sound"]

    report = fetch(wanted)

    assert wanted.path.read_bytes() == b"sound"
    assert report.unlike_listing == ()


def test_a_file_that_was_refused_and_then_spoilt_is_fetched_again(fetch, bucket, want):
    wanted = want("A.zip", b"sound")
    bucket.statuses[wanted.key] = [500, 200]
    bucket.versions[wanted.key] = [b"", b"s0und", b"sound"]

    fetch(wanted)

    assert wanted.path.read_bytes() == b"sound"


def test_a_zip_that_its_checksum_names_is_kept_against_the_listing(
    fetch, bucket, want, tmp_path
):
    archive = want(f"{NAME}.zip", NEWER, **OLD)
    checksum = want(f"{NAME}.zip.CHECKSUM", checksum_of(NEWER), **OLD)

    report = fetch(archive, checksum)

    assert archive.path.read_bytes() == NEWER
    assert report.unlike_listing == (archive.key, checksum.key)
    assert bucket.count(archive.key) == 1
    row = ledger.read(tmp_path).sort("key").row(0, named=True)
    assert (row["etag"], row["md5"]) == (OLD["etag"], md5(NEWER))
    assert row["proof"] == "CHECKSUM"


def test_a_zip_without_a_checksum_is_proven_by_its_crc(fetch, bucket, want, tmp_path):
    archive = want(f"{NAME}.zip", NEWER, **OLD)
    checksum = want(f"{NAME}.zip.CHECKSUM", checksum_of(SOUND))
    bucket.statuses[checksum.key] = [404]

    fetch(archive, checksum)

    assert archive.path.read_bytes() == NEWER
    proofs = ledger.read(tmp_path).sort("key")["proof"].to_list()
    assert proofs == ["CRC", None]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(PAGE, id="page"),
        pytest.param(checksum_of(NEWER, name="other"), id="of another zip"),
        pytest.param(b"0" * 64, id="without a name"),
    ],
)
def test_a_checksum_that_cannot_be_read_is_a_failed_transfer(fetch, bucket, want, text):
    archive = want(f"{NAME}.zip", SOUND)
    checksum = want(f"{NAME}.zip.CHECKSUM", checksum_of(SOUND))
    bucket.versions[checksum.key] = [text]

    with pytest.raises(FetchError, match=rf"failed \({NAME}\.zip\.CHECKSUM\) - "):
        fetch(archive, checksum)

    assert not checksum.path.exists()


def test_a_checksum_as_listed_is_kept_whatever_it_says(fetch, want):
    archive = want(f"{NAME}.zip", SOUND)
    checksum = want(f"{NAME}.zip.CHECKSUM", b"none today")

    fetch(archive, checksum)

    assert checksum.path.read_bytes() == b"none today"


def test_a_sound_zip_of_another_day_is_no_proof(fetch, bucket, want):
    archive = want(f"{NAME}.zip", SOUND)
    bucket.versions[archive.key] = [zipped(name="BTCUSDT-1m-2026-01-02")]

    with pytest.raises(FetchError, match="1 of 1 files failed"):
        fetch(archive)


def test_one_sound_zip_in_place_of_several_is_no_proof(fetch, bucket, want):
    """A proxy that serves one cached answer for all; their CRCs are right."""
    files = [want(f"{NAME}{n}.zip", SOUND + bytes([n])) for n in range(3)]
    for file in files:
        bucket.versions[file.key] = [NEWER]

    with pytest.raises(FetchError, match="3 of 3 files failed"):
        fetch(*files)


@pytest.mark.parametrize(
    ("content", "requests"),
    [
        pytest.param(SOUND, 1, id="proven"),
        pytest.param(b"no zip, but the same each time", 2, id="served twice"),
    ],
)
def test_a_file_without_a_listed_md5_is_proven_or_comes_twice_the_same(
    fetch, bucket, want, content, requests
):
    wanted = want(f"{NAME}.zip", content, etag=f"{md5(b'parts')}-2")

    report = fetch(wanted)

    assert bucket.count(wanted.key) == requests
    assert wanted.path.read_bytes() == content
    assert report.unlike_listing == ()


def test_a_file_without_a_listed_md5_fails_that_nothing_says_is_right(
    fetch, bucket, want
):
    etag = f"{md5(b'parts')}-2"
    archive = want(f"{NAME}.zip", SOUND, etag=etag)
    checksum = want(f"{NAME}.zip.CHECKSUM", checksum_of(SOUND))
    alike = [want(f"{NAME}{n}.zip", SOUND + b"1", etag=etag) for n in range(2)]
    for file in (archive, *alike):
        bucket.versions[file.key] = [bytes(file.size)]

    with pytest.raises(FetchError, match="3 of 4 files failed"):
        fetch(archive, checksum, *alike)


def test_a_file_without_a_listed_md5_stays_that_differs_from_its_checksum(fetch, want):
    archive = want(f"{NAME}.zip", SOUND, etag=f"{md5(b'parts')}-2")
    checksum = want(f"{NAME}.zip.CHECKSUM", checksum_of(NEWER))

    fetch(archive, checksum)

    assert archive.path.read_bytes() == SOUND


def test_a_file_without_a_listed_md5_that_changes_each_time_fails(fetch, bucket, want):
    wanted = want(f"{NAME}.zip", SOUND, etag=f"{md5(b'parts')}-2")
    flipped = [SOUND.replace(b"1,2,3", f"1,2,{n}".encode()) for n in (4, 5, 6)]
    bucket.versions[wanted.key] = flipped

    with pytest.raises(FetchError, match="1 of 1 files failed"):
        fetch(wanted)
