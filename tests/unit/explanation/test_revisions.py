"""The revisions of a few zips."""

import datetime as dt

import polars as pl

from bhds.archive.download import ledger
from bhds.explanation import revisions

KEY = "data/spot/daily/klines/AUSDT/1h/AUSDT-1h-2025-03-01.zip"
SEEN = dt.datetime(2025, 3, 2, tzinfo=dt.UTC)


def row(key, number):
    return {
        "key": key,
        "etag": f"{number:032x}",
        "size": number,
        "sha256": f"{number:064x}",
        "first_seen": SEEN + dt.timedelta(days=number),
    }


def fetched(data_dir, *keys, used=()):
    return revisions.fetched(list(keys), data_dir=data_dir, used=used)


def test_revisions_are_numbered_as_they_came_and_the_used_one_is_marked(tmp_path):
    ledger.append(tmp_path, rows=pl.DataFrame([row(KEY, 2), row("other", 1)]))
    ledger.append(tmp_path, rows=pl.DataFrame([row(KEY, 1)]))

    found = fetched(tmp_path, KEY, used=[f"{2:064x}"])

    assert list(found) == [KEY]
    assert [(r.number, r.size, r.is_used) for r in found[KEY]] == [
        (1, 1, False),
        (2, 2, True),
    ]


def test_a_part_that_was_merged_is_not_counted_twice(tmp_path):
    ledger.append(tmp_path, rows=pl.DataFrame([row(KEY, 1)]))
    (part,) = (tmp_path / "aws_data/ledger.d").glob("*.parquet")
    content = part.read_bytes()
    ledger.compact(tmp_path)
    part.parent.mkdir(exist_ok=True)
    part.write_bytes(content)

    assert [each.number for each in fetched(tmp_path, KEY)[KEY]] == [1]


def test_a_part_of_an_older_version_lacks_columns(tmp_path):
    path = tmp_path / "aws_data/ledger.parquet"
    path.parent.mkdir()
    old = pl.DataFrame([row(KEY, 1)]).drop("size")
    old.write_parquet(path)
    ledger.append(tmp_path, rows=pl.DataFrame([row(KEY, 2)]))

    sizes = [each.size for each in fetched(tmp_path, KEY)[KEY]]

    assert sizes == [None, 2]


def test_without_a_ledger_nothing_is_known(tmp_path):
    assert fetched(tmp_path, KEY) == {}


def test_without_a_listing_nothing_is_known(tmp_path):
    assert revisions.listed(KEY, data_dir=tmp_path) == (None, None)
