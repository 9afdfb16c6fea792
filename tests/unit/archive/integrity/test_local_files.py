"""What zips are sound; the rest of judgement is tested with verification."""

import hashlib
import io
import zipfile

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
