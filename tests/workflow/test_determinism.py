"""What is built is the same bytes, wherever, by how many cores, in how many steps."""

import datetime as dt

import polars as pl
import pytest

from bhds.sandbox.exchange import Exchange
from bhds.sandbox.server import serving
from tests.built import STAGES, built_files, differing

from .conftest import UNIVERSE, Workspace, settings_for

pytestmark = pytest.mark.workflow

SYMBOL = "龙虾USDT"
"""It is listed in February, and halts from 2025-03-02 03:00 to 2025-03-05 10:30."""
FIRST_STEPS = [
    # Of the funding of February only the API tells; trading has not halted yet.
    (dt.datetime(2025, 3, 1, 7, tzinfo=dt.UTC), "2025-02-28"),
    # The archive has February's funding; the symbol has a second segment.
    (dt.datetime(2025, 3, 7, 12, tzinfo=dt.UTC), "2025-03-06"),
]
LAST_DAY = "2025-03-09"
OTHER_PLACE = {"PYTHONHASHSEED": "1", "POLARS_MAX_THREADS": "1", "TZ": "Asia/Tokyo"}
PAGE = "reports/quality.html"


def new_workspace(folder, endpoints, **options):
    folder.mkdir()
    settings = settings_for(endpoints, with_api=True, symbols=[SYMBOL])
    settings["datasets"][0]["results"]["resample"] = [{"interval": "1h"}]
    return Workspace(folder, settings, **options)


def state(workspace):
    """Return the last day and segment of a result, and where its funding is from."""
    results = workspace.path("results_data/um_futures")
    bars = pl.read_parquet(results / f"klines/1m/{SYMBOL}.pqt")
    events = pl.read_parquet(results / f"fundingRate/{SYMBOL}.pqt")
    last = bars.row(-1, named=True)
    return str(last["open_time"].date()), last["segment"], set(events["source"])


def test_cores_and_steps_change_no_byte(tmp_path):
    with Exchange(UNIVERSE) as exchange, serving(exchange) as running:
        alone = new_workspace(tmp_path / "alone", running.endpoints, cores=1)
        at_once = new_workspace(tmp_path / "at_once", running.endpoints)
        in_steps = new_workspace(tmp_path / "in_steps", running.endpoints)
        present = exchange.now
        settings = {"as_of": LAST_DAY}
        alone.build("all", settings=settings, environment=OTHER_PLACE)
        at_once.build("all", settings=settings)
        states = []
        for now, last_day in [*FIRST_STEPS, (present, LAST_DAY)]:
            exchange.set_now(now)
            in_steps.build("all", settings={"as_of": last_day})
            states.append(state(in_steps))

    assert states == [
        ("2025-02-28", 0, {"api"}),
        ("2025-03-06", 1, {"monthly", "api"}),
        ("2025-03-09", 1, {"monthly", "api"}),
    ]
    files = built_files(at_once.data)
    assert {path.partition("/")[0] for path in files} == set(STAGES)
    assert len(files) == 19
    assert sum(map(len, files.values())) > 500_000
    assert differing(built_files(alone.data), files) == set()
    # It asked the API more often, which the page shows.
    assert differing(built_files(in_steps.data), files) == {PAGE}
