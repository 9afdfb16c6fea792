import datetime as dt
import errno
import hashlib
import logging
import os
import shutil
import zipfile
from pathlib import Path

import polars as pl
import pytest

from bhds.archive.download import ledger
from bhds.archive.integrity import hashing, status
from bhds.archive.integrity.bounds import Bounds
from bhds.archive.integrity.status import judge_archive
from bhds.archive.integrity.zip_input import ArchiveInput
from bhds.archive.keys import path_of_key
from bhds.archive.listing.directory import Directory
from bhds.archive.listing.tables import Listed, ListingTable, TableStore
from bhds.core.errors import FetchError, KeyGrammarError
from bhds.core.markets import Frequency, TradeType
from bhds.schemas.archive_tables import LEDGER
from bhds.stages import verify
from bhds.stages.verify import VERIFICATION, verify_directory, write_verification

GENUINE = Path(__file__).parents[3] / "../shared/realdata/spot/klines/BTCUSDT/1m"
DAILY_1M = Directory(TradeType.SPOT, Frequency.DAILY, "klines", "1m")
FOLDER = "data/spot/daily/klines/BTCUSDT/1m"
NAME = "BTCUSDT-1m-2024-01-01.zip"
KEY = f"{FOLDER}/{NAME}"
SUM_KEY = f"{KEY}.CHECKSUM"
LISTED_AT = dt.datetime(2026, 1, 2, tzinfo=dt.UTC)
OTHER_SHA256 = "ab" * 32


def md5(content):
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def zipped(tmp_path, *members):
    """Return a zip of CSVs, each with other bytes, uncompressed."""
    path = tmp_path / "made.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for member in members:
            archive.writestr(zipfile.ZipInfo(member), f"rows of {member}\n" * 50)
    return path.read_bytes()


def flipped(content):
    """Return a content with one bit turned in its middle."""
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


class DataDir:
    """A data directory, and shorthands to bring it into a state."""

    def __init__(self, root):
        self.root = root
        self.seconds = 0

    def place(self, key):
        return self.root / path_of_key(key)

    def put(self, key, content):
        self.place(key).parent.mkdir(parents=True, exist_ok=True)
        self.place(key).write_bytes(content)

    def enter(self, key, content, *, etag=None):
        """Enter into the ledger that a content came; None: the server had none."""
        self.seconds += 1
        row = {
            "key": key,
            "etag": etag or md5(content or b""),
            "size": len(content or b""),
            "md5": None if content is None else md5(content),
            "sha256": None if content is None else sha256(content),
            "first_seen": LISTED_AT + dt.timedelta(seconds=self.seconds),
        }
        frame = pl.DataFrame([row], schema=LEDGER)
        ledger.append(self.root, rows=frame)

    def list(self, contents, *, etags=None, directory=DAILY_1M):
        """List contents by key, under their MD5 or under another ETag."""
        rows = [
            (key, len(content), (etags or {}).get(key, md5(content)), LISTED_AT)
            for key, content in sorted(contents.items())
        ]
        frame = pl.DataFrame(
            rows, schema=ListingTable.empty().frame.schema, orient="row"
        )
        times = {"BTCUSDT": Listed(LISTED_AT, LISTED_AT)}
        TableStore(self.root).put_table(directory, ListingTable(frame, times))

    def fetch(self, contents, **listed):
        """Bring files here as a download does: listed, entered, put into place."""
        self.list(contents, **listed)
        for key, content in contents.items():
            self.put(key, content)
            self.enter(key, content)

    def verify(self, directory=DAILY_1M, **changes):
        return verify_directory(
            directory, **({"data_dir": self.root, "threads": 2} | changes)
        )

    def row(self):
        (row,) = self.verify().to_dicts()
        return row


@pytest.fixture
def data_dir(tmp_path):
    root = tmp_path / "data"
    root.mkdir()
    return DataDir(root)


@pytest.fixture
def content(tmp_path):
    return zipped(tmp_path, "BTCUSDT-1m-2024-01-01.csv")


@pytest.fixture
def unsound(tmp_path):
    """A zip whose CRC-32 is wrong."""
    content = zipped(tmp_path, "BTCUSDT-1m-2024-01-01.csv")
    assert b"rows" in content
    return content.replace(b"rows", b"cows", 1)


@pytest.fixture
def pair(content):
    """A zip and its CHECKSUM, as published."""
    return {KEY: content, SUM_KEY: checksum(content)}


def checksum(content, name=NAME):
    return f"{sha256(content)}  {name}\n".encode()


def assert_moved(data_dir, row, content):
    """Check that a file went from its place to the quarantine, as it was."""
    assert not (data_dir.root / row["path"]).exists()
    below = row["path"].removeprefix("aws_data/")
    assert row["quarantined_to"].startswith(f"aws_data/.quarantine/{below}.")
    assert (data_dir.root / row["quarantined_to"]).read_bytes() == content


# --- what is as it came ---------------------------------------------------------------


def test_a_zip_that_came_so_and_matches_its_checksum_is_ok(data_dir, pair, content):
    data_dir.fetch(pair)

    table = data_dir.verify()

    assert table.schema == VERIFICATION
    assert table.to_dicts() == [
        {
            "key": KEY,
            "path": path_of_key(KEY),
            "size": len(content),
            "listed_size": len(content),
            "sha256": sha256(content),
            "published_sha256": sha256(content),
            "etag": md5(content),
            "integrity_status": "ok",
            "reason": None,
            "damage": None,
            "quarantined_to": None,
        }
    ]
    assert data_dir.place(KEY).exists()
    assert data_dir.place(SUM_KEY).exists()


def test_nothing_on_disk_is_an_empty_table(data_dir):
    table = data_dir.verify()

    assert table.is_empty()
    assert table.schema == VERIFICATION


def test_zips_that_are_not_on_disk_any_more_are_counted(
    data_dir, pair, monkeypatch, caplog
):
    data_dir.fetch(pair)
    monkeypatch.chdir(data_dir.root)
    about = {"trade_type": "spot", "frequency": "daily", "data_type": "klines"}

    def warnings():
        caplog.clear()
        write_verification(
            "verified.parquet", verification="verification-1m", threads=1, **about
        )
        return [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]

    assert warnings() == []
    for key in pair:
        data_dir.place(key).unlink()
    (warning,) = warnings()
    assert "1 zips are not on disk and not verified" in warning


def test_rows_are_sorted_by_key_however_they_were_judged(data_dir, content):
    for day in ("03", "01", "02", "04"):
        name = f"BTCUSDT-1m-2024-01-{day}.zip"
        data_dir.put(f"{FOLDER}/{name}", content)
        if day in {"01", "04"}:
            data_dir.put(f"{FOLDER}/{name}.CHECKSUM", checksum(content, name))

    table = data_dir.verify()

    assert table["key"].is_sorted()
    expected = ["ok", "checksum-missing", "checksum-missing", "ok"]
    assert table["integrity_status"].to_list() == expected


def test_many_files_in_many_threads_are_each_judged_by_their_own_bytes(
    data_dir, monkeypatch
):
    monkeypatch.setattr(hashing, "_TASK_BYTES", 1)  # each file is a task
    contents = {}
    for day in range(1, 29):
        name = f"BTCUSDT-1m-2024-01-{day:02d}.zip"
        contents[f"{FOLDER}/{name}"] = content = f"zip of {name}".encode()
        contents[f"{FOLDER}/{name}.CHECKSUM"] = checksum(content, name)
    data_dir.fetch(contents)

    tables = [data_dir.verify(threads=threads) for threads in (1, 8)]

    assert tables[0].equals(tables[1])
    assert tables[0]["integrity_status"].to_list() == ["ok"] * 28
    expected = [sha256(contents[key]) for key in tables[0]["key"]]
    assert tables[0]["sha256"].to_list() == expected


@pytest.mark.skipif(not GENUINE.is_dir(), reason="genuine exchange files are absent")
def test_genuine_files_that_the_ledger_does_not_know_are_ok(data_dir):
    folder = data_dir.place(FOLDER)
    folder.mkdir(parents=True)
    for path in GENUINE.glob("*.zip*"):
        shutil.copy(path, folder)

    table = data_dir.verify()

    assert table["integrity_status"].unique().to_list() == ["ok"]
    assert table.height == len(list(GENUINE.glob("*.zip"))) >= 3


# --- damage on disk -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spoil", "damage"),
    [
        pytest.param(flipped, "bit rot", id="one bit turned"),
        pytest.param(lambda content: content + b"\0", "bit rot", id="longer"),
        pytest.param(lambda content: content[:-1], "truncated", id="shorter"),
        pytest.param(lambda _: b"", "truncated", id="emptied"),
    ],
)
def test_other_bytes_than_came_are_put_aside(data_dir, pair, spoil, damage):
    data_dir.fetch(pair)
    spoilt = spoil(pair[KEY])
    data_dir.put(KEY, spoilt)

    row = data_dir.row()

    assert (row["integrity_status"], row["damage"]) == ("corrupt", damage)
    assert row["sha256"] == sha256(spoilt)
    assert row["published_sha256"] == sha256(pair[KEY])
    assert f"{sha256(pair[KEY])} came" in row["reason"]
    assert_moved(data_dir, row, spoilt)
    assert data_dir.place(SUM_KEY).read_bytes() == pair[SUM_KEY]
    assert data_dir.verify().is_empty()


@pytest.mark.parametrize(
    "known", [[KEY, SUM_KEY], [KEY], [SUM_KEY]], ids=["both", "zip", "CHECKSUM"]
)
def test_a_pair_that_confirms_each_other_is_left_whatever_the_ledger_has(
    data_dir, pair, known, tmp_path
):
    """A newer revision that was brought by hand, say: rot does not match a hash."""
    for key in known:
        data_dir.enter(key, pair[key])
    other = zipped(tmp_path, "a sound zip of other rows.csv")
    data_dir.put(KEY, other)
    data_dir.put(SUM_KEY, checksum(other))

    found = data_dir.verify()

    assert found["damage"].null_count() == found.height
    assert data_dir.place(KEY).read_bytes() == other


def test_what_was_put_aside_before_is_never_overwritten(data_dir, pair):
    kept = []
    for spoil in (flipped, lambda content: content[:-1], flipped):
        data_dir.fetch(pair)
        data_dir.put(KEY, spoil(pair[KEY]))
        kept.append(data_dir.row()["quarantined_to"])

    assert kept[0] == kept[2] != kept[1]
    assert (data_dir.root / kept[0]).read_bytes() == flipped(pair[KEY])
    assert (data_dir.root / kept[1]).read_bytes() == pair[KEY][:-1]


@pytest.mark.parametrize(
    ("spoil", "damage"),
    [
        pytest.param(lambda text: text.replace(b"  ", b" \0"), "bit rot", id="no text"),
        pytest.param(
            lambda text: OTHER_SHA256.encode() + text[64:], "bit rot", id="hex"
        ),
        pytest.param(lambda text: text[:40], "truncated", id="shorter"),
        pytest.param(lambda _: b"", "truncated", id="emptied"),
    ],
)
def test_a_damaged_checksum_is_put_aside_and_its_zip_judged_without(
    data_dir, pair, spoil, damage
):
    data_dir.fetch(pair)
    spoilt = spoil(pair[SUM_KEY])
    data_dir.put(SUM_KEY, spoilt)

    archive, checksum_file = data_dir.verify().to_dicts()

    assert (archive["integrity_status"], archive["damage"]) == (
        "checksum-missing",
        None,
    )
    assert archive["published_sha256"] is None
    assert archive["reason"].startswith("the CHECKSUM is damaged on disk: ")
    assert (checksum_file["key"], checksum_file["integrity_status"]) == (
        SUM_KEY,
        "corrupt",
    )
    assert checksum_file["damage"] == damage
    assert_moved(data_dir, checksum_file, spoilt)
    assert data_dir.place(KEY).exists()


def test_a_checksum_without_its_zip_is_verified(data_dir, pair):
    data_dir.fetch(pair)
    data_dir.place(KEY).unlink()
    before = data_dir.verify()
    data_dir.put(SUM_KEY, pair[SUM_KEY][:-5])

    row = data_dir.row()

    assert before.is_empty()
    assert (row["key"], row["damage"]) == (SUM_KEY, "truncated")


@pytest.mark.parametrize("key", [KEY, SUM_KEY], ids=["zip", "CHECKSUM"])
@pytest.mark.parametrize("code", [errno.EIO, errno.EBADMSG, errno.EUCLEAN])
def test_what_the_disk_cannot_read_is_damage(data_dir, pair, monkeypatch, key, code):
    data_dir.fetch(pair)
    fail_reading(monkeypatch, data_dir.place(key), code=code)

    table = data_dir.verify().filter(pl.col("key") == key)

    row = table.row(0, named=True)
    assert (row["integrity_status"], row["damage"]) == ("corrupt", "unreadable")
    assert (row["size"], row["sha256"]) == (len(pair[key]), None)
    assert os.strerror(code) in row["reason"]
    assert_moved(data_dir, row, pair[key])


def fail_reading(monkeypatch, place, *, code):
    hash_file = hashing._hash_file

    def fail(path, *, buffer):
        if path == str(place):
            raise OSError(code, os.strerror(code))
        return hash_file(path, buffer=buffer)

    monkeypatch.setattr(hashing, "_hash_file", fail)


def test_what_becomes_unreadable_at_the_second_look_is_damage(
    data_dir, content, monkeypatch
):
    data_dir.put(KEY, content)  # without a CHECKSUM: it has to be unpacked

    def fail(_archive, *, stem, **_bounds):
        raise OSError(errno.EIO, f"{os.strerror(errno.EIO)} in {stem}")

    monkeypatch.setattr(status, "find_csv", fail)
    row = data_dir.row()

    assert (row["damage"], row["sha256"]) == ("unreadable", None)
    assert_moved(data_dir, row, content)


def test_a_file_that_may_not_be_read_fails_before_anything_is_moved(
    data_dir, pair, monkeypatch
):
    other = KEY.replace("-01.zip", "-02.zip")
    data_dir.fetch({**pair, other: b"came so"})
    data_dir.put(KEY, flipped(pair[KEY]))
    fail_reading(monkeypatch, data_dir.place(other), code=errno.EACCES)

    with pytest.raises(FetchError, match=r"2024-01-02.zip: Permission denied; .*perm"):
        data_dir.verify()

    assert data_dir.place(KEY).exists()


# --- what the ledger does not tell alone ----------------------------------------------


@pytest.mark.parametrize("spoilt", [KEY, SUM_KEY])
def test_a_page_kept_in_place_of_what_is_listed_is_moved_away(data_dir, pair, spoilt):
    """Versions before kept what was served twice."""
    page = b"<html>Please pay for your room</html>"
    data_dir.fetch(pair | {spoilt: page}, etags={spoilt: md5(pair[spoilt])})

    rows = [row for row in data_dir.verify().to_dicts() if row["key"] == spoilt]

    assert [row["damage"] for row in rows] == ["failed transfer"]
    assert "not what is listed, so its transfer failed" in rows[0]["reason"]
    assert_moved(data_dir, rows[0], page)


def test_a_sound_zip_that_neither_checksum_nor_listing_names_is_moved_away(
    data_dir, brought
):
    brought("sound", "other", "other", is_entered=True)

    assert data_dir.row()["damage"] == "failed transfer"


def test_what_was_served_corrupt_is_reported_and_stays(data_dir, unsound):
    served = {KEY: unsound, SUM_KEY: checksum(b"something else")}
    data_dir.fetch(served)

    rows = [data_dir.row(), data_dir.row()]

    assert rows[0] == rows[1]
    assert (rows[0]["integrity_status"], rows[0]["damage"]) == ("corrupt", None)
    assert rows[0]["reason"].endswith("so it came")
    assert data_dir.place(KEY).read_bytes() == unsound


def test_a_revision_that_is_listed_but_not_entered_is_right(data_dir, pair):
    data_dir.enter(KEY, b"an old revision")
    data_dir.enter(SUM_KEY, b"of an old revision")
    data_dir.list(pair)
    for key, content in pair.items():
        data_dir.put(key, content)  # the run ended before it told the ledger

    row = data_dir.row()

    assert (row["integrity_status"], row["damage"]) == ("ok", None)


def test_a_revision_that_stayed_when_the_server_lost_a_newer_one_is_right(
    data_dir, pair
):
    data_dir.fetch(pair)
    data_dir.list({KEY: b"a newer revision", SUM_KEY: b"of a newer revision"})
    data_dir.enter(KEY, None)
    data_dir.enter(SUM_KEY, None)

    before = data_dir.row()
    data_dir.put(KEY, flipped(pair[KEY]))

    assert (before["integrity_status"], before["damage"]) == ("ok", None)
    assert data_dir.row()["damage"] == "bit rot"


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        pytest.param("listed and entered", ("vanished", None), id="gone"),
        pytest.param("entered", ("vanished", None), id="gone and not listed"),
        pytest.param("", ("vanished", None), id="nothing known"),
        pytest.param("listed", ("corrupt", "truncated"), id="never asked for"),
    ],
)
def test_an_empty_file_is_vanished_unless_there_should_be_more(
    data_dir, content, known, expected
):
    data_dir.put(KEY, b"")
    if "listed" in known:
        data_dir.list({KEY: content})
    if "entered" in known:
        data_dir.enter(KEY, None)

    row = data_dir.row()

    assert (row["integrity_status"], row["damage"]) == expected


@pytest.fixture
def brought(data_dir, content, unsound):
    """Return a function that brings a zip here in a state told by words."""

    def bring(zip_kind, published, etag, *, is_entered):
        zip_ = content if zip_kind == "sound" else unsound
        checksums = {
            "own": checksum(zip_),
            "other": checksum(b"x"),
            "broken": b"<html>",
        }
        etags = {"own": md5(zip_), "other": "0" * 32, "parts": f"{md5(zip_)}-2"}
        contents = {KEY: zip_}
        if published is not None:
            contents[SUM_KEY] = checksums[published]
        for key, each in contents.items():
            data_dir.put(key, each)
            if is_entered:
                data_dir.enter(key, each)
        if etag is not None:
            data_dir.list(contents, etags={KEY: etags[etag]})
        place = data_dir.place(KEY)
        return ArchiveInput(place, KEY, Frequency.DAILY, etags.get(etag))

    return bring


@pytest.mark.parametrize(
    ("state", "integrity_status"),
    [
        (("sound", "own", None), "ok"),
        (("sound", "other", "own"), "checksum-stale"),
        (("sound", "other", None), "corrupt"),
        (("sound", "other", "parts"), "corrupt"),
        (("sound", None, "own"), "checksum-missing"),
        (("sound", "broken", "own"), "checksum-missing"),
        (("unsound", "other", "own"), "corrupt"),
        (("unsound", None, "own"), "corrupt"),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(map(str, value)),
)
@pytest.mark.parametrize("is_entered", [True, False], ids=["came", "unknown"])
def test_integrity_statuses_of_what_is_not_damaged_are_those_of_parsing(
    data_dir, brought, state, integrity_status, is_entered
):
    source = brought(*state, is_entered=is_entered)

    row = data_dir.row()

    with source.path.open("rb") as opened:
        parsed, _ = judge_archive(opened, source=source, bounds=Bounds(9, 1 << 20))
    assert row["damage"] is None
    assert row["integrity_status"] == integrity_status == parsed.integrity_status
    assert row["published_sha256"] == parsed.published_sha256
    assert (row["reason"] is None) == (integrity_status == "ok")


@pytest.mark.parametrize(
    "etag", ["0" * 32, f"{'0' * 32}-2", None], ids=["other", "multipart", "not listed"]
)
def test_an_unsound_zip_that_nothing_confirms_is_put_aside(data_dir, unsound, etag):
    data_dir.put(KEY, unsound)
    data_dir.put(SUM_KEY, checksum(b"something else"))
    if etag is not None:
        listed = {KEY: unsound, SUM_KEY: checksum(b"something else")}
        data_dir.list(listed, etags={KEY: etag})

    row = data_dir.row()

    assert row["damage"] == "bit rot"
    assert_moved(data_dir, row, unsound)


@pytest.mark.parametrize("form", [bytes, bytes.upper], ids=["usual", "capitals"])
def test_an_unsound_zip_that_its_checksum_confirms_is_what_was_published(
    data_dir, unsound, form
):
    text = form(checksum(unsound)[:64]) + checksum(unsound)[64:]
    data_dir.put(KEY, unsound)
    data_dir.put(SUM_KEY, text)
    data_dir.list({KEY: b"a newer revision", SUM_KEY: b"of a newer revision"})

    row = data_dir.row()

    assert (row["integrity_status"], row["damage"]) == ("ok", None)
    assert row["published_sha256"] == sha256(unsound)


def test_a_checksum_unlike_the_listing_that_its_zip_contradicts_is_put_aside(
    data_dir, pair
):
    data_dir.list(pair)
    data_dir.put(KEY, pair[KEY])
    data_dir.put(SUM_KEY, checksum(b"something else"))

    archive, checksum_file = data_dir.verify().to_dicts()

    assert (archive["integrity_status"], archive["damage"]) == (
        "checksum-missing",
        None,
    )
    assert (checksum_file["key"], checksum_file["damage"]) == (SUM_KEY, "bit rot")


# --- what happens meanwhile -----------------------------------------------------------


@pytest.mark.parametrize("event", ["removed", "written to", "replaced"])
def test_a_damaged_file_that_is_no_longer_the_same_is_left_alone(
    data_dir, pair, monkeypatch, event
):
    data_dir.fetch(pair)
    place, judge = data_dir.place(KEY), verify._judge
    place.write_bytes(flipped(pair[KEY]))

    def judge_and_interfere(files, **how):
        findings = judge(files, **how)
        if event == "removed":
            place.unlink()
        elif event == "written to":
            place.write_bytes(pair[KEY])
            os.utime(place, ns=(0, 0))
        else:
            times = place.stat().st_atime_ns, place.stat().st_mtime_ns
            new = place.with_name("new")
            new.write_bytes(pair[KEY])
            os.utime(new, ns=times)
            new.replace(place)
        return findings

    monkeypatch.setattr(verify, "_judge", judge_and_interfere)
    table = data_dir.verify()

    assert table.is_empty()
    assert place.exists() == (event != "removed")
    assert not (data_dir.root / "aws_data/.quarantine").exists()


def test_a_file_that_is_removed_before_the_second_look_is_left_out(
    data_dir, content, monkeypatch
):
    data_dir.put(KEY, content)
    settle = verify._settle

    def settle_and_remove(files):
        data_dir.place(KEY).unlink()
        return settle(files)

    monkeypatch.setattr(verify, "_settle", settle_and_remove)

    assert data_dir.verify().is_empty()


def test_damage_that_cannot_be_moved_is_reported_where_it_is(
    data_dir, pair, monkeypatch
):
    data_dir.fetch(pair)
    data_dir.put(KEY, flipped(pair[KEY]))

    def refuse(_path, _target):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(Path, "replace", refuse)
    row = data_dir.row()

    assert (row["damage"], row["quarantined_to"]) == ("bit rot", None)
    assert data_dir.place(KEY).exists()


def test_damage_on_another_file_system_is_copied_away(data_dir, pair, monkeypatch):
    data_dir.fetch(pair)
    data_dir.put(KEY, flipped(pair[KEY]))
    replace = Path.replace

    def refuse(path, target):
        if path == data_dir.place(KEY):
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", refuse)

    assert_moved(data_dir, data_dir.row(), flipped(pair[KEY]))


# --- the job --------------------------------------------------------------------------


def write(**changes):
    fields = {
        "trade_type": "spot",
        "frequency": "daily",
        "data_type": "klines",
        "verification": "verification-1m",
        "threads": 2,
    } | changes
    folder = f"aws_data/{fields['trade_type']}/{fields['frequency']}"
    target = f"{folder}/{fields['data_type']}/{fields['verification']}.parquet"
    write_verification(target, **fields)
    return pl.read_parquet(target)


def test_the_job_writes_the_table_and_one_line(data_dir, pair, monkeypatch, caplog):
    monkeypatch.chdir(data_dir.root)
    data_dir.fetch(pair)

    with caplog.at_level(logging.INFO):
        table = write()

    assert table.schema == VERIFICATION
    assert table["integrity_status"].to_list() == ["ok"]
    (summary,) = [text for text in caplog.messages if "zips" in text]
    assert "verification-1m.parquet: 1 zips (1 ok), 0 damaged files; " in summary
    assert not [r for r in caplog.records if r.levelno >= logging.WARNING]


def test_the_job_warns_of_damage_and_ends_well(data_dir, pair, monkeypatch, caplog):
    monkeypatch.chdir(data_dir.root)
    data_dir.fetch(pair)
    data_dir.put(KEY, pair[KEY][:-1])

    table = write()

    assert table["damage"].to_list() == ["truncated"]
    (warning,) = [r.message for r in caplog.records if r.levelno >= logging.WARNING]
    assert f"1 files are damaged: {path_of_key(KEY)} (truncated); 1 were" in warning
    assert "run again to fetch them" in warning


def test_a_data_type_without_intervals_has_a_table_without_one(data_dir, monkeypatch):
    monkeypatch.chdir(data_dir.root)
    name = "BTCUSDT-fundingRate-2024-01.zip"
    folder = "data/futures/um/monthly/fundingRate/BTCUSDT"
    data_dir.put(f"{folder}/{name}", b"zip")
    data_dir.put(f"{folder}/{name}.CHECKSUM", checksum(b"zip", name))

    table = write(
        trade_type="um_futures",
        frequency="monthly",
        data_type="fundingRate",
        verification="verification",
    )

    assert table["integrity_status"].to_list() == ["ok"]


def test_a_table_without_the_interval_that_it_needs_is_refused(data_dir, monkeypatch):
    monkeypatch.chdir(data_dir.root)

    with pytest.raises(KeyGrammarError, match="interval None of klines"):
        write(verification="verification")
