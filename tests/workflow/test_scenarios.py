"""All scenarios of the sandbox at once, and the results that are built from them.

The numbers are those of docs/known-limitations.md. One exchange shows all of them, and
the workflow builds them in three runs: all as it is at first; again after files were
replaced, restored and published late; and a day on for three symbols, while the bucket
refuses to be listed.
"""

import datetime as dt
import json
import re
import shutil
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from bhds.archive.download import ledger
from bhds.core.markets import Interval, TradeType
from bhds.core.timegrid import TIME
from bhds.parse import revisions
from bhds.sandbox import admin
from bhds.sandbox.exchange import Exchange
from bhds.sandbox.formats import kline_rows
from bhds.sandbox.scenarios import load_scenarios
from bhds.sandbox.server import serving
from bhds.sandbox.timegrid import to_ms
from bhds.sandbox.universe import Universe
from bhds.schemas.klines import turnover_columns

from .conftest import Outcome, Workspace

pytestmark = pytest.mark.workflow

SPOT, UM, CM = TradeType.SPOT, TradeType.UM_FUTURES, TradeType.CM_FUTURES
MINUTE = dt.timedelta(minutes=1)
KEPT = ("parsed_data", "api_data", "results_data")


def march(day, hour=0, minute=0):
    return dt.datetime(2025, 3, day, hour, minute, tzinfo=dt.UTC)


def dataset(trade_type, data_type, *bases, **more):
    quote = {CM: "USD_PERP"}.get(trade_type, "USDT")
    symbols = [f"{base}{quote}" for base in bases]
    chosen = {"trade_type": str(trade_type), "data_type": data_type}
    return chosen | {"symbols": symbols} | more


NO_FUNDING = {"results": {"funding": False}}
DATASETS = [
    dataset(
        UM,
        "klines",
        *("D01B", "D03", "D04", "D05", "D06", "D07", "D08", "D10B", "D13", "D14"),
        *("D15", "D18", "D19", "D23", "D28", "博物馆", "XAU"),
        **NO_FUNDING,
    ),
    dataset(UM, "klines", "D01", "D10", "D17", interval="1h", **NO_FUNDING),
    dataset(UM, "klines", "D16", "D27", interval="1h"),
    dataset(SPOT, "klines", "LINK", "D09", "D09B", "D12A", "D12B"),
    dataset(CM, "klines", "D11", "D31", **NO_FUNDING),
    dataset(UM, "metrics", "D21", "D26"),
    dataset(UM, "bookDepth", "D26"),
    dataset(UM, "aggTrades", "D08", "D23"),
    dataset(UM, "markPriceKlines", "D22A", "D22B", "D22C"),
    dataset(UM, "indexPriceKlines", "D22A"),
    dataset(CM, "liquidationSnapshot", "D24"),
    dataset(UM, "liquidationSnapshot", "D24"),
    dataset(UM, "bookTicker", "D25"),
    dataset(TradeType.OPTION, "EOHSummary", "D25"),
]
"""Few symbols and data types for each defect."""

AT_ONCE = [number for number in load_scenarios() if number not in {"D20", "D32"}]


@dataclass
class Visit:
    """The exchange, and the data and messages of each run."""

    exchange: Exchange
    workspace: Workspace
    before: Path
    """The data after the first run."""
    outcomes: dict[str, Outcome]
    """What each run said."""
    asked: dict[str, Counter]
    """The requests that the exchange had answered when each run was over."""
    listings_amiss: int
    """How many listings had been refused or cut off by the end of the first run."""
    changed: set[str]
    """The files that the second run made."""

    @property
    def data(self):
        return self.workspace.data


@pytest.fixture(scope="module")
def visit(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scenarios")
    with Exchange(Universe(seed=32)) as exchange, serving(exchange) as running:
        workspace = Workspace(folder, settings_of(running.endpoints, DATASETS))
        outcomes, asked = {}, {}

        for number in AT_ONCE:
            admin.add_scenario(exchange, number)
        outcomes["denied"] = workspace.plan("all")
        admin.add_scenario(exchange, "D32")
        info = exchange.api.endpoints["/dapi/v1/exchangeInfo"].answer({})
        path = workspace.path("api_data/cm_futures/exchangeInfo.json")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(info)
        outcomes["first"] = workspace.build("all")
        asked["first"] = exchange.requests.copy()
        listings_amiss = exchange.listing_faults.served
        before = folder / "before"
        for name in KEPT:
            shutil.copytree(workspace.path(name), before / name)
        times = workspace.times()

        for number in ("D03", "D18", "D19", "D31"):
            admin.advance_scenario(exchange, number)
        outcomes["second"] = workspace.build("all")
        asked["second"] = exchange.requests.copy()
        changed = workspace.changed(times)

        exchange.listing_faults.add("refuse", status=403, times=None)
        outcomes["third"] = workspace.build(
            *(
                f"results_data/um_futures/klines/1m/{name}.pqt"
                for name in ("D28USDT", "XAUUSDT", "博物馆USDT")
            ),
            settings={"as_of": "2025-03-10"},
        )
        yield Visit(
            *(exchange, workspace, before, outcomes, asked, listings_amiss, changed)
        )


def settings_of(endpoints, datasets, **more):
    return {
        "endpoints": asdict(endpoints),
        "listing": {"max_age_hours": 0, "full_refresh_days": 0},
        "as_of": "2025-03-09",
        "datasets": datasets,
    } | more


# --- what was built


def result(folder, symbol, *, market=UM, interval="1m"):
    return pl.read_parquet(
        folder / f"results_data/{market}/klines/{interval}/{symbol}.pqt"
    )


def counts(folder, symbol, *, market=UM, interval="1m"):
    """Return what the metadata of a result count."""
    path = folder / f"results_data/{market}/klines/{interval}/{symbol}.pqt"
    metadata = pl.read_parquet_metadata(path)
    return {
        name.removeprefix("bhds."): int(value)
        for name, value in metadata.items()
        if value.isdecimal()
    }


def partition(folder, symbol, name, *, market=UM, series="klines/{}/1m"):
    path = f"parsed_data/{market}/{series.format(symbol)}/{name}"
    return pl.read_parquet(folder / f"{path}.parquet"), sources_of(folder / path)


def sources_of(path):
    return json.loads(path.with_name(f"{path.name}.sources.json").read_text())


def zips(sources):
    """Return the entries of a partition's zips by the periods that they cover."""
    return {
        re.search(r"-([\d-]+)\.zip$", entry["key"])[1].lstrip("-"): entry
        for entry in sources["inputs"]
    }


def holes(folder, symbol, *, market=UM, series="klines/{}/1m"):
    """Return start, reason, number found, and status of what the API was asked for."""
    path = folder / f"api_data/{market}/{series.format(symbol)}/all"
    return [
        (hole["start"][:16], hole["reason"], hole["found"], hole["status"])
        for hole in sources_of(path)["missing_ranges"]
    ]


def quality(folder, name, symbol, *, market=UM):
    path = folder / f"results_data/{market}/quality/{name}.parquet"
    return pl.read_parquet(path).filter(symbol=symbol)


def classes(folder, symbol, *, market=UM, interval="1m"):
    gaps = quality(folder, f"gaps-{interval}", symbol, market=market)
    return gaps["class"].to_list()


def condition(folder, symbol, day, *, market=UM, series="klines-1m"):
    """Return the condition of a day of March 2025, and its reason."""
    days = quality(folder, f"condition-{series}", symbol, market=market)
    (row,) = days.filter(day=march(day).date()).iter_rows(named=True)
    return row["condition"], row["reason"]


# --- what is true


def true_bars(visit, symbol, *, market=UM, interval="1m", start=None, end=None):
    """Return what the exchange knows of a symbol's bars, whatever its files hold."""
    listed = visit.exchange.universe.symbol(market, symbol)
    start, end = start or listed.listed, end or march(10)
    bars = visit.exchange.klines.bars(
        listed, Interval.parse(interval), start_ms=to_ms(start), end_ms=to_ms(end)
    )
    shown = kline_rows(bars, symbol=listed, interval=Interval.parse(interval))
    turnover, bought_turnover = turnover_columns(market)
    named = shown.rename(
        {
            "amount": turnover,
            "taker_volume": "taker_buy_volume",
            "taker_amount": bought_turnover,
        }
    )
    return named.drop("close_time", "ignore").with_columns(
        pl.from_epoch("open_time", "ms").cast(TIME),
        pl.all().exclude("open_time", "trade_count").cast(pl.Float64),
    )


def assert_true(built, expected):
    """Check that bars are, to the last value, what the exchange knows.

    Those that were filled are left out: the exchange has none.
    """
    published = built.filter(pl.col("source") != "filled")
    assert_frame_equal(
        published.select(expected.columns), expected, rel_tol=1e-12, abs_tol=0
    )


def sources_by_day(frame):
    """Return of each day of the month how many bars there are from which source."""
    found = {}
    grouped = frame.group_by(pl.col("open_time").dt.day(), "source").len()
    for day, source, number in grouped.iter_rows():
        found.setdefault(day, {})[source] = number
    return found


# --- D01 to D32


def test_d01_days_that_a_month_lacks_come_from_daily_zips(visit):
    _, sources = partition(visit.before, "D01USDT", "all", series="klines/{}/1h")
    of_april = {period for period in zips(sources) if period.startswith("2022-04")}
    assert of_april == {f"2022-04-{day:02}" for day in range(1, 31)}
    known = result(visit.before, "D01USDT", interval="1h")
    assert_true(known, true_bars(visit, "D01USDT", interval="1h"))
    assert "filled" not in set(known["source"])

    _, sources = partition(visit.before, "D01BUSDT", "2025")
    assert zips(sources)["2025-02"]["integrity_status"] == "ok"
    assert zips(sources)["2025-02-27"]["integrity_status"] == "ok"
    assert holes(visit.before, "D01BUSDT") == []
    unknown = result(visit.before, "D01BUSDT")
    assert_true(unknown, true_bars(visit, "D01BUSDT"))
    by_day = sources_by_day(unknown.filter(pl.col("open_time") < march(1)))
    assert by_day == {
        26: {"monthly": 1440},
        27: {"daily": 1440},
        28: {"monthly": 1440},
    }


def test_d02_daily_zips_go_before_a_stale_month_and_the_conflict_is_on_record(visit):
    built = result(visit.before, "LINKUSDT", market=SPOT)
    truth = true_bars(visit, "LINKUSDT", market=SPOT)
    assert_true(built, truth)
    stale_from = dt.datetime(2020, 12, 21, 13, tzinfo=dt.UTC)

    conflicts = quality(visit.before, "conflicts-1m", "LINKUSDT", market=SPOT)

    times = [stale_from + number * MINUTE for number in range(50)]
    assert conflicts["open_time"].to_list() == times
    kept = truth.filter(pl.col("open_time").is_in(times))
    assert conflicts["kept_trade_count"].to_list() == kept["trade_count"].to_list()
    assert conflicts["trade_count"].to_list() == [n + 1 for n in kept["trade_count"]]
    assert set(conflicts["source"]) == {"monthly"}
    assert set(conflicts["kept_source"]) == {"daily"}
    (of_month,) = set(conflicts["key"])
    assert of_month.endswith("/LINKUSDT-1m-2020-12.zip")


def test_d03_a_replaced_file_is_fetched_and_only_what_comes_of_it_is_built(visit):
    key = "data/futures/um/daily/klines/D03USDT/1m/D03USDT-1m-2025-03-07.zip"
    truth = true_bars(visit, "D03USDT")
    assert_true(result(visit.before, "D03USDT"), truth)

    altered = (pl.col("open_time") >= march(7)) & (pl.col("open_time") < march(8))
    altered &= pl.col("open_time").dt.minute() == 0
    replaced = truth.with_columns(
        pl.when(altered).then(pl.col("high") + 0.01).otherwise("high").alias("high"),
        pl.when(altered).then(pl.col("trade_count") + 1).otherwise("trade_count"),
    )
    found = result(visit.data, "D03USDT")
    assert_true(found, replaced.select(truth.columns))

    changed = revisions.read(visit.data).filter(key=key)
    assert set(changed["column"]) == {"high", "trade_count"}
    assert changed["rows_changed"].to_list() == [24, 24]
    assert changed["column_rows_changed"].to_list() == [24, 24]
    assert ledger.read(visit.data).filter(key=key)["etag"].n_unique() == 2
    rebuilt = {
        path for path in visit.changed if not re.search("/quality/|/logs/", path)
    }
    # The API refused COIN-M in the first run.
    changed_now = re.compile(r"/(D03USDT|D18USDT|D19USDT|D11USD_PERP|D31USD_PERP)[./]")
    of_no_symbol = re.compile(r"^api_data/(usage\.|unanswered\.|\.refused/)|^reports/")
    others = {path for path in rebuilt if not changed_now.search(path)}
    assert {path for path in others if not of_no_symbol.search(path)} == set()
    of_d03 = {path for path in rebuilt if "D03USDT" in path}
    assert {path.partition("/")[0] for path in of_d03} >= set(KEPT)
    assert "D04USDT" not in " ".join(rebuilt)


def test_d04_a_zip_with_an_old_checksum_is_used_told_and_not_fetched_again(visit):
    _, sources = partition(visit.before, "D04USDT", "2025")
    entry = zips(sources)["2025-03-07"]
    assert entry["integrity_status"] == "checksum-stale"
    assert entry["sha256"] != entry["published_sha256"]
    assert entry["published_sha256"] in entry["reason"]
    assert_true(result(visit.data, "D04USDT"), true_bars(visit, "D04USDT"))

    # Each revision was fetched once; in the second run, those that changed or came.
    fetched = ledger.read(visit.data).filter(pl.col("key").str.ends_with(".zip"))
    assert visit.asked["second"]["zip"] == fetched.height
    later = visit.asked["second"]["zip"] - visit.asked["first"]["zip"]
    assert later == 1 + 1 + 2  # D03, D18, D19


def test_d05_zips_that_break_the_rules_are_told_and_filled_from_elsewhere(visit):
    _, sources = partition(visit.before, "D05USDT", "2025")
    entries = zips(sources)
    assert "D05USDT-1m-2025-2.zip' is no archive file" in visit.outcomes["first"].text
    assert {period for period in entries if period < "2025-03"} == {
        "2025-02-27",
        "2025-02-28",
    }
    statuses = {
        int(period[-2:]): entry["integrity_status"]
        for period, entry in entries.items()
        if period > "2025-03-04"
    }
    assert statuses == {
        5: "corrupt",
        6: "checksum-missing",
        7: "corrupt",
        8: "ok",
        9: "ok",
    }
    assert "cannot be opened" in entries["2025-03-05"]["reason"]
    assert "2 CSVs" in entries["2025-03-07"]["reason"]
    assert "no CHECKSUM" in entries["2025-03-06"]["reason"]
    (warning,) = entries["2025-03-08"]["warnings"]
    assert "named 'folder/D05USDT-1m-2025-03-08.csv'" in warning
    told = visit.outcomes["first"].text
    for day in (5, 7):
        assert (
            f"D05USDT-1m-2025-03-{day:02}.zip: corrupt, its rows are left out" in told
        )

    built = result(visit.before, "D05USDT")
    assert_true(built, true_bars(visit, "D05USDT"))
    by_day = sources_by_day(built)
    assert {day for day, found in by_day.items() if found == {"api": 1440}} == {5, 7}


def test_d06_the_rest_of_a_truncated_day_comes_from_the_api(visit):
    _, sources = partition(visit.before, "D06USDT", "2025")
    assert zips(sources)["2025-03-07"]["integrity_status"] == "ok"
    (day,) = [day for day in sources["days"] if day["day"] == "2025-03-07"]
    assert (day["expected"], day["present"]) == (1440, 480)
    assert holes(visit.before, "D06USDT") == [
        ("2025-03-07T08:00", "truncated", 960, "filled")
    ]

    built = result(visit.before, "D06USDT")

    assert_true(built, true_bars(visit, "D06USDT"))
    assert sources_by_day(built)[7] == {"daily": 480, "api": 960}
    assert condition(visit.before, "D06USDT", 7) == ("available", None)


def test_d07_identical_rows_become_one_and_others_are_conflicts(visit):
    _, sources = partition(visit.before, "D07USDT", "2025")
    entries = zips(sources)
    same, other = entries["2025-03-07"], entries["2025-03-08"]
    assert (same["duplicates"], same["conflicts"]) == (1440, 0)
    assert (other["duplicates"], other["conflicts"]) == (0, 24)
    truth = true_bars(visit, "D07USDT")
    assert_true(result(visit.before, "D07USDT"), truth)

    conflicts = quality(visit.before, "conflicts-1m", "D07USDT")

    hours = [march(8, hour) for hour in range(24)]
    assert conflicts["open_time"].to_list() == hours
    true_counts = truth.filter(pl.col("open_time").is_in(hours))["trade_count"]
    assert conflicts["kept_trade_count"].to_list() == true_counts.to_list()
    assert conflicts["trade_count"].to_list() == [n + 1 for n in true_counts]
    assert condition(visit.before, "D07USDT", 8) == ("degraded", "conflict")


def test_d08_rows_are_sorted_and_ids_are_checked_for_holes(visit):
    frame, sources = partition(visit.before, "D08USDT", "2025")
    assert zips(sources)["2025-03-07"]["out_of_order"] == 1
    assert frame["open_time"].is_sorted()
    assert_true(result(visit.before, "D08USDT"), true_bars(visit, "D08USDT"))

    frame, sources = partition(
        visit.before, "D08USDT", "2025-03", series="aggTrades/{}"
    )
    ids = frame["agg_trade_id"]
    assert zips(sources)["2025-03-07"]["out_of_order"] == 1
    assert ids.is_sorted()
    assert ids.is_unique().all()
    assert (ids.diff() > 1).sum() == 10
    assert (sources["missing_ids"], sources["missing_id_ranges"]) == (10, 10)


def test_d09_units_are_told_apart_and_a_file_that_errs_is_named(visit):
    for year, unit in (("2024", "ms"), ("2025", "us")):
        _, sources = partition(visit.before, "D09USDT", year, market=SPOT)
        assert {entry["time_unit"] for entry in sources["inputs"]} == {unit}
    built = result(visit.before, "D09USDT", market=SPOT)
    assert_true(built, true_bars(visit, "D09USDT", market=SPOT))

    _, sources = partition(visit.before, "D09BUSDT", "2025", market=SPOT)
    mixed, elsewhere = (zips(sources)[f"2025-03-0{day}"] for day in (6, 7))
    assert mixed["integrity_status"] == elsewhere["integrity_status"] == "corrupt"
    assert "expected us, as in the lines before" in mixed["reason"]
    assert (
        "2025-03-08T00:00:00+00:00: expected a time of 2025-03-07"
        in (elsewhere["reason"])
    )
    for entry in (mixed, elsewhere):
        assert f"{entry['key']}: corrupt" in visit.outcomes["first"].text
    built = result(visit.before, "D09BUSDT", market=SPOT)
    assert_true(built, true_bars(visit, "D09BUSDT", market=SPOT))
    by_day = sources_by_day(built.filter(pl.col("source") != "filled"))
    assert by_day[6] == {"api": 1370}  # D12: 70 minutes without any
    assert by_day[7] == {"api": 1440}


def test_d10_headers_are_sniffed_and_their_names_checked(visit):
    _, sources = partition(visit.before, "D10USDT", "all", series="klines/{}/1h")
    for period, entry in zips(sources).items():
        assert entry["header"] is (period >= "2022-06")
    built = result(visit.before, "D10USDT", interval="1h")
    assert_true(built, true_bars(visit, "D10USDT", interval="1h"))

    frame, sources = partition(visit.before, "D10BUSDT", "2025")
    more, fewer = (zips(sources)[f"2025-03-0{day}"] for day in (7, 8))
    assert (more["integrity_status"], more["rows_kept"]) == ("ok", 1440)
    assert more["warnings"] == ["column unknown:trade_status is ignored"]
    assert fewer["integrity_status"] == "corrupt"
    assert "lacks count" in fewer["reason"]
    assert not [name for name in frame.columns if "trade_status" in name]
    built = result(visit.before, "D10BUSDT")
    assert_true(built, true_bars(visit, "D10BUSDT"))
    assert sources_by_day(built)[8] == {"api": 1440}


def test_d11_volumes_are_named_for_what_they_are_and_vwap_knows_the_contract(visit):
    built = result(visit.before, "D11USD_PERP", market=CM)
    truth = true_bars(visit, "D11USD_PERP", market=CM)
    assert_true(built, truth)
    assert {"base_volume", "taker_buy_base_volume"} <= set(built.columns)
    assert "quote_volume" not in built.columns

    listed = visit.exchange.universe.symbol(CM, "D11USD_PERP")
    assert (built["volume"] % 1 == 0).all()
    price = built["volume"] * listed.contract_size / built["base_volume"]
    # Each trade's coins are rounded down to 8 decimals.
    assert ((built["vwap"] / price - 1).abs() < 1e-6).all()
    assert built["vwap"].is_between(built["low"], built["high"]).all()


def test_d12_an_outage_is_classed_asked_for_once_and_recorded_as_empty(visit):
    for symbol in ("D12AUSDT", "D12BUSDT"):
        assert holes(visit.before, symbol, market=SPOT) == [
            ("2025-03-06T02:00", "missing", 0, "empty")
        ]
        assert classes(visit.before, symbol, market=SPOT) == ["outage"]
        assert condition(visit.before, symbol, 6, market=SPOT) == ("degraded", "outage")
        built = result(visit.before, symbol, market=SPOT)
        filled = built.filter(source="filled")
        assert filled["open_time"].to_list() == [
            march(6, 2) + number * MINUTE for number in range(70)
        ]
        assert filled["volume"].sum() == 0
        assert_true(built, true_bars(visit, symbol, market=SPOT))
    spot = {name: visit.asked[name]["spot/klines"] for name in ("first", "second")}
    assert spot["first"] == spot["second"] > 0


def test_d13_late_bars_are_kept_as_published_and_on_the_grid_in_results(visit):
    frame, sources = partition(visit.before, "D13USDT", "2025")
    late = frame.filter(pl.col("open_time").dt.second() > 0)["open_time"]
    assert zips(sources)["2025-03-07"]["off_grid"] == late.len() == 120
    assert late[0] == march(7, 10, 30) + dt.timedelta(seconds=14.789)

    built = result(visit.before, "D13USDT")

    assert built["open_time"].dt.truncate("1m").equals(built["open_time"])
    assert_true(built, true_bars(visit, "D13USDT"))  # none is dropped
    assert counts(visit.before, "D13USDT")["off_grid"] == 120
    assert built["trade_count"].sum() == frame["trade_count"].sum()
    (gap,) = quality(visit.before, "gaps-1m", "D13USDT").iter_rows(named=True)
    assert (gap["missing_bars"], gap["class"]) == (30, "halt")


def test_d14_runs_without_trades_that_are_wrong_come_from_the_api(visit):
    frame, _ = partition(visit.before, "D14USDT", "2025")
    run = [march(7, 12, minute) for minute in range(13)]
    assert frame.filter(trade_count=0)["open_time"].to_list() == run
    assert holes(visit.before, "D14USDT") == [
        ("2025-03-07T12:00", "untraded", 13, "filled")
    ]

    built = result(visit.before, "D14USDT")

    assert_true(built, true_bars(visit, "D14USDT"))
    assert built.filter(source="api")["open_time"].to_list() == run
    conflicts = quality(visit.before, "conflicts-1m", "D14USDT")
    assert conflicts["open_time"].to_list() == run
    assert set(conflicts["trade_count"]) == {0}
    assert set(conflicts["kept_source"]) == {"api"}


def test_d15_a_flat_tail_is_trimmed_and_classed(visit):
    frame, _ = partition(visit.before, "D15USDT", "2025")
    assert frame["open_time"].max() == march(5, 23, 59)

    built = result(visit.before, "D15USDT")

    assert_true(built, true_bars(visit, "D15USDT"))
    assert built["open_time"].max() == march(5, 8, 59)
    assert counts(visit.before, "D15USDT")["trimmed"] == 15 * 60
    assert classes(visit.before, "D15USDT") == ["delisted_tail"]


def test_d16_two_assets_are_two_segments_and_phantom_funding_is_dropped(visit):
    built = result(visit.before, "D16USDT", interval="1h")
    assert_true(built, true_bars(visit, "D16USDT", interval="1h"))
    ends = built.group_by("segment", maintain_order=True).agg(
        pl.col("open_time").first(), last=pl.col("open_time").last()
    )
    assert ends.rows() == [
        (
            0,
            *(
                dt.datetime(2025, 1, day, hour, tzinfo=dt.UTC)
                for day, hour in ((6, 0), (8, 23))
            ),
        ),
        (1, march(6, 10), march(9, 23)),
    ]

    events = pl.read_parquet(
        visit.before / "results_data/um_futures/fundingRate/D16USDT.pqt"
    )["funding_time"]
    settled = dt.datetime(2025, 1, 9, tzinfo=dt.UTC)
    phantoms = events.filter((events >= settled) & (events < march(6)))
    assert phantoms.len() == 69
    assert counts(visit.before, "D16USDT", interval="1h")["funding_dropped"] == 69
    joined = built.drop_nulls("funding_rate")["open_time"]
    assert joined.to_list() == [time for time in events if time not in set(phantoms)]


def test_d17_a_relisting_splits_and_its_absence_is_no_missing_file(visit):
    built = result(visit.before, "D17USDT", interval="1h")
    assert_true(built, true_bars(visit, "D17USDT", interval="1h"))
    assert built["segment"].unique().sort().to_list() == [0, 1]
    assert "filled" not in set(built["source"])
    (gap,) = quality(visit.before, "gaps-1h", "D17USDT").iter_rows(named=True)
    assert gap["split"]
    assert gap["class"] == "relisting"
    assert gap["price_change"] == pytest.approx(-0.3, abs=0.1)
    days = quality(visit.before, "condition-klines-1h", "D17USDT")
    absent = days.filter(
        pl.col("day").is_between(dt.date(2025, 1, 11), dt.date(2025, 3, 5))
    )
    assert set(absent["condition"]) == {"not_listed"}
    assert set(absent["reason"]) == {"relisting"}


def test_d18_missing_days_come_from_the_api_until_their_file_appears(visit):
    truth = true_bars(visit, "D18USDT")
    first, second = (result(folder, "D18USDT") for folder in (visit.before, visit.data))
    assert holes(visit.before, "D18USDT") == [
        ("2025-03-06T00:00", "missing_file", 2880, "filled")
    ]
    assert_true(first, truth)
    assert_true(second, truth)
    assert [sources_by_day(first)[day] for day in (6, 7)] == [{"api": 1440}] * 2
    assert [sources_by_day(second)[day] for day in (6, 7)] == [
        {"daily": 1440},
        {"api": 1440},
    ]


def test_d19_a_stall_is_bridged_by_the_api_until_the_files_appear(visit):
    truth = true_bars(visit, "D19USDT")
    first, second = (result(folder, "D19USDT") for folder in (visit.before, visit.data))
    assert holes(visit.before, "D19USDT") == [
        ("2025-03-08T00:00", "tail", 2880, "filled")
    ]
    assert_true(first, truth)
    assert [sources_by_day(first)[day] for day in (8, 9)] == [{"api": 1440}] * 2
    assert_true(second, truth)
    assert set(second["source"]) == {"daily"}
    assert holes(visit.data, "D19USDT") == []
    # Without the API, such a day is pending: so of D31, whose API did not answer.
    assert condition(visit.before, "D31USD_PERP", 9, market=CM)[0] == "pending"


@pytest.fixture(scope="module")
def relabelled(tmp_path_factory):
    """Return metrics over the day on which their labels were moved."""
    folder = tmp_path_factory.mktemp("relabelled")
    now = load_scenarios()["D20"].since
    with (
        Exchange(Universe(seed=32), now=now) as exchange,
        serving(exchange) as running,
    ):
        admin.add_scenario(exchange, "D20")
        settings = settings_of(
            running.endpoints, [dataset(UM, "metrics", "D20")], as_of="2026-06-26"
        )
        workspace = Workspace(folder, settings)
        workspace.build("parsed_all")
        symbol = exchange.universe.symbol(UM, "D20USDT")
        bars = exchange.klines.bars(
            symbol,
            Interval.parse("5m"),
            start_ms=to_ms(symbol.listed),
            end_ms=to_ms(dt.datetime(2026, 6, 27, tzinfo=dt.UTC)),
        )
        frame, _ = partition(workspace.data, "D20USDT", "2026", series="metrics/{}")
        yield frame, bars


def test_d20_labels_are_normalised_and_the_raw_ones_kept(relabelled):
    frame, bars = relabelled
    moved = dt.datetime(2026, 6, 25, tzinfo=dt.UTC)
    assert frame["create_time"].dt.epoch("ms").to_list() == bars["open_time"].to_list()
    labels = frame.with_columns(off=pl.col("raw_create_time") - pl.col("create_time"))
    old = labels.filter(pl.col("create_time") < moved)
    new = labels.filter(pl.col("create_time") >= moved)
    assert set(old["off"]) == {dt.timedelta(minutes=5)}
    assert set(new["off"]) == {dt.timedelta()}
    assert frame["raw_create_time"].to_list().count(moved) == 2
    # What is held is worth what the period's close says, so labels are those of data.
    worth = frame["sum_open_interest_value"] / frame["sum_open_interest"]
    assert ((worth * 100 / bars["close"] - 1).abs() < 1e-6).all()


def test_d21_metrics_stay_as_they_are_sorted_and_counted(visit):
    frame, sources = partition(visit.before, "D21USDT", "2025", series="metrics/{}")
    spoiled, again = (zips(sources)[f"2025-03-0{day}"] for day in (7, 8))
    assert spoiled["out_of_order"] == 1
    assert frame["create_time"].is_sorted()
    assert frame["create_time"].is_unique().all()
    ratios = [name for name in frame.columns if name.endswith("ratio")]
    blank = frame.filter(pl.all_horizontal(pl.col(ratios).is_null()))
    assert blank.height == 5
    assert spoiled["blanks"] == 5 * len(ratios)
    assert frame.select(ratios).null_count().sum_horizontal().item() == 5 * len(ratios)
    zero = frame.filter(sum_open_interest=0)
    assert zero.height == 1
    assert zero["create_time"].dt.date().to_list() == [march(7).date()]

    # Ten rows are missing, and nothing stands in for them.
    (day,) = [day for day in sources["days"] if day["day"] == "2025-03-07"]
    assert (day["expected"], day["present"]) == (288, 278)
    assert condition(visit.before, "D21USDT", 7, series="metrics")[0] == "degraded"
    # The label 00:00 of March 8 is in both files, of one period: the later one counts.
    assert again["rows_read"] == again["rows_kept"] == 289
    assert spoiled["conflicts"] == 1
    shared = frame.filter(raw_create_time=march(8))
    assert shared["create_time"].to_list() == [march(8) - dt.timedelta(minutes=5)]
    assert shared["sum_open_interest"][0] > 0


def test_d22_minutes_that_nobody_has_are_an_outage_and_are_not_filled(visit):
    lost = [march(7, 8, minute) for minute in range(10)]
    grid = pl.datetime_range(march(5), march(9, 23, 59), "1m", time_unit="us")
    every = pl.select(grid).to_series()
    of_marks = [("markPriceKlines", f"D22{letter}USDT") for letter in "ABC"]
    for data_type, symbol in (*of_marks, ("indexPriceKlines", "D22AUSDT")):
        series = f"{data_type}/{{}}/1m"
        frame, _ = partition(visit.before, symbol, "2025", series=series)
        held = frame["open_time"].implode()
        assert every.filter(~every.is_in(held)).to_list() == lost
        assert holes(visit.before, symbol, series=series) == [
            ("2025-03-07T08:00", "missing", 0, "empty")
        ]
        fill = f"api_data/um_futures/{series.format(symbol)}/all.parquet"
        assert pl.read_parquet(visit.before / fill).is_empty()
        if data_type == "markPriceKlines":  # of other symbols too
            judged = condition(visit.before, symbol, 7, series=f"{data_type}-1m")
            assert judged == ("degraded", "outage")


def test_d23_quantities_that_do_not_add_up_to_the_bars_are_reported(visit):
    checked = quality(visit.before, "volume_checks", "D23USDT")
    truth = true_bars(visit, "D23USDT")
    by_day = truth.group_by(pl.col("open_time").dt.date().alias("day")).agg(
        pl.col("volume").sum()
    )
    assert checked["day"].to_list() == [march(day).date() for day in range(5, 10)]
    volumes = dict(by_day.iter_rows())
    for row in checked.iter_rows(named=True):
        assert row["bars_volume"] == pytest.approx(volumes[row["day"]], rel=1e-12)
        assert row["agrees"] is (row["day"] != march(7).date())
        if row["agrees"]:
            assert row["trades_quantity"] == pytest.approx(row["bars_volume"])
    (wrong,) = checked.filter(~pl.col("agrees")).iter_rows(named=True)
    frame, _ = partition(visit.before, "D23USDT", "2025-03", series="aggTrades/{}")
    of_day = frame.filter(pl.col("time").dt.date() == march(7).date())["quantity"]
    assert wrong["trades_quantity"] == pytest.approx(of_day.sum())
    assert wrong["difference"] < -0.05 * wrong["bars_volume"]
    assert "do not add up to the volume of the bars" in visit.outcomes["first"].text


def test_d24_withdrawn_liquidations_are_no_error_and_pairs_are_collapsed(visit):
    frame, sources = partition(
        visit.before,
        *("D24USD_PERP", "2024"),
        market=CM,
        series="liquidationSnapshot/{}",
    )
    entries = zips(sources)
    assert list(entries) == [f"2024-10-{day}" for day in range(11, 15)]  # not 15, 16
    doubled = entries.pop("2024-10-12")
    assert doubled["duplicates"] == doubled["rows_kept"] > 0
    assert doubled["rows_read"] == 2 * doubled["rows_kept"]
    assert {entry["duplicates"] for entry in entries.values()} == {0}
    assert frame.is_unique().all()
    assert not (visit.data / "parsed_data/um_futures/liquidationSnapshot").exists()
    told = "um_futures liquidationSnapshot: the feed ended on 2024-03-31"
    assert told in visit.outcomes["first"].text


def test_d25_feeds_that_ended_are_built_to_their_end(visit):
    frame, _ = partition(visit.before, "D25USDT", "2024-03", series="bookTicker/{}")
    days = frame["transaction_time"].dt.date().unique().sort().to_list()
    assert days == [dt.date(2024, 3, 29), dt.date(2024, 3, 30)]
    options = visit.data / "aws_data/option/daily/EOHSummary/D25USDT"
    assert sorted(path.stem for path in options.glob("*.zip")) == [
        f"D25USDT-EOHSummary-2023-10-{day}" for day in (21, 22, 23)
    ]
    for path in ("um_futures/bookTicker", "option/EOHSummary"):
        assert not (visit.data / "api_data" / path).exists()
    untouched = [path for path in visit.changed if "D25USDT" in path]
    assert untouched == []


def test_d26_times_as_text_are_times(visit):
    for series, name, column, per_day in (
        ("metrics/{}", "2025", "raw_create_time", 288),
        ("bookDepth/{}", "2025-03", "timestamp", 28_800),
    ):
        frame, sources = partition(visit.before, "D26USDT", name, series=series)
        assert frame.schema[column] == TIME
        assert {entry["time_unit"] for entry in sources["inputs"]} == {"s"}
        assert frame.height == 2 * per_day
        assert frame[column].min() >= march(8)
        assert frame[column].max() <= march(10)


def test_d27_funding_keeps_its_interval_and_the_running_month_is_the_apis(visit):
    events = pl.read_parquet(
        visit.before / "results_data/um_futures/fundingRate/D27USDT.pqt"
    )
    times = events["funding_time"]
    assert times.dt.truncate("1m").equals(times)
    late = events["calc_time"] - times
    assert late.max() > dt.timedelta() == late.min()
    archived = events.filter(source="monthly")
    change = dt.datetime(2025, 2, 20, tzinfo=dt.UTC)
    until = archived.filter(pl.col("funding_time") <= change)
    after = archived.filter(pl.col("funding_time") > change)
    assert set(until["funding_interval_hours"]) == {8}
    assert set(after["funding_interval_hours"]) == {4}
    running = events.filter(source="api")
    assert running["funding_time"].min() == march(1)
    assert running["funding_interval_hours"].null_count() == running.height == 54
    assert set(times.diff().drop_nulls().dt.total_hours()) == {8, 4}

    endpoint = visit.exchange.api.endpoints["/fapi/v1/fundingRate"]
    told = json.loads(
        endpoint.answer({"symbol": "D27USDT", "startTime": "0", "limit": "1000"})
    )
    known = {
        round(event["fundingTime"] / 60_000): float(event["fundingRate"])
        for event in told
        if event["fundingTime"] < to_ms(march(10))
    }
    minutes = times.dt.epoch("ms") // 60_000
    assert dict(zip(minutes, events["funding_rate"], strict=True)) == known

    bars = result(visit.before, "D27USDT", interval="1h")
    joined = bars.drop_nulls("funding_rate")
    assert joined["open_time"].to_list() == times.to_list()
    assert joined["funding_rate"].to_list() == events["funding_rate"].to_list()
    assert bars["funding_rate"].null_count() == bars.height - events.height


def test_d28_the_bar_that_is_not_over_is_dropped_by_the_servers_clock(visit):
    now = visit.exchange.now
    assert now == march(10, 12) + dt.timedelta(seconds=30)
    endpoint = visit.exchange.api.endpoints["/fapi/v1/klines"]
    asked = {"symbol": "D28USDT", "interval": "1m", "limit": "1"}
    (running,) = json.loads(endpoint.answer(asked))
    assert running[0] == to_ms(march(10, 12))

    built = result(visit.data, "D28USDT")

    assert built["open_time"].max() == march(10, 11, 59)
    assert_true(built, true_bars(visit, "D28USDT", end=march(10, 12)))
    (tail,) = holes(visit.data, "D28USDT")
    assert tail == ("2025-03-10T00:00", "tail", 720, "pending")


def test_d29_symbols_that_are_not_ascii_are_like_others(visit):
    built = result(visit.before, "博物馆USDT")
    assert_true(built, true_bars(visit, "博物馆USDT"))
    folder = visit.data / "aws_data/um_futures/daily/klines/博物馆USDT/1m"
    assert len(list(folder.glob("博物馆USDT-1m-2025-03-0?.zip"))) == 2
    # The third run was asked for it by its path, for a day more.
    built = result(visit.data, "博物馆USDT")
    assert_true(built, true_bars(visit, "博物馆USDT", end=march(10, 12)))


def test_d30_the_week_end_of_a_commodity_is_no_halt(visit):
    built = result(visit.data, "XAUUSDT")
    quiet = built.filter(trade_count=0)["open_time"]
    assert (quiet.min(), quiet.max()) == (march(8), march(9, 23, 59))
    assert built["open_time"].max() == march(10, 11, 59)
    assert_true(built, true_bars(visit, "XAUUSDT", end=march(10, 12)))

    assert set(built["segment"]) == {0}
    path = "results_data/um_futures/klines/1m/gaps/XAUUSDT.parquet"
    gaps = pl.read_parquet(visit.data / path)
    assert not gaps["split"].any()


def test_d31_a_refusal_is_told_once_and_nothing_is_lost(visit):
    # The bucket, before there was a listing: a clear end, and nothing written.
    denied = visit.outcomes["denied"]
    assert denied.status == 1
    (line,) = set(denied.error_lines)
    assert "AccessDenied" in line
    assert "there is no listing on disk" in line
    # The API: once for all, and the archive goes on alone.
    first, second = visit.outcomes["first"].text, visit.outcomes["second"].text
    (told,) = [line for line in first.splitlines() if "status 451" in line]
    assert "api.enabled" in told
    assert "2 backfill(s) of api_data were not answered in full" in first
    built = result(visit.before, "D31USD_PERP", market=CM)
    assert built["open_time"].max() == march(8, 23, 59)
    assert holes(visit.before, "D31USD_PERP", market=CM) == [
        ("2025-03-09T00:00", "tail", 0, "unanswered")
    ]
    # When it answers again, what was missing comes by itself.
    assert "not answered in full" not in second
    built = result(visit.data, "D31USD_PERP", market=CM)
    assert_true(built, true_bars(visit, "D31USD_PERP", market=CM))
    # The bucket, with listings at hand: a warning, and the run goes on.
    third = visit.outcomes["third"]
    assert third.status == 0
    told = [
        line
        for line in third.text.splitlines()
        if "going on with" in line and "um_futures/daily/klines/listing-1m" in line
    ]
    assert told
    assert all("AccessDenied" in line for line in told)


def test_d32_a_listing_that_is_cut_off_is_asked_for_again(visit):
    assert visit.listings_amiss == 1 + 2  # D31, D32
    first = visit.outcomes["first"]
    assert first.status == 0
    assert "could not be listed" not in first.text
    path = "aws_data/um_futures/daily/klines/listing-1m.parquet"
    listing = pl.read_parquet(visit.data / path)
    prefix = "data/futures/um/daily/klines/"
    selected = {name for chosen in DATASETS[:1] for name in chosen["symbols"]}
    published = {
        key
        for key in visit.exchange.store.keys(prefix)
        if "/1m/" in key and key.split("/")[5] in selected
    }
    assert set(listing["key"]) == published
