"""Integrity statuses of zips, from the provenance of partitions."""

from bhds.report import integrity

from .conftest import zip_entry


def partition(*entries, symbol="AUSDT", data_type="klines", interval="1m"):
    return {
        "trade_type": "spot",
        "data_type": data_type,
        "symbol": symbol,
        "interval": interval,
        "inputs": list(entries),
    }


def test_zips_are_counted_by_status_with_their_rows():
    found = integrity.collect(
        [
            partition(
                zip_entry("1.zip"), zip_entry("2.zip", integrity_status="corrupt")
            ),
            partition(zip_entry("3.zip", out_of_order=5), symbol="BUSDT"),
            partition(zip_entry("4.zip"), data_type="metrics", interval=None),
        ]
    )

    columns = ["series", "zips", "size", "ok", "corrupt", "duplicates", "out_of_order"]
    assert found.series.select(columns).rows() == [
        ("klines 1m", 3, 3_000_000, 2, 1, 6, 5),
        ("metrics", 1, 1_000_000, 1, 0, 2, 0),
    ]


def test_markets_stand_in_their_order():
    futures = partition(zip_entry("1.zip")) | {"trade_type": "cm_futures"}

    found = integrity.collect([futures, partition(zip_entry("2.zip"))])

    assert found.series["market"].to_list() == ["spot", "cm_futures"]


def test_doubtful_zips_are_listed_with_their_reasons_the_worst_first():
    warned = zip_entry("w.zip", warnings=["another CSV is in it"])
    stale = zip_entry("s.zip", integrity_status="checksum-stale")
    gone = zip_entry("v.zip", integrity_status="vanished", reason="it was not served")

    found = integrity.collect([partition(zip_entry("ok.zip"), warned, stale, gone)])

    table = integrity.doubtful_table(found.doubtful)
    assert [row[3:] for row in table.values()] == [
        ["v.zip", "vanished", "it was not served"],
        ["s.zip", "checksum-stale", "its sum differs"],
        ["w.zip", "ok", "another CSV is in it"],
    ]


def test_without_partitions_there_are_no_integrity_statuses():
    found = integrity.collect([])

    assert found.series.is_empty()
    assert found.doubtful.is_empty()
