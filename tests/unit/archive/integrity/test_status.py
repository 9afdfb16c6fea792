import hashlib

import pytest

from bhds.archive.integrity.bounds import MAX_CHECKSUM_BYTES, MAX_TEXT, Bounds
from bhds.archive.integrity.status import judge_archive, read_checksum_file
from bhds.schemas.archive_tables import IntegrityStatus

NAME = "BTCUSDT-1m-2024-01-01.zip"
DIGEST = "ab" * 32


def judge(source):
    """Judge a zip; it has an entry exactly if it can be used."""
    with source.path.open("rb") as opened:
        archive, entry = judge_archive(
            opened, source=source, bounds=Bounds(rows=10, size=100)
        )
    unusable = {IntegrityStatus.CORRUPT, IntegrityStatus.VANISHED}
    assert (entry is None) == (archive.integrity_status in unusable)
    return archive


@pytest.mark.parametrize(
    "text",
    [
        f"{DIGEST}  {NAME}",
        f"{DIGEST}  {NAME}\n",
        f"{DIGEST}  {NAME}\r\n",
        f"{DIGEST} {NAME}",
        f"{DIGEST.upper()}  {NAME}",
    ],
)
def test_checksum_is_read_with_or_without_a_newline(tmp_path, text):
    path = tmp_path / "checksum"
    path.write_text(text, newline="")

    assert read_checksum_file(path, archive_name=NAME).sha256 == DIGEST


def test_checksum_of_a_non_ascii_symbol_is_read(tmp_path):
    path = tmp_path / "checksum"
    path.write_text(f"{DIGEST}  币安人生USDT-1m-2024-01.zip", encoding="utf-8")

    checksum = read_checksum_file(path, archive_name="币安人生USDT-1m-2024-01.zip")

    assert checksum.sha256 == DIGEST


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param(None, "there is no CHECKSUM", id="absent"),
        pytest.param(b"", "is empty", id="empty"),
        pytest.param(f"{DIGEST}  ETH.zip".encode(), "is of 'ETH.zip'", id="other zip"),
        pytest.param(f"{DIGEST[1:]}  {NAME}".encode(), "reads", id="short"),
        pytest.param(f"{DIGEST}{NAME}".encode(), "reads", id="no space"),
        pytest.param(DIGEST.encode(), "reads", id="no name"),
        pytest.param(
            f"{DIGEST}  {NAME}\n{DIGEST}  b".encode(), "reads", id="two lines"
        ),
        pytest.param(b"\xff\xfe<html>", "reads", id="no text"),
        pytest.param(
            b"0" * (MAX_CHECKSUM_BYTES + 1), "has 1001 bytes: expected at", id="long"
        ),
        pytest.param(f"{DIGEST}  {'b' * 900}".encode(), "is of 'bbb", id="long name"),
    ],
)
def test_unreadable_checksum_has_a_reason(tmp_path, content, reason):
    path = tmp_path / "checksum"
    if content is not None:
        path.write_bytes(content)

    checksum = read_checksum_file(path, archive_name=NAME)

    assert checksum.sha256 is None
    assert reason in checksum.reason
    assert len(checksum.reason) < MAX_TEXT


def test_zip_that_matches_its_checksum_is_ok(archive):
    source = archive(NAME, "rows")

    read = judge(source)

    assert read.integrity_status is IntegrityStatus.OK
    assert read.reason is None
    assert read.size == source.path.stat().st_size
    assert read.sha256 == read.published_sha256
    assert read.sha256 == hashlib.sha256(source.path.read_bytes()).hexdigest()


@pytest.mark.parametrize("checksum", [None, "", "nonsense"])
def test_sound_zip_without_a_readable_checksum_is_used(archive, checksum):
    read = judge(archive(NAME, "rows", checksum=checksum))

    assert read.integrity_status is IntegrityStatus.CHECKSUM_MISSING
    assert "CHECKSUM" in read.reason
    assert read.published_sha256 is None


@pytest.mark.parametrize(
    ("etag", "warned"),
    [(None, False), ("0" * 32 + "-3", False), ("0" * 32, True)],
    ids=["unknown", "multipart", "other"],
)
def test_zip_without_checksum_that_differs_from_the_listing_warns(
    archive, etag, warned
):
    read = judge(archive(NAME, "rows", checksum=None, etag=etag))

    assert read.integrity_status is IntegrityStatus.CHECKSUM_MISSING
    assert any("listed ETag" in warning for warning in read.warnings) == warned


def restated(source, **changes):
    return type(source)(**(vars(source) | changes))


def test_sound_zip_that_only_the_etag_confirms_has_a_stale_checksum(archive):
    source = archive(NAME, "rows", checksum=f"{DIGEST}  {NAME}")
    md5 = hashlib.md5(source.path.read_bytes(), usedforsecurity=False).hexdigest()

    read = judge(restated(source, etag=md5))

    assert read.integrity_status is IntegrityStatus.CHECKSUM_STALE
    assert read.published_sha256 == DIGEST
    assert f"the CHECKSUM says {DIGEST}" in read.reason


@pytest.mark.parametrize("etag", [None, "0" * 32, "multipart"])
def test_mismatch_that_no_etag_explains_is_corrupt(archive, etag):
    source = archive(NAME, "rows", checksum=f"{DIGEST}  {NAME}")
    if etag == "multipart":
        etag = (
            hashlib.md5(source.path.read_bytes(), usedforsecurity=False).hexdigest()
            + "-2"
        )

    read = judge(restated(source, etag=etag))

    assert read.integrity_status is IntegrityStatus.CORRUPT
    assert f"is not the listed ETag {etag}" in read.reason


def test_zip_that_nothing_confirms_is_inflated_to_find_its_damage(archive):
    source = archive(NAME, "rows", checksum=f"{DIGEST}  {NAME}", method=0)
    source.path.write_bytes(source.path.read_bytes().replace(b"rows", b"cows"))

    assert judge(source).reason.startswith(f"{NAME[:-4]}.csv: CRC-32 is")


def test_unsound_zip_is_corrupt_whatever_confirms_it(archive):
    source = archive(NAME, members={"a.csv": "", "b.csv": ""})
    md5 = hashlib.md5(source.path.read_bytes(), usedforsecurity=False).hexdigest()

    read = judge(restated(source, etag=md5))

    assert read.integrity_status is IntegrityStatus.CORRUPT
    assert "2 CSVs" in read.reason
    assert read.sha256 == read.published_sha256


def test_empty_file_has_vanished(archive):
    source = archive(NAME, "rows")
    source.path.write_bytes(b"")

    read = judge(source)

    assert read.integrity_status is IntegrityStatus.VANISHED
    assert read.size == 0
