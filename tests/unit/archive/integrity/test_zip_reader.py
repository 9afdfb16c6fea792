import io
import random
import zipfile
import zlib

import pytest

from bhds.archive.integrity import zip_reader
from bhds.archive.integrity.bounds import MAX_DIRECTORY_BYTES, MAX_TEXT, Bounds
from bhds.archive.integrity.zip_reader import find_csv, inflated
from bhds.core.errors import ParseError

STEM = "BTCUSDT-1m-2024-01-01"
CONTENT = b"1704067200000,1,2,0,1\n" * 500


def zipped(contents, method=zipfile.ZIP_DEFLATED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as opened:
        for name, content in contents.items():
            opened.writestr(name, content)
    return buffer.getvalue()


def patched(archive, old, new, count=-1):
    assert old in archive
    return archive.replace(old, new, count)


def find(archive, *, size=1 << 32):
    return find_csv(archive, stem=STEM, bounds=Bounds(rows=10, size=size))


def read_member(archive):
    """Read a member in chunks, and return it with the warnings."""
    opened = io.BytesIO(archive)
    entry = find(opened)
    chunks = list(inflated(opened, entry=entry, chunk_bytes=1_000))
    assert all(len(chunk) <= 1_000 for chunk in chunks)
    return b"".join(chunks), entry.warnings


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED])
@pytest.mark.parametrize("content", [CONTENT, b"", b"1"], ids=["rows", "empty", "byte"])
def test_member_is_returned_whole(method, content):
    archive = zipped({f"{STEM}.csv": content}, method)

    assert read_member(archive) == (content, ())


@pytest.mark.parametrize("name", ["other.csv", f"folder/{STEM}.csv", f"{STEM}.CSV"])
def test_only_csv_of_another_name_is_taken_with_a_warning(name):
    content, warnings = read_member(zipped({name: CONTENT}))

    assert content == CONTENT
    assert warnings == (f"the CSV is named {name!r}, not {STEM}.csv",)


def test_other_members_are_ignored_with_a_warning():
    contents = {"readme.txt": b"x", f"{STEM}.csv": CONTENT, "folder/": b""}

    content, warnings = read_member(zipped(contents))

    assert content == CONTENT
    assert warnings == ("other members are ignored: readme.txt, folder/",)


@pytest.mark.parametrize(
    ("contents", "found"),
    [
        pytest.param({}, "0 CSVs in nothing", id="empty zip"),
        pytest.param({"a.txt": b""}, "0 CSVs in 'a.txt'", id="no CSV"),
        pytest.param(
            {f"{STEM}.csv": CONTENT, "b.csv": CONTENT}, "2 CSVs", id="two CSVs"
        ),
        pytest.param(
            {f"{STEM}.csv": CONTENT, f"data/{STEM}.csv": CONTENT},
            "2 CSVs",
            id="second in a folder",
        ),
    ],
)
def test_any_other_number_of_csvs_is_refused(contents, found):
    with pytest.raises(ParseError, match=rf"{found}.*expected one, {STEM}\.csv"):
        read_member(zipped(contents))


def test_wrong_crc_is_refused():
    archive = zipped({f"{STEM}.csv": CONTENT}, zipfile.ZIP_STORED)

    with pytest.raises(ParseError, match=r"CRC-32 is [0-9a-f]{8}: its zip declares"):
        read_member(patched(archive, b"1704", b"1705", 1))


def test_damaged_stream_is_refused():
    archive = bytearray(zipped({f"{STEM}.csv": CONTENT}))
    archive[30 + len(STEM) + 4] ^= 0xFF

    with pytest.raises(ParseError, match=r"inflate|stream|bytes|CRC"):
        read_member(bytes(archive))


@pytest.mark.parametrize("declared", [0, 1, 10_999, 11_001, 2**31])
def test_wrong_declared_size_is_refused(declared):
    archive = zipped({f"{STEM}.csv": CONTENT})
    directory = archive.rindex(b"PK\x01\x02")
    lying = (
        archive[: directory + 24]
        + declared.to_bytes(4, "little")
        + archive[directory + 28 :]
    )

    with pytest.raises(ParseError, match="declares"):
        read_member(lying)


def deflated(stream, content):
    """Return a zip whose member is `stream`, declared to inflate to `content`."""
    archive = bytearray(zipped({f"{STEM}.csv": stream}, zipfile.ZIP_STORED))
    directory = archive.rindex(b"PK\x01\x02")
    method, crc, size = (zipfile.ZIP_DEFLATED, zlib.crc32(content), len(content))
    archive[directory + 10 : directory + 12] = method.to_bytes(2, "little")
    archive[directory + 16 : directory + 20] = crc.to_bytes(4, "little")
    archive[directory + 24 : directory + 28] = size.to_bytes(4, "little")
    return bytes(archive)


@pytest.mark.parametrize(
    ("flush", "tail", "sound"),
    [
        pytest.param(zlib.Z_FINISH, b"", True, id="ends with the member"),
        pytest.param(zlib.Z_SYNC_FLUSH, b"", False, id="does not end"),
        pytest.param(zlib.Z_FINISH, b"more", False, id="ends before the member"),
    ],
)
def test_stream_must_end_with_its_member(flush, tail, sound):
    deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    stream = deflater.compress(CONTENT) + deflater.flush(flush) + tail
    archive = deflated(stream, CONTENT)

    if sound:
        assert read_member(archive) == (CONTENT, ())
    else:
        with pytest.raises(ParseError, match="does not end with the member"):
            read_member(archive)


def test_stream_that_ends_with_a_chunk_must_end_with_its_member(monkeypatch):
    stream = zlib.compress(CONTENT, wbits=-zlib.MAX_WBITS)
    monkeypatch.setattr(zip_reader, "_STORED_CHUNK_BYTES", len(stream))

    assert read_member(deflated(stream, CONTENT))[0] == CONTENT
    with pytest.raises(ParseError, match="does not end with the member"):
        read_member(deflated(stream + b"more", CONTENT))


def test_csv_that_declares_more_than_it_may_have_is_refused():
    archive = io.BytesIO(zipped({f"{STEM}.csv": bytes(1_000_000)}))

    assert find(archive, size=1_000_000).size == 1_000_000
    with pytest.raises(ParseError, match="declares 1000000 bytes: expected at most 99"):
        find(archive, size=999_999)


def with_end_of(directory):
    """Return the end of a zip whose central directory has so many bytes."""
    sizes = directory.to_bytes(4, "little") + bytes(4)
    return b"PK\x05\x06" + bytes(4) + b"\1\0\1\0" + sizes + bytes(2)


@pytest.mark.parametrize(
    "archive",
    [
        pytest.param(
            zipped({f"{number}.csv": b"" for number in range(5_000)}), id="members"
        ),
        pytest.param(bytes(1 << 20) + with_end_of(1 << 20), id="declared"),
    ],
)
def test_directory_is_not_read_beyond_what_it_may_have(archive):
    most = f"directory has more than {MAX_DIRECTORY_BYTES} bytes"
    with pytest.raises(ParseError, match=f"cannot be opened: its {most}"):
        read_member(archive)


def test_comment_may_be_as_long_as_it_can_be():
    archive = io.BytesIO(zipped({f"{STEM}.csv": CONTENT}))
    with zipfile.ZipFile(archive, "a") as opened:
        opened.comment = bytes(65_535)

    assert read_member(archive.getvalue()) == (CONTENT, ())


def test_names_of_members_are_told_in_short_and_printable():
    name = f"{STEM}\n\x1b[31m{'x' * 60_000}.csv"

    _, (warning,) = read_member(zipped({name: CONTENT}))
    with pytest.raises(ParseError, match="2 CSVs") as caught:
        read_member(zipped({name: CONTENT, f"{name}.csv": CONTENT}))

    for text in (warning, str(caught.value)):
        assert len(text) < MAX_TEXT
        assert text.isprintable()


def test_encrypted_member_is_refused():
    archive = bytearray(zipped({f"{STEM}.csv": CONTENT}))
    archive[archive.rindex(b"PK\x01\x02") + 8] |= 0x1

    with pytest.raises(ParseError, match="is encrypted"):
        read_member(bytes(archive))


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_compression_is_refused(method):
    archive = zipped({f"{STEM}.csv": CONTENT}, method)

    with pytest.raises(ParseError, match=f"compression {method}: expected stored or"):
        read_member(archive)


def test_local_header_that_is_none_is_refused():
    archive = zipped({f"{STEM}.csv": CONTENT})

    with pytest.raises(ParseError, match="no local header at 0"):
        read_member(patched(archive, b"PK\x03\x04", b"XXXX"))


def with_directory_at(offset):
    archive = zipped({f"{STEM}.csv": CONTENT})
    end = archive.rindex(b"PK\x05\x06") + 16
    return archive[:end] + offset.to_bytes(4, "little") + archive[end + 4 :]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html>",
        b"PK\x05\x06" + bytes(18),
        pytest.param(zipped({f"{STEM}.csv": CONTENT})[:-30], id="cut off"),
        pytest.param(with_directory_at(1 << 31), id="directory beyond the end"),
        pytest.param(with_directory_at(7), id="directory elsewhere"),
    ],
)
def test_what_is_no_zip_is_refused(content):
    refusal = "cannot be opened|0 CSVs in nothing|local header at"

    with pytest.raises(ParseError, match=refusal):
        read_member(content)


def test_streamed_bomb_is_refused_as_soon_as_it_is_too_large():
    archive = deflated(zlib.compress(bytes(10_000_000), wbits=-15), bytes(2_500))
    opened = io.BytesIO(archive)
    chunks = inflated(opened, entry=find(opened), chunk_bytes=1_000)

    taken = [next(chunks), next(chunks)]

    assert [len(chunk) for chunk in taken] == [1_000, 1_000]
    with pytest.raises(ParseError, match="inflates to more than the 2500 bytes"):
        next(chunks)


def test_member_of_many_chunks_is_streamed_whole():
    rng = random.Random(1)
    content = b"".join(b"%d\n" % rng.getrandbits(60) for _ in range(60_000))
    archive = zipped({f"{STEM}.csv": content})
    assert len(archive) > 2 * (1 << 18)  # more than is read at once

    assert read_member(archive)[0] == content


def test_damage_behind_many_chunks_shows_at_the_end():
    archive = zipped({f"{STEM}.csv": CONTENT * 100}, zipfile.ZIP_STORED)
    opened = io.BytesIO(patched(archive, CONTENT[-9:] + b"PK", b"9,1,2,2,1PK", 1))
    chunks = inflated(opened, entry=find(opened), chunk_bytes=4_096)

    taken = [next(chunks) for _ in range(len(CONTENT) * 100 // 4_096 + 1)]

    assert sum(map(len, taken)) == len(CONTENT) * 100
    with pytest.raises(ParseError, match="CRC-32 is"):
        next(chunks)


def test_zip64_is_read(monkeypatch):
    # What a zip of more than 4 GiB has: sizes and positions in fields of 64 bits.
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 100)
    archive = zipped({"readme.txt": bytes(1_000), f"{STEM}.csv": CONTENT})
    directory = archive.rindex(b"PK\x01\x02")
    assert b"PK\x06\x06" in archive
    assert archive[directory + 24 : directory + 28] == b"\xff\xff\xff\xff"

    assert read_member(archive)[0] == CONTENT


def test_zip_that_shrinks_while_it_is_read_is_refused():
    archive = zipped({f"{STEM}.csv": CONTENT}, zipfile.ZIP_STORED)
    opened = io.BytesIO(archive)
    entry = find(opened)
    opened.truncate(entry.begin + 3_000)

    with pytest.raises(ParseError, match="its last 8000 bytes vanished"):
        list(inflated(opened, entry=entry))
