import asyncio
import contextlib
import datetime as dt
import json
import os
import re
import sqlite3
import subprocess
import sys
import time
from collections import Counter

import pytest

from bhds.api.limits import LIMITS, Limit, Pool
from bhds.api.rate_limiter import RateLimiter
from bhds.api.rate_limiter_file import default_directory
from bhds.core.errors import ApiError

SPOT, FUTURES, FUNDING = Pool.SPOT, Pool.FUTURES, Pool.FUNDING
TEN = dict.fromkeys(Pool, Limit(weight=11, window_s=60))
"""Of a limit of 11, 10 may be used."""

CHILD = """
import asyncio, json, os, sys, time
from pathlib import Path
from bhds.api.rate_limiter import RateLimiter
from bhds.api.limits import Limit, Pool

def budget(weight=11, window_s=60.0):
    limits = dict.fromkeys(Pool, Limit(weight=weight, window_s=window_s))
    url = "http://exchange"
    folder = Path(sys.argv[1])
    return RateLimiter(spot=url, um=url, cm=url, directory=folder, limits=limits)

"""


def start(directory, body):
    """Run Python in a process of its own that has `budget(weight, window_s)`."""
    return subprocess.Popen(
        [sys.executable, "-c", CHILD + body, str(directory)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process):
    told, complaints = process.communicate(timeout=60)
    assert complaints == ""
    return [json.loads(line) for line in told.splitlines()]


async def acquire(budget, weight=1, *, pool=FUTURES, used_weight=None, **settings):
    async with budget.acquire(pool, weight, **settings) as spent:
        spent.used_weight = used_weight


def run(*coroutines):
    async def together():
        return await asyncio.gather(*coroutines)

    return asyncio.run(asyncio.wait_for(together(), timeout=60))


# --- one process ---------------------------------------------------------------------


def test_the_published_limits_are_used_to_95_percent():
    assert {
        pool: (limit.allowed, limit.window_s) for pool, limit in LIMITS.items()
    } == {
        SPOT: (5_700, 60),
        FUTURES: (2_280, 60),
        FUNDING: (475, 300),
    }


def test_a_request_waits_until_an_earlier_one_was_answered_a_window_ago(
    open_budget, clock
):
    budget = open_budget(limits=TEN)
    begun = clock.now
    run(acquire(budget, 4))
    clock.now += 20
    run(acquire(budget, 5))

    run(acquire(budget, 1))
    assert clock.slept == []
    run(acquire(budget, 1))

    assert 60 <= clock.now - begun < 60.1
    assert len(clock.slept) == 1
    assert budget.in_use(FUTURES) == 7


def test_a_request_occupies_its_weight_until_a_window_after_its_answer(
    open_budget, clock
):
    budget = open_budget(limits=TEN)

    async def ask_slowly():
        async with budget.acquire(FUTURES, 10, timeout_s=50):
            clock.now += 45

    run(ask_slowly())
    clock.now += 59
    assert budget.in_use(FUTURES) == 10
    clock.now += 1
    assert budget.in_use(FUTURES) == 0


def test_a_request_that_fails_occupies_its_weight_too(open_budget, clock):
    budget = open_budget(limits=TEN)

    async def fail():
        async with budget.acquire(FUTURES, 3, timeout_s=50):
            clock.now += 10
            raise KeyError

    with pytest.raises(KeyError):
        run(fail())
    clock.now += 59
    assert budget.in_use(FUTURES) == 3
    clock.now += 1
    assert budget.in_use(FUTURES) == 0


def test_a_request_that_outlives_its_time_is_counted_from_its_answer(
    open_budget, clock
):
    budget = open_budget(limits=TEN)

    async def ask_too_slowly():
        async with budget.acquire(FUTURES, 3, timeout_s=5):
            clock.now += 100
            assert budget.in_use(FUTURES) == 0

    run(ask_too_slowly())
    clock.now += 59
    assert budget.in_use(FUTURES) == 3


def test_while_a_request_is_under_way_nobody_looks_in_a_loop(open_budget, clock):
    budget = open_budget(limits=TEN)

    async def hold_and_ask():
        async with budget.acquire(FUTURES, 10):
            waiting = asyncio.create_task(acquire(budget, 1))
            while not clock.slept:
                await asyncio.sleep(0)
        await waiting

    run(hold_and_ask())

    assert clock.slept[0] >= 60
    assert len(clock.slept) <= 3


def test_pools_do_not_draw_on_each_other(open_budget):
    budget = open_budget(limits=TEN)
    run(acquire(budget, 10, pool=FUTURES), acquire(budget, 10, pool=SPOT))

    assert [budget.in_use(pool) for pool in (SPOT, FUTURES, FUNDING)] == [10, 10, 0]


def test_um_and_cm_share_a_pool_and_other_hosts_have_their_own(open_budget):
    hosts = {"spot": "http://s", "um": "http://um:1/x", "cm": "http://cm"}
    run(acquire(open_budget(**hosts), 7))

    assert open_budget(**hosts, limits=TEN).in_use(FUTURES) == 7
    for other in ({"um": "http://um:2/x"}, {"cm": "http://cm:2"}):
        assert open_budget(**(hosts | other)).in_use(FUTURES) == 0


@pytest.mark.parametrize(
    ("told", "expected"),
    [(100, 100), (5, 6), (None, 6), (2_000_000, 1_000_000)],
)
def test_the_server_is_believed_where_it_counts_more(open_budget, told, expected):
    budget = open_budget()
    run(acquire(budget, 4))

    run(acquire(budget, 2, used_weight=told))

    assert budget.in_use(FUTURES) == expected


def test_what_others_used_is_entered_once_and_for_one_window(open_budget, clock):
    budget = open_budget()
    run(acquire(budget, 2, used_weight=100))
    clock.now += 30
    run(acquire(budget, 2, used_weight=102))

    assert budget.in_use(FUTURES) == 102
    clock.now += 31
    assert budget.in_use(FUTURES) == 2


def test_nothing_is_sent_while_a_pool_is_shut(open_budget, clock):
    budget = open_budget()
    budget.block(FUTURES, 30)
    budget.block(FUTURES, 5)
    begun = clock.now

    run(acquire(budget, pool=SPOT))
    assert clock.slept == []
    run(acquire(budget))

    assert 30 <= clock.now - begun < 31


def test_a_long_ban_is_told_and_not_waited_for(open_budget, clock):
    budget = open_budget("http://fapi.example", longest_ban_s=600)
    budget.block(FUTURES, 3_600)

    with pytest.raises(ApiError, match=r"fapi\.example: .* no requests until") as told:
        run(acquire(budget))

    day, hour = re.search(r"until (\S+) (\S+) UTC", str(told.value)).groups()
    until = dt.datetime.fromisoformat(f"{day} {hour}+00:00")
    assert 58 < (until - dt.datetime.now(dt.UTC)).total_seconds() / 60 < 61
    assert clock.slept == []


@pytest.mark.parametrize(
    ("ordered_s", "restarted_at"),
    [
        pytest.param(100, 0, id="the machine restarted"),
        pytest.param(1e16, None, id="longer than any ban"),
    ],
)
def test_no_pause_lasts_longer_than_it_may(open_budget, clock, ordered_s, restarted_at):
    longest_s = min(ordered_s, 3 * 86_400)
    budget = open_budget(longest_ban_s=1e9)
    budget.block(FUTURES, ordered_s)
    if restarted_at is not None:
        clock.now = restarted_at
    begun = clock.now

    run(acquire(budget))

    assert longest_s <= clock.now - begun < longest_s + 1


def test_a_weight_that_is_never_free_is_refused(open_budget):
    with pytest.raises(
        ApiError, match="weight 11 exceeds what may be used at once, 10"
    ):
        run(acquire(open_budget(limits=TEN), 11))


def test_a_machine_that_restarted_holds_nobody_for_longer_than_a_window(
    open_budget, clock
):
    budget = open_budget(limits=TEN)
    run(acquire(budget, 10))
    clock.now -= 86_400
    begun = clock.now

    run(acquire(budget, 10))

    assert 59 < clock.now - begun < 62


def test_who_gives_up_waiting_leaves_the_queue(open_budget, clock):
    budget = open_budget(limits=TEN)

    async def give_up():
        async with budget.acquire(FUTURES, 4):
            waiting = asyncio.create_task(acquire(budget, 10))
            await asyncio.sleep(0)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            slept = len(clock.slept)
            await acquire(budget, 6)
            assert len(clock.slept) == slept

    run(give_up())


def test_a_heavy_request_is_not_passed_by_light_ones(open_budget):
    budget = open_budget(
        limits=dict.fromkeys(Pool, Limit(weight=22, window_s=0.05)),
        clock=time.monotonic,
        sleep=asyncio.sleep,
    )
    passed = Counter()

    async def ask_on(name):
        while not passed["heavy"]:
            await acquire(budget)
            passed[name] += 1

    async def ask_heavily():
        passed["before"] = passed["light"]
        await acquire(budget, 20)
        passed["heavy"] = 1

    run(*(ask_on("light") for _ in range(30)), ask_heavily())

    # At most those that were before it: what was granted at once, and who waited.
    assert passed["light"] - passed["before"] <= 20 + 30 + 30


def test_the_default_folder_is_this_users_own(monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    assert default_directory() == tmp_path / f"bhds-{os.getuid()}"
    with RateLimiter(spot="http://a", um="http://b", cm="http://c") as budget:
        assert budget.in_use(SPOT) == 0
    assert default_directory().stat().st_mode & 0o777 == 0o700


def test_a_folder_that_others_may_read_is_made_private(open_budget, tmp_path):
    folder = tmp_path / "open"
    folder.mkdir(mode=0o755)

    open_budget(directory=folder).in_use(SPOT)

    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_folder_that_is_a_link_is_refused(open_budget, tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")

    with pytest.raises(ApiError, match="link: is a link or belongs to user"):
        open_budget(directory=tmp_path / "link").in_use(SPOT)
    assert not list((tmp_path / "real").iterdir())


def test_a_folder_of_another_user_is_refused(open_budget, monkeypatch, tmp_path):
    budget = open_budget(directory=tmp_path)
    monkeypatch.setattr("os.getuid", lambda: tmp_path.stat().st_uid + 1)

    with pytest.raises(ApiError, match="belongs to user"):
        budget.in_use(SPOT)


SCHEMA_OF_OTHERS = "CREATE TABLE closed (pool TEXT, until TEXT)"
UNBOUNDED = "INSERT INTO closed VALUES ('futures@x', 1e300, 1e300)"
NEGATIVE = "INSERT INTO occupied VALUES (99, 'futures@x', -1000, 1, 1)"
LAST_ROW = "INSERT INTO occupied VALUES (9223372036854775807, 'futures@x', 1, 1, 1)"
LAST_TICKET = "INSERT INTO sqlite_sequence VALUES ('waiting', 9223372036854775807)"
NO_NUMBER = "UPDATE sqlite_sequence SET seq = 'x'"


def written(path, statement):
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        connection.execute(statement)
        connection.commit()


def folder_beside(path, end):
    beside = path.with_name(path.name + end)
    beside.unlink(missing_ok=True)
    beside.mkdir()


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda path: path.write_bytes(b"other" * 400), id="no database"),
        pytest.param(lambda path: os.truncate(path, 5_000), id="cut off"),
        pytest.param(lambda path: os.truncate(path, 2**30), id="huge"),
        pytest.param(
            lambda path: path.write_bytes(path.read_bytes()[:12_288] + bytes(28_672)),
            id="emptied pages",
        ),
        pytest.param(lambda path: written(path, UNBOUNDED), id="a pause for ever"),
        pytest.param(lambda path: written(path, NEGATIVE), id="a negative weight"),
        pytest.param(lambda path: written(path, LAST_ROW), id="the last row"),
        pytest.param(lambda path: written(path, LAST_TICKET), id="the last ticket"),
        pytest.param(lambda path: written(path, NO_NUMBER), id="no number"),
        pytest.param(
            lambda path: (path.unlink(), written(path, SCHEMA_OF_OTHERS)),
            id="other tables",
        ),
        pytest.param(lambda path: (path.unlink(), path.mkdir()), id="a folder"),
        pytest.param(
            lambda path: (path.unlink(), path.symlink_to("/etc/passwd")), id="a link"
        ),
        *(
            pytest.param(lambda path, end=end: folder_beside(path, end), id=end)
            for end in ("-journal", "-wal", "-shm")
        ),
        pytest.param(
            lambda path: path.chmod(0),
            id="unreadable",
            marks=pytest.mark.skipif(os.getuid() == 0, reason="root reads all"),
        ),
    ],
)
def test_a_damaged_file_is_set_aside_and_begun_again(
    open_budget, tmp_path, caplog, damage
):
    run(acquire(open_budget(), 4))
    path = tmp_path / "budget" / "api-budget-2.sqlite"
    path.with_name(f"{path.name}.damaged-1").touch()
    path.with_name(f"{path.name}.damaged-1-wal").mkdir()
    damage(path)

    budget = open_budget()
    assert budget.in_use(FUTURES) == 0
    run(acquire(budget, 3))
    assert open_budget().in_use(FUTURES) == 3

    assert len(list(path.parent.glob("api-budget-2.sqlite.damaged-*[0-9]"))) == 1
    (line,) = caplog.messages
    assert f"{path}: " in line
    assert "\n" not in line
    assert "set aside as api-budget-2.sqlite.damaged-" in line


def test_a_file_damaged_in_use_is_told_and_set_aside_by_the_next(open_budget, tmp_path):
    budget = open_budget()
    run(acquire(budget, 4))
    path = tmp_path / "budget" / "api-budget-2.sqlite"
    path.write_bytes(b"other" * 4_000)

    with pytest.raises(ApiError, match=r"api-budget-2\.sqlite: "):
        budget.in_use(FUTURES)

    assert budget.in_use(FUTURES) == 0


def test_a_file_that_another_process_locks_is_no_damage(
    open_budget, tmp_path, monkeypatch
):
    monkeypatch.setattr("bhds.api.rate_limiter_file._LOCK_TIMEOUT_S", 0.01)
    open_budget().in_use(FUTURES)
    path = tmp_path / "budget" / "api-budget-2.sqlite"
    with contextlib.closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN EXCLUSIVE")

        with pytest.raises(ApiError, match="database is locked"):
            open_budget().in_use(FUTURES)

    assert not list(path.parent.glob("*damaged*"))


# --- several processes ---------------------------------------------------------------


def test_no_window_holds_more_than_the_limit_when_processes_share_it(tmp_path):
    body = """
async def ask(shared):
    for _ in range(6):
        async with shared.acquire(Pool.FUTURES, 5):
            counted = time.time()
            await asyncio.sleep(0.01)
        print(json.dumps(counted))

async def main():
    with budget(100, 0.4) as shared:
        await asyncio.gather(*(ask(shared) for _ in range(3)))

asyncio.run(main())
"""
    children = [start(tmp_path / "budget", body) for _ in range(4)]
    counted = sorted(moment for child in children for moment in finish(child))

    assert len(counted) == 72
    for first in counted:
        in_window = sum(first <= moment < first + 0.4 for moment in counted)
        assert in_window * 5 <= 95
    # 360 of weight at 95 a window take three windows and a bit; not many more.
    assert counted[-1] - counted[0] < 4


def test_a_reservation_of_a_process_that_died_expires(open_budget, tmp_path, clock):
    body = """
async def main():
    async with budget().acquire(Pool.FUTURES, 7, timeout_s=15):
        os._exit(0)

asyncio.run(main())
"""
    finish(start(tmp_path / "budget", body))
    shared = open_budget(limits=TEN)
    clock.now = time.monotonic()

    assert shared.in_use(FUTURES) == 7
    clock.now += 70
    assert shared.in_use(FUTURES) == 7
    clock.now += 6
    assert shared.in_use(FUTURES) == 0


def test_a_place_of_a_process_that_died_waiting_is_given_up(
    open_budget, tmp_path, clock
):
    body = """
async def die(_seconds):
    os._exit(0)

async def main():
    shared = budget()
    shared._sleep = die
    async with shared.acquire(Pool.FUTURES, 10):
        async with shared.acquire(Pool.FUTURES, 10):
            pass

asyncio.run(main())
"""
    finish(start(tmp_path / "budget", body))
    shared = open_budget(limits=TEN)
    clock.now = begun = time.monotonic()

    run(acquire(shared, 10))

    assert 110 < clock.now - begun < 130  # the first one's time and its window


def test_a_pause_holds_for_other_processes(open_budget, tmp_path, clock):
    finish(start(tmp_path / "budget", "budget().block(Pool.FUTURES, 30)"))
    clock.now = begun = time.monotonic()

    run(acquire(open_budget()))

    assert 25 < clock.now - begun < 31
