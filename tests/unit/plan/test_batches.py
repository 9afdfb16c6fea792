"""How missing and replaced files are cut into download jobs."""

import polars as pl
import pytest

from bhds.plan import batches


def files(n, *, state="missing", size=10, disk_size=None, etag="e", was_fetched=False):
    rows = range(n)
    return pl.DataFrame(
        {
            "key": [f"k{row:05d}" for row in rows],
            "path": [f"p{row:05d}" for row in rows],
            "size": [size] * n,
            "disk_size": pl.Series([disk_size] * n, dtype=pl.Int64),
            "etag": [etag] * n,
            "is_checksum": [False] * n,
            "state": [state] * n,
            "was_fetched": [was_fetched] * n,
        }
    )


def test_batches_hold_every_file_once_and_in_order():
    wanted = files(2 * batches.BATCH_ZIPS + 1)

    cut = list(batches.batches(wanted))

    assert [len(batch.zips) for batch in cut] == [
        batches.BATCH_ZIPS,
        batches.BATCH_ZIPS,
        1,
    ]
    assert [path for batch in cut for path in batch.zips] == wanted["path"].to_list()


def test_large_files_make_short_batches():
    wanted = files(5, size=batches.BATCH_BYTES // 2)

    assert [len(batch.zips) for batch in batches.batches(wanted)] == [2, 2, 1]


def test_missing_and_replaced_files_never_share_a_batch():
    wanted = pl.concat(
        [files(1, state="replaced"), files(1), files(1, state="present")]
    )

    assert [batch.state for batch in batches.batches(wanted)] == ["missing", "replaced"]


@pytest.mark.parametrize(
    ("state", "was_fetched", "is_repeated"),
    [
        ("missing", False, False),
        ("missing", True, True),
        ("replaced", False, True),
        ("present", True, False),
    ],
)
def test_what_was_there_before_is_repeated(state, was_fetched, is_repeated):
    wanted = files(1, state=state, was_fetched=was_fetched)

    (batch,) = batches.batches(wanted, with_present=True)

    assert (batch.state, batch.is_repeated) == (state, is_repeated)


def test_a_checksum_goes_with_its_zip():
    zips = files(2)
    checksums = zips.with_columns(
        pl.col("key", "path") + ".CHECKSUM", is_checksum=pl.lit(value=True)
    )

    (batch,) = batches.batches(pl.concat([zips, checksums[1:]]))

    assert batch.zips == ("p00000", "p00001")
    assert batch.checksums == ("p00001.CHECKSUM",)
