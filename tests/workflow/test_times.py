"""Files of any age: a run builds what it should, and the next has nothing to do."""

import os
import random
import shutil
import time

import pytest

from .conftest import young_key

pytestmark = pytest.mark.workflow

STAGES = ("aws_data", "parsed_data", "results_data")
HOUR_S = 3_600
AGES_S = (2**31, 400 * 24 * HOUR_S, HOUR_S, -HOUR_S, -400 * 24 * HOUR_S)
"""Of files, into the past and into the future."""


def files_of(workspace):
    return sorted(
        path
        for stage in STAGES
        for path in workspace.path(stage).rglob("*")
        if path.is_file() and ".staging" not in path.parts
    )


def built(workspace):
    return {
        path: path.read_bytes()
        for path in files_of(workspace)
        if path.suffix in {".zip", ".pqt", ".json"} or "parsed_data" in path.parts
    }


def date(path, age_s):
    then = max(time.time() - age_s, 0)
    os.utime(path, (then, then))


@pytest.fixture
def listed(young):
    """Return the workspace of the young symbol, whose listing is believed."""
    young.settings["listing"]["max_age_hours"] = 6
    return young


@pytest.mark.parametrize("seed", [1, 2])
def test_files_of_any_age_lead_to_the_same_bytes(listed, seed):
    before = built(listed)
    draw = random.Random(seed)
    for path in files_of(listed):
        date(path, draw.choice(AGES_S))

    listed.build()

    assert built(listed) == before
    assert listed.plan().is_idle


def test_zips_of_the_future_are_parsed(listed):
    for stage in STAGES[1:]:
        shutil.rmtree(listed.path(stage))
    for path in files_of(listed):
        date(path, -HOUR_S)

    assert "dated in the future" in listed.plan().text
    outcome = listed.build()

    (line,) = [line for line in outcome.text.splitlines() if "in the future" in line]
    assert line.startswith("bhds: warning: ")
    assert listed.plan().is_idle


def test_a_partition_of_the_future_is_built_from_a_zip_that_was_replaced(
    young, exchange
):
    """By a run that ended before it could parse what it had fetched."""
    partition = young.path("parsed_data/um_futures/klines/NEWUSDT/1m/2025.parquet")
    for path in files_of(young):
        if path.is_relative_to(partition.parent):
            date(path, -400 * 24 * HOUR_S)
    before = partition.read_bytes()
    exchange.exchange.republish(young_key(7))
    young.build("raw_all")

    young.build()

    assert partition.read_bytes() != before
    assert young.plan().is_idle
