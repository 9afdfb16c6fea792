"""Zips that are discarded once their partition is built."""

from bhds.archive.download import ledger
from tests.built import built_files, differing

from .conftest import YOUNG, young_key


def fetched(workspace):
    """Return the keys of all zips that ever came, as often as they did."""
    keys = ledger.read(workspace.data, columns=["key"])["key"]
    return sorted(key for key in keys if key.endswith(".zip"))


def test_partitions_grow_without_the_zips_that_were_discarded(
    workspace, exchange, young_data
):
    workspace.settings["datasets"][0] |= {"symbols": [YOUNG], "raw": "discard"}
    exchange.exchange.withhold(young_key(9))
    workspace.build()
    before = [young_key(day) for day in (6, 7, 8)]
    assert fetched(workspace) == before
    assert not list(workspace.data.rglob("*.zip*"))
    assert workspace.plan().is_idle

    exchange.exchange.release(young_key(9))
    assert workspace.plan().jobs["parse_klines"] == 1
    workspace.build()
    assert fetched(workspace) == [*before, young_key(9)]
    built = built_files(workspace.data)
    kept = {path for path in built if path.endswith(".before")}
    assert differing(built, built_files(young_data)) == kept

    exchange.exchange.republish(young_key(7))
    workspace.build()
    assert fetched(workspace).count(young_key(7)) == 2
    assert not list(workspace.data.rglob("*.zip*"))
    assert workspace.plan().is_idle
