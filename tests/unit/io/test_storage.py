"""Files are written whole or not at all, and say what they hold."""

import datetime as dt
import errno
import hashlib
import json
import logging
import os
from pathlib import Path

import polars as pl
import pytest

from bhds import __version__
from bhds.core.errors import PlaceError, ResultError
from bhds.io import storage
from bhds.schemas.klines import with_symbol


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def bars(n=1_000):
    start = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
    return pl.DataFrame(
        {
            "open_time": [start + dt.timedelta(minutes=minute) for minute in range(n)],
            "close": [100 + minute / 7 for minute in range(n)],
        },
        schema={"open_time": pl.Datetime("us", "UTC"), "close": pl.Float64},
    )


def test_the_target_keeps_its_old_content_until_the_new_is_whole(tmp_path):
    target = tmp_path / "file"
    target.write_text("old")

    with storage.replacing(target) as partial:
        partial.write_text("new")
        assert partial.parent == target.parent
        assert target.read_text() == "old"

    assert target.read_text() == "new"
    assert names(tmp_path) == ["file"]


def fail_half_way(target, error):
    with storage.replacing(target) as partial:
        partial.write_text("half")
        raise error


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(RuntimeError("broken"), id="error"),
        pytest.param(KeyboardInterrupt(), id="interrupt"),
    ],
)
def test_a_writer_that_fails_leaves_the_old_file_and_no_partial(tmp_path, error):
    target = tmp_path / "file"
    target.write_text("old")

    with pytest.raises(type(error)):
        fail_half_way(target, error)

    assert target.read_text() == "old"
    assert names(tmp_path) == ["file"]


def test_a_writer_that_writes_nothing_is_an_error(tmp_path):
    target = tmp_path / "file"
    target.write_text("old")

    with pytest.raises(FileNotFoundError), storage.replacing(target):
        pass

    assert target.read_text() == "old"


def test_missing_folders_are_made(tmp_path):
    storage.write_json([], tmp_path / "a" / "b" / "file.json")

    assert (tmp_path / "a" / "b" / "file.json").exists()


def test_a_frame_that_cannot_be_written_leaves_the_old_file(tmp_path, monkeypatch):
    target = tmp_path / "bars.parquet"
    storage.write_parquet(bars(3), target, metadata={})

    def run_out_of_space(_frame, path, **_options):
        path.write_bytes(b"PAR1")
        msg = "no space left on device"
        raise OSError(msg)

    monkeypatch.setattr(pl.DataFrame, "write_parquet", run_out_of_space)
    with pytest.raises(OSError, match="no space"):
        storage.write_parquet(bars(4), target, metadata={})

    assert pl.read_parquet(target).height == 3
    assert names(tmp_path) == ["bars.parquet"]


def test_equal_frames_make_equal_bytes(tmp_path):
    first, second = tmp_path / "a" / "bars.pqt", tmp_path / "b" / "bars.pqt"

    for path in (first, second):
        storage.write_parquet(bars(), path, metadata={"stage": "parse", "as_of": ""})

    assert first.read_bytes() == second.read_bytes()


def test_the_pieces_that_a_frame_lies_in_do_not_show_in_its_file(tmp_path):
    whole = pl.DataFrame({"id": pl.int_range(300_000, eager=True)})
    pieces = pl.concat([whole[:7], whole[7:200_000], whole[200_000:]], rechunk=False)

    for name, frame in (("whole.pqt", whole), ("pieces.pqt", pieces)):
        storage.write_parquet(frame, tmp_path / name, metadata={})

    assert pieces.n_chunks() == 3
    whole_bytes = (tmp_path / "whole.pqt").read_bytes()
    assert (tmp_path / "pieces.pqt").read_bytes() == whole_bytes


def test_a_frame_and_its_metadata_are_read_back(tmp_path):
    path = tmp_path / "bars.pqt"
    metadata = {"stage": "parse", "inputs": "ab cd", "symbol": "币安人生USDT", "": "x"}

    storage.write_parquet(bars(), path, metadata=metadata)

    assert pl.read_parquet(path).equals(bars())
    assert pl.read_parquet_schema(path) == bars().schema
    assert storage.read_parquet_metadata(path) == {
        "version": __version__,
        **metadata,
    }


def test_metadata_of_others_is_not_taken_for_ours(tmp_path):
    path = tmp_path / "bars.pqt"
    bars().write_parquet(path, metadata={"stage": "theirs", "bhds.as_of": "2024-01-01"})

    assert storage.read_parquet_metadata(path) == {"as_of": "2024-01-01"}


def test_json_is_read_back_and_legible(tmp_path):
    path = tmp_path / "sources.json"
    value = {"symbol": "币安人生USDT", "days": [1, None, 2.5]}

    storage.write_json(value, path)

    text = path.read_text(encoding="utf-8")
    assert json.loads(text) == value
    assert "币安人生USDT" in text
    assert text.startswith('{\n  "symbol"')
    assert text.endswith("\n}\n")


def test_a_value_that_is_no_json_leaves_the_old_file(tmp_path):
    path = tmp_path / "sources.json"
    storage.write_json({"rows": 1}, path)

    with pytest.raises(TypeError):
        storage.write_json({"rows": object()}, path)

    assert json.loads(path.read_text()) == {"rows": 1}
    assert names(tmp_path) == ["sources.json"]


def test_each_file_written_is_one_line_in_the_log(tmp_path, caplog):
    caplog.set_level(logging.INFO, logger="bhds.io.storage")
    path = tmp_path / "bars.pqt"

    storage.write_parquet(bars(7), path, metadata={})

    assert caplog.messages == [f"{path}: 7 rows"]


def test_the_rows_of_a_symbol_are_written_with_its_name_and_read_without(tmp_path):
    path = tmp_path / "bars.parquet"
    storage.write_parquet(bars(), path, metadata={}, symbol="币安人生USDT")

    named = pl.read_parquet(path)
    assert named.schema == with_symbol(bars().schema)
    assert named["symbol"].unique().to_list() == ["币安人生USDT"]
    for rows in (
        storage.read_rows(path),
        storage.read_rows(path, schema=bars().schema),
        storage.scan_rows(path).collect(),
    ):
        assert rows.equals(bars())
    assert storage.read_rows(path, columns=["close"]).columns == ["close"]


@pytest.mark.parametrize("symbol", ["J*USDT", "J?USDT", "[JX]USDT", "**"])
def test_a_path_is_one_file_whatever_its_name_means_to_a_shell(tmp_path, symbol):
    folder = tmp_path / "a=b" / "[c]*"
    for name in ("JXUSDT", "JUSDT", symbol):
        path = folder / f"{name}.parquet"
        storage.write_parquet(bars(len(name)), path, metadata={}, symbol=name)
    path = folder / f"{symbol}.parquet"

    read = storage.read_parquet(path)
    assert read.schema == with_symbol(bars().schema)  # and no column `a`
    assert read["symbol"].unique().to_list() == [symbol]
    assert storage.read_rows(path).equals(bars(len(symbol)))
    assert storage.scan_rows(path).collect().equals(bars(len(symbol)))


@pytest.mark.parametrize("read", [storage.read_rows, storage.scan_rows])
def test_rows_without_a_symbol_are_of_another_version(tmp_path, read):
    path = tmp_path / "bars.parquet"
    storage.write_parquet(bars(), path, metadata={})

    with pytest.raises(ResultError, match=r"first column is not 'symbol'.*build it"):
        read(path)


def test_a_parquet_file_of_another_form_is_named(tmp_path):
    path = tmp_path / "bars.parquet"
    storage.write_parquet(bars().drop("close"), path, metadata={})

    with pytest.raises(ResultError, match=r"bars\.parquet: its columns \['close'\]"):
        storage.read_parquet(path, schema=bars().schema)


@pytest.mark.parametrize("content", [None, b"", b"PAR1 and no more"])
def test_a_parquet_file_that_cannot_be_read_is_named(tmp_path, content):
    path = tmp_path / "bars.parquet"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(ResultError, match=r"bars\.parquet: cannot be read as Parquet"):
        storage.read_parquet(path)
    with pytest.raises(ResultError, match=r"bars\.parquet: cannot be read as Parquet"):
        storage.scan_rows(path)


def test_the_sources_of_a_partition_lie_beside_it(tmp_path):
    storage.write_json({"rows": 3}, tmp_path / "2024.sources.json")

    assert storage.read_sources(tmp_path / "2024.parquet") == {"rows": 3}


@pytest.mark.parametrize("content", [None, b"{"])
def test_sources_that_cannot_be_read_are_named(tmp_path, content):
    if content is not None:
        (tmp_path / "2024.sources.json").write_bytes(content)

    with pytest.raises(ResultError, match=r"2024\.sources\.json: cannot be read"):
        storage.read_sources(tmp_path / "2024.parquet")


def test_provenance_has_the_hash_of_each_input(tmp_path):
    contents = [b"one", b"two"]
    paths = [tmp_path / "a", tmp_path / "b"]
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content)

    assert storage.provenance("results", 3, paths) == {
        "stage": "results",
        "revision": "3",
        "inputs": " ".join(hashlib.sha256(each).hexdigest() for each in contents),
    }


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "no space left on the disk; free some"),
        (errno.EDQUOT, "the quota is used up"),
        (errno.EROFS, "the disk is read-only"),
        (errno.EFBIG, "files may not be that large"),
        (errno.EIO, "the disk does not answer as it should; check it"),
        (errno.EACCES, "change the rights or choose another data_dir"),
    ],
)
def test_a_place_that_takes_no_file_is_told_with_what_to_do(tmp_path, number, words):
    error = OSError(number, os.strerror(number))

    with pytest.raises(PlaceError, match=rf"file: cannot be written, .*{words}"):
        fail_half_way(tmp_path / "file", error)
    assert names(tmp_path) == []


def write_to_full_disk(write, target):
    with storage.replacing(target) as partial:
        partial.symlink_to("/dev/full")
        write(partial)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no disk is always full")
@pytest.mark.parametrize(
    "write",
    [
        pytest.param(lambda path: bars().write_parquet(path), id="polars"),
        pytest.param(lambda path: path.write_bytes(b"x" * 100_000), id="python"),
    ],
)
def test_a_full_disk_is_told_as_such_whoever_writes(tmp_path, write):
    with pytest.raises(PlaceError, match="no space left"):
        write_to_full_disk(write, tmp_path / "file")
    assert names(tmp_path) == []


def test_other_faults_stay_what_they_are(tmp_path):
    with pytest.raises(IsADirectoryError):
        fail_half_way(tmp_path / "file", IsADirectoryError(errno.EISDIR, "a folder"))
    with pytest.raises(pl.exceptions.ColumnNotFoundError):
        fail_half_way(tmp_path / "file", pl.exceptions.ColumnNotFoundError("a"))
