"""Replaced zips, one row per zip."""

import polars as pl

from bhds.report import revisions
from bhds.schemas.archive_tables import REVISIONS

from .conftest import START


def change(key, *, column=None, changed=0, part=None, new="2"):
    return {
        "trade_type": "spot",
        "data_type": "klines",
        "symbol": "AUSDT",
        "interval": "1m",
        "key": f"data/{key}",
        "new_sha256": new,
        "rows_added": 0,
        "rows_removed": 0,
        "rows_changed": changed,
        "column": column,
        "max_rel_change": part,
        "noticed_at": START,
    }


def test_columns_of_a_zip_are_one_row_even_if_recorded_twice_and_changes_first():
    changes = pl.DataFrame(
        [
            change("same.zip", new=None),
            change("moved.zip", column="volume", changed=7, part=0.5),
            *2 * [change("moved.zip", column="close", changed=7, part=0.1)],
        ],
        schema=REVISIONS,
    )

    zips = revisions.by_zip(changes)

    columns = ["file", "kind", "rows_changed", "columns", "max_rel_change"]
    assert zips.select(columns).rows() == [
        ("moved.zip", "revised", 7, "close, volume", 0.5),
        ("same.zip", "superseded", 0, "", None),
    ]


def test_nothing_replaced_is_an_empty_table():
    zips = revisions.by_zip(pl.DataFrame(schema=REVISIONS))

    table = revisions.table(zips)
    assert table.values() == []
    assert table.if_empty.startswith("No zip was replaced")
