"""Adopting zips: which files are taken, from which folders, and what is refused."""

import errno
import hashlib
import io
import os
import zipfile
from pathlib import Path

import pytest

from bhds.archive.adopt import transfer as module
from bhds.archive.adopt.scan import Flat, Outcome
from bhds.archive.adopt.transfer import Transfer
from bhds.archive.download import ledger
from bhds.archive.integrity.bounds import bounds_of_file
from bhds.archive.keys import ArchiveFile
from bhds.core.errors import FetchError, PlaceError
from bhds.core.markets import Frequency, TradeType

MONTH = ArchiveFile(
    TradeType.UM_FUTURES, Frequency.MONTHLY, "klines", "BTCUSDT", "1m", "2024-02"
)
FUNDING = ArchiveFile(
    TradeType.UM_FUTURES, Frequency.MONTHLY, "fundingRate", "龙虾USDT", None, "2025-03"
)
SPOT_DAY = ArchiveFile(
    TradeType.SPOT, Frequency.DAILY, "klines", "BTCUSDT", "1s", "2024-02-29"
)
SELF = object()


def zipped(file, content="1,2,3\n", *, member=None):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(member or file.name.replace(".zip", ".csv"), content)
    return out.getvalue()


def checksum_of(content, name):
    return f"{hashlib.sha256(content).hexdigest()}  {name}\n".encode()


class Trees:
    """A folder of another tool, and a data directory."""

    def __init__(self, root):
        self.source, self.data = root / "other tool", root / "data"
        self.source.mkdir()
        self.data.mkdir()

    def put(self, path, content, *, checksum=SELF):
        """Write a zip and its CHECKSUM, which is right unless given; None: none."""
        place = self.source / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
        if checksum is SELF:
            checksum = checksum_of(content, place.name)
        if checksum is not None:
            place.with_name(f"{place.name}.CHECKSUM").write_bytes(checksum)
        return place

    def adopt(self, transfer=Transfer.COPY, *, folder=None, dry_run=False, **flat):
        return module.adopt(
            [folder or self.source],
            data_dir=self.data,
            transfer=transfer,
            flat=Flat(**flat),
            dry_run=dry_run,
        )

    def outcomes(self, *arguments, **options):
        """Adopt; return the outcome of each file by its name."""
        found = self.adopt(*arguments, **options)
        return {Path(file.path).name: file.outcome for file in found}

    def placed(self):
        """Return the content of each file in `aws_data`, but for the ledger."""
        return {
            str(path.relative_to(self.data)): path.read_bytes()
            for path in (self.data / "aws_data").rglob("*")
            if path.is_file() and "ledger" not in str(path)
        }


@pytest.fixture
def trees(tmp_path):
    return Trees(tmp_path)


@pytest.mark.parametrize("file", [MONTH, FUNDING, SPOT_DAY])
@pytest.mark.parametrize(
    "form", ["bucket", "original", "own", "renamed", "named", "flat"]
)
def test_a_zip_and_its_checksum_are_taken_from_each_layout(trees, file, form):
    content = zipped(file)
    folder, flat = None, {}
    if form == "flat":
        path = f"old/{file.name}"
        flat = {"trade_type": file.trade_type, "data_type": "klines"}
    elif form in {"own", "renamed"}:
        path = file.path if form == "own" else file.path.replace("aws_data", "old")
    else:
        path = {"original": "aws_data/"}.get(form, "") + file.key
    place = trees.put(path, content)
    if form == "named":
        folder = place.parent

    found = trees.outcomes(folder=folder, **flat)

    assert set(found.values()) == {Outcome.TAKEN}
    assert trees.placed() == {
        file.path: content,
        f"{file.path}.CHECKSUM": checksum_of(content, file.name),
    }
    rows = ledger.read(trees.data).sort("key")
    assert rows["key"].to_list() == [file.key, f"{file.key}.CHECKSUM"]
    md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
    columns = ["etag", "size", "served_size", "md5", "sha256", "requested_at"]
    expected = (None, len(content), len(content), md5)
    sha256 = hashlib.sha256(content).hexdigest()
    assert rows.select(columns).row(0) == (*expected, sha256, None)


def test_files_outside_known_folders_stay_until_their_market_is_named(trees):
    trees.put(f"flat/{MONTH.name}", zipped(MONTH), checksum=None)
    trees.put(f"flat/{FUNDING.name}", zipped(FUNDING), checksum=None)

    undecided = trees.adopt()
    partly = trees.outcomes(trade_type=TradeType.UM_FUTURES)

    assert [file.outcome for file in undecided] == [Outcome.UNDECIDED] * 2
    assert [file.detail for file in undecided] == [
        "name --trade-type and --data-type",
        "name --trade-type",
    ]
    assert partly == {MONTH.name: Outcome.UNDECIDED, FUNDING.name: Outcome.TAKEN}
    assert list(trees.placed()) == [FUNDING.path]


def test_a_second_run_takes_nothing_and_records_what_the_first_could_not(trees):
    trees.put(MONTH.key, zipped(MONTH))
    trees.adopt()
    before = ledger.read(trees.data)
    times = {path: path.stat().st_mtime_ns for path in trees.data.rglob("*.zip")}

    assert set(trees.outcomes().values()) == {Outcome.PRESENT}
    assert ledger.read(trees.data).equals(before)
    for path in (trees.data / "aws_data").rglob("*.parquet"):
        path.unlink()
    trees.adopt()

    assert sorted(ledger.read(trees.data)["key"]) == sorted(before["key"])
    assert times == {path: path.stat().st_mtime_ns for path in times}


def test_a_file_in_place_is_never_replaced_by_other_bytes(trees):
    trees.put(MONTH.key, zipped(MONTH))
    place = trees.data / MONTH.path
    place.parent.mkdir(parents=True)
    place.write_bytes(b"my own")

    found = trees.outcomes(Transfer.MOVE)

    assert found[MONTH.name] is Outcome.DIFFERENT
    assert trees.placed() == {MONTH.path: b"my own"}
    assert (trees.source / MONTH.key).exists()


BOMB = zipped(MONTH, "0" * (bounds_of_file(MONTH).size + 1))


@pytest.mark.parametrize(
    ("content", "checksum", "outcome"),
    [
        pytest.param(b"", None, Outcome.DAMAGED, id="empty"),
        pytest.param(b"<html>", None, Outcome.DAMAGED, id="page"),
        pytest.param(zipped(MONTH)[:-30], None, Outcome.DAMAGED, id="cut off"),
        pytest.param(BOMB, SELF, Outcome.DAMAGED, id="bomb"),
        pytest.param(
            zipped(MONTH, member="../../x.csv"), None, Outcome.DAMAGED, id="climbs"
        ),
        pytest.param(
            zipped(MONTH, member="ETHUSDT-1m-2024-02.csv"),
            None,
            Outcome.DAMAGED,
            id="renamed",
        ),
        pytest.param(
            zipped(MONTH),
            checksum_of(b"other", MONTH.name),
            Outcome.UNLIKE_CHECKSUM,
            id="unlike its CHECKSUM",
        ),
    ],
)
def test_an_unsound_zip_is_not_taken(trees, content, checksum, outcome):
    trees.put(MONTH.key, content, checksum=checksum)

    assert trees.outcomes(Transfer.MOVE)[MONTH.name] is outcome

    assert trees.placed() == {}
    assert (trees.source / MONTH.key).exists()
    assert ledger.read(trees.data).is_empty()


def test_flipped_bytes_are_found_by_their_crc(trees):
    content = bytearray(zipped(MONTH, "".join(f"{i},{i * 7}\n" for i in range(99))))
    content[100] ^= 1
    trees.put(MONTH.key, bytes(content))

    assert trees.outcomes()[MONTH.name] is Outcome.DAMAGED


def test_a_huge_file_is_refused_before_it_is_copied(trees, monkeypatch):
    place = trees.put(MONTH.key, b"")
    os.truncate(place, 1 << 40)
    monkeypatch.setattr(module, "_read", lambda _: pytest.fail("was read"))

    assert trees.outcomes()[MONTH.name] is Outcome.DAMAGED


@pytest.mark.parametrize(
    "checksum", [b"", b"no hash", checksum_of(zipped(MONTH), "other.zip"), b"x" * 2000]
)
def test_a_zip_is_taken_without_a_checksum_that_cannot_be_read(trees, checksum):
    trees.put(MONTH.key, zipped(MONTH), checksum=checksum)

    trees.adopt()

    assert list(trees.placed()) == [MONTH.path]


@pytest.mark.parametrize(
    ("path", "outcome"),
    [
        ("data/spot/daily/klines/BTCUSDT/1m/ETHUSDT-1m-2024-02-01.zip", "unnamed"),
        ("data/spot/daily/klines/BTCUSDT/1m/BTCUSDT-1m-2024-02-30.zip", "unnamed"),
        ("data/spot/daily/klines/btcusdt/1m/btcusdt-1m-2024-02-01.zip", "unnamed"),
        ("data/spot/daily/klines/*/1m/*-1m-2024-02-01.zip", "unnamed"),
        ("data/spot/daily/klines/A\nB/1m/A\nB-1m-2024-02-01.zip", "unnamed"),
        ("data/spot/daily/klines/A/1m/A-1m-2024-02-01.zip\udcff.zip", "unnamed"),
        ("notes.zip", "unnamed"),
        (
            "data/spot/daily/other/AUSDT/AUSDT-other-2024-02-01.zip",
            "unpublished",
        ),
        (
            "data/spot/monthly/fundingRate/A/A-fundingRate-2024-02.zip",
            "unpublished",
        ),
        ("data/spot/daily/klines/A/1m/A-1m-2024-02-01.zip.verified", "other"),
    ],
)
def test_files_of_other_names_stay(trees, path, outcome):
    trees.put(path, zipped(MONTH), checksum=None)

    (file,) = trees.adopt()

    assert file.outcome == outcome
    assert trees.placed() == {}


def test_links_and_pipes_are_not_followed(trees, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / MONTH.name).write_bytes(zipped(MONTH))
    folder = (trees.source / MONTH.key).parent
    folder.mkdir(parents=True)
    (folder / MONTH.name).symlink_to(outside / MONTH.name)
    os.mkfifo(folder / "BTCUSDT-1m-2024-03.zip")
    (trees.source / "linked").symlink_to(outside)
    april = trees.put(
        MONTH.key.replace("2024-02", "2024-04"),
        zipped(MONTH, member="BTCUSDT-1m-2024-04.csv"),
        checksum=None,
    )
    os.mkfifo(f"{april}.CHECKSUM")

    found = trees.outcomes()

    assert found.pop(april.name) is Outcome.TAKEN
    assert len(found) == 4
    assert set(found.values()) == {Outcome.IRREGULAR}


@pytest.mark.parametrize("transfer", Transfer)
def test_a_link_shares_the_file_and_only_a_move_removes_it(trees, transfer):
    place = trees.put(MONTH.key, zipped(MONTH))
    os.utime(place, (1, 1))

    trees.adopt(transfer)

    target = trees.data / MONTH.path
    assert place.exists() is (transfer is not Transfer.MOVE)
    if place.exists():
        assert place.samefile(target) is (transfer is Transfer.LINK)
        assert place.stat().st_mtime == 1
    assert list(trees.data.rglob("*.partial")) == []


def test_a_move_of_files_that_are_in_place_removes_other_names_alone(trees):
    place = trees.put(MONTH.key, zipped(MONTH))
    trees.adopt()

    trees.adopt(Transfer.MOVE, folder=trees.data)
    trees.adopt(Transfer.MOVE)

    assert len(trees.placed()) == 2
    assert not place.exists()


def test_without_hard_links_a_link_is_an_error_and_a_move_copies(trees, monkeypatch):
    place = trees.put(MONTH.key, zipped(MONTH))

    def link(*_, **__):
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", link)

    with pytest.raises(PlaceError, match=r"cannot be hard-linked .*--copy or --move"):
        trees.adopt(Transfer.LINK)
    assert trees.placed() == {}
    trees.adopt(Transfer.MOVE)
    assert len(trees.placed()) == 2
    assert not place.exists()


def test_one_of_several_sources_of_a_file_is_taken_as_a_dry_run_foresees(trees):
    trees.put(f"a/{MONTH.key}", b"damaged")
    trees.put(f"b/{MONTH.key}", zipped(MONTH))
    trees.put(f"c/{MONTH.key}", zipped(MONTH), checksum=None)
    trees.put(f"d/{MONTH.key}", zipped(MONTH, "other"))

    foreseen = trees.adopt(Transfer.MOVE, dry_run=True)
    assert not [*trees.data.iterdir()]
    found = trees.adopt()

    expected = "damaged lone_checksum taken taken present different lone_checksum"
    assert [file.outcome for file in found] == expected.split()
    assert ledger.read(trees.data).height == 2
    assert foreseen == found


def test_a_full_disk_keeps_what_was_taken_in_the_ledger(trees, monkeypatch):
    trees.put(FUNDING.key, zipped(FUNDING), checksum=None)
    trees.put(MONTH.key, zipped(MONTH), checksum=None)
    monkeypatch.setattr(module, "_THREADS", 1)
    digest_all = module._zip_digests

    def digests(place, *, source, file):
        if file == MONTH:
            raise OSError(errno.ENOSPC, "No space left on device")
        return digest_all(place, source=source, file=file)

    monkeypatch.setattr(module, "_zip_digests", digests)

    with pytest.raises(PlaceError, match="no space left"):
        trees.adopt()

    assert list(trees.placed()) == [FUNDING.path]
    assert ledger.read(trees.data)["key"].to_list() == [FUNDING.key]


@pytest.mark.parametrize("name", ["missing", "file"])
def test_a_folder_that_cannot_be_read_is_an_error_and_nothing_is_taken(trees, name):
    trees.put(MONTH.key, zipped(MONTH))
    (trees.source / "file").write_text("")
    folders = [trees.source, trees.source / name]

    with pytest.raises(FetchError, match=f"{name}: cannot be read"):
        module.adopt(folders, data_dir=trees.data, transfer=Transfer.COPY, flat=Flat())

    assert trees.placed() == {}


def test_a_file_that_cannot_be_read_is_reported(trees, monkeypatch):
    trees.put(MONTH.key, zipped(MONTH), checksum=None)

    def refuse(*_):
        raise OSError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    (file,) = trees.adopt()

    assert (file.outcome, file.detail) == (Outcome.UNREADABLE, "Permission denied")
