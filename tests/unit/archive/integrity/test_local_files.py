"""What zips are sound; the rest of judgement is tested with verification."""

import hashlib
import io
import struct
import zipfile

import pytest

from bhds.archive.integrity.bounds import Bounds
from bhds.archive.integrity.local_files import DiskFile, judge_pair
from bhds.archive.integrity.status import judge_archive
from bhds.archive.integrity.zip_input import ArchiveInput
from bhds.core.markets import Frequency

NAME = "BTCUSDT-1m-2024-01-01.zip"
CSV = "BTCUSDT-1m-2024-01-01.csv"
ROWS = b"1704067200000,1,2\n" * 100


def zipped(members, method=zipfile.ZIP_DEFLATED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content, method)
    return file.getvalue()


def encrypted():
    content = bytearray(zipped({CSV: ROWS}))
    content[6] |= 1  # the flag in the local header
    content[content.rindex(b"PK\x01\x02") + 8] |= 1  # and in the directory
    return bytes(content)


def with_directory_at(offset):
    content = zipped({CSV: ROWS})
    end = content.rindex(b"PK\x05\x06")
    return content[: end + 16] + struct.pack("<I", offset) + content[end + 20 :]


def with_wrong_crc():
    content = zipped({CSV: ROWS}, zipfile.ZIP_STORED)
    return content.replace(b"1704067200000", b"1704067200001", 1)


def judge(content, tmp_path):
    """Judge a zip that came so, without a CHECKSUM; return what parsing says too."""
    place = tmp_path / NAME
    place.write_bytes(content)
    sha256 = hashlib.sha256(content).hexdigest()
    file = DiskFile(
        key=f"data/spot/daily/klines/BTCUSDT/1m/{NAME}",
        path=NAME,
        size=len(content),
        mtime_ns=0,
        inode=0,
        sha256=sha256,
        fault=None,
        listed_size=len(content),
        etag=None,
        fetched_size=len(content),
        fetched_sha256=sha256,
        is_gone=False,
    )
    (finding,) = judge_pair(file, None, data_dir=tmp_path)
    source = ArchiveInput(place, file.key, Frequency.DAILY, None)
    with place.open("rb") as opened:
        parsed, _ = judge_archive(opened, source=source, bounds=Bounds(9, 1 << 20))
    return finding, parsed.integrity_status


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(zipped({CSV: ROWS}), id="deflated"),
        pytest.param(zipped({CSV: ROWS}, zipfile.ZIP_STORED), id="stored"),
        pytest.param(zipped({CSV: b""}), id="empty CSV"),
        pytest.param(zipped({"other.CSV": ROWS}), id="another name"),
        pytest.param(zipped({CSV: ROWS, "readme.txt": b"x"}), id="and another file"),
    ],
)
def test_a_zip_of_one_whole_csv_is_sound_as_in_parsing(content, tmp_path):
    finding, parsed = judge(content, tmp_path)

    assert finding.integrity_status == parsed == "checksum-missing"
    assert finding.reason == "there is no CHECKSUM file"
    assert finding.damage is None


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param(b"<html>not found</html>", "cannot be opened", id="no zip"),
        pytest.param(zipped({CSV: ROWS})[:-30], "cannot be opened", id="cut off"),
        pytest.param(zipped({CSV: ROWS})[20:], "zip", id="without its begin"),
        pytest.param(with_wrong_crc(), "CRC-32 is", id="CRC-32"),
        pytest.param(zipped({}), "0 CSVs", id="no member"),
        pytest.param(zipped({"a.csv": b"1", "b.csv": b"2"}), "2 CSVs", id="two CSVs"),
        pytest.param(encrypted(), "encrypted", id="encrypted"),
        pytest.param(
            zipped({CSV: ROWS}, zipfile.ZIP_BZIP2), "compression 12", id="bzip2"
        ),
        pytest.param(with_directory_at(1 << 31), "zip", id="directory beyond the end"),
        pytest.param(with_directory_at(7), "local header", id="directory elsewhere"),
    ],
)
def test_any_other_zip_is_corrupt_as_in_parsing(content, reason, tmp_path):
    finding, parsed = judge(content, tmp_path)

    assert finding.integrity_status == parsed == "corrupt"
    assert reason in finding.reason
    assert finding.reason.endswith("; so it came")
    assert finding.damage is None


def test_a_zip_with_a_bit_turned_anywhere_is_judged_as_in_parsing(tmp_path):
    content = zipped({CSV: ROWS})
    statuses = set()
    for position in range(len(content)):
        turned = bytearray(content)
        turned[position] ^= 1 << position % 8
        finding, parsed = judge(bytes(turned), tmp_path)
        statuses.add((finding.integrity_status, parsed))

    # Some bits carry nothing, such as those of the time.
    assert statuses == {("corrupt",) * 2, ("checksum-missing",) * 2}
