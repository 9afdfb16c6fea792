"""Plans made from listings, ledger and disk."""

import datetime as dt
import os
from pathlib import Path

import polars as pl
import pytest

from bhds import config
from bhds.archive.download import ledger
from bhds.backfill import unanswered
from bhds.core.errors import ConfigError, ListingError, SelectionError
from bhds.core.markets import TradeType
from bhds.io import storage
from bhds.plan import prepare
from bhds.plan.series import Series
from bhds.schemas.archive_tables import SUPPLEMENTS

NOW = dt.datetime(2025, 3, 10, 12, tzinfo=dt.UTC)


def plan_of(bucket, *, targets=(), settings=None, **dataset):
    raw = {"datasets": [{"trade_type": "um_futures", **dataset}], **(settings or {})}
    return prepare.plan(
        config.load(raw, environment={}),
        targets=targets,
        data_dir=bucket.data_dir,
        now=NOW,
        online=False,
    )


def zips(plan, symbol, partition):
    series = Series(TradeType.UM_FUTURES, "klines", symbol, "1m")
    return [Path(path).name for path in plan.partition(series, partition).archives]


def test_auto_takes_months_and_then_the_days_of_months_not_yet_published(bucket):
    bucket.publish("AUSDT", "2024-12", "2025-01", "2024-12-31", "2025-01-31")
    bucket.publish("AUSDT", "2025-02-27", "2025-02-28", "2025-03-01")

    plan = plan_of(bucket)

    assert zips(plan, "AUSDT", "2024") == ["AUSDT-1m-2024-12.zip"]
    assert zips(plan, "AUSDT", "2025") == [
        "AUSDT-1m-2025-01.zip",
        "AUSDT-1m-2025-02-27.zip",
        "AUSDT-1m-2025-02-28.zip",
        "AUSDT-1m-2025-03-01.zip",
    ]


@pytest.mark.parametrize(
    ("as_of", "expected"),
    [
        pytest.param("2025-01-04", [False, False], id="both have later files"),
        pytest.param("2025-01-05", [False, True], id="one is called SETTLED"),
        pytest.param("2025-03-08", [False, True], id="the other is silent for 62 days"),
        pytest.param("2025-03-09", [True, True], id="for more than 62 days"),
    ],
)
def test_a_symbol_has_ended_by_what_is_known_on_the_last_day(bucket, as_of, expected):
    symbols = ["AUSDT", "BUSDTSETTLED"]
    for symbol in symbols:
        bucket.publish(symbol, "2025-01-01", "2025-01-05")

    plan = plan_of(bucket, symbols=symbols, settings={"as_of": as_of})

    series = [Series(TradeType.UM_FUTURES, "klines", name, "1m") for name in symbols]
    assert [plan.has_ended(each) for each in series] == expected


@pytest.mark.parametrize(
    ("recorded", "status", "expected"),
    [
        pytest.param("2025-01-05", "TRADING", True, id="on the day of its last file"),
        pytest.param("2025-01-04", "TRADING", False, id="before"),
        pytest.param("2025-01-05", "BREAK", False, id="it is not traded"),
    ],
)
def test_a_symbol_is_traded_if_the_exchange_says_so_after_its_last_file(
    bucket, recorded, status, expected
):
    bucket.publish("AUSDT", "2025-01-01", "2025-01-05")
    path = bucket.data_dir / "api_data/um_futures/exchangeInfo.json"
    entry = {"symbol": "AUSDT", "baseAsset": "A", "quoteAsset": "USDT"}
    storage.write_json({"symbols": [entry | {"status": status}]}, path)
    at = dt.datetime.fromisoformat(f"{recorded}T12:00Z").timestamp()
    os.utime(path, (at, at))

    klines = Series(TradeType.UM_FUTURES, "klines", "AUSDT", "1m")
    for as_of in ("2025-01-05", "2025-01-20"):
        plan = plan_of(bucket, settings={"as_of": as_of})
        assert plan.is_trading(klines) is expected


def test_a_plan_knows_when_a_contract_was_not_listed(bucket):
    bucket.publish("LITUSDT", "2025-01-31", "2025-02-01")

    plan = plan_of(bucket)

    klines = Series(TradeType.UM_FUTURES, "klines", "LITUSDT", "1m")
    ((settled, again),) = plan.unlisted(klines)
    assert (settled.date(), again.date()) == (
        dt.date(2025, 1, 31),
        dt.date(2025, 12, 23),
    )
    assert plan.has_ended(klines)


@pytest.mark.parametrize(
    ("frequency", "expected"),
    [
        pytest.param("monthly", ["AUSDT-1m-2025-01.zip"], id="monthly"),
        pytest.param(
            "daily", ["AUSDT-1m-2025-01-30.zip", "AUSDT-1m-2025-02-01.zip"], id="daily"
        ),
    ],
)
def test_a_forced_frequency_takes_one_kind_alone(bucket, frequency, expected):
    bucket.publish("AUSDT", "2025-01", "2025-01-30", "2025-02-01")

    assert zips(plan_of(bucket, frequency=frequency), "AUSDT", "2025") == expected


def test_each_zip_is_followed_by_its_checksum_where_the_server_has_one(bucket):
    bucket.publish("AUSDT", "2025-01")
    bucket.publish("AUSDT", "2025-02", checksum=False)

    folder = "aws_data/um_futures/monthly/klines/AUSDT/1m"
    assert plan_of(bucket).raw == [
        f"{folder}/AUSDT-1m-2025-01.zip",
        f"{folder}/AUSDT-1m-2025-01.zip.CHECKSUM",
        f"{folder}/AUSDT-1m-2025-02.zip",
    ]


def test_days_wanted_are_clamped_to_what_the_archive_covers(bucket):
    bucket.publish("AUSDT", "2024-11", "2024-12", "2025-01")
    series = Series(TradeType.UM_FUTURES, "klines", "AUSDT", "1m")

    plan = plan_of(bucket, start="2024-12-15", settings={"as_of": "2025-01-20"})

    first, last = plan.partition(series, "2024"), plan.partition(series, "2025")
    assert (first.first_day, first.last_day) == (
        dt.date(2024, 12, 15),
        dt.date(2024, 12, 31),
    )
    assert (last.first_day, last.last_day) == (None, dt.date(2025, 1, 20))
    assert zips(plan, "AUSDT", "2024") == ["AUSDT-1m-2024-12.zip"]


END = "2025-02-10"


def bounded(bucket, **dataset):
    """Return the plan of a dataset until END, and its 1m klines of AUSDT."""
    plan = plan_of(bucket, end=END, **dataset)
    return plan, Series(TradeType.UM_FUTURES, "klines", "AUSDT", "1m")


def test_a_dataset_ends_within_a_month_of_one_zip(bucket):
    bucket.publish("AUSDT", "2025-01", "2025-02", "2025-03-01")

    plan, klines = bounded(bucket)

    assert zips(plan, "AUSDT", "2025") == [
        "AUSDT-1m-2025-01.zip",
        "AUSDT-1m-2025-02.zip",
    ]
    assert str(plan.partition(klines, "2025").last_day) == END
    assert str(plan.last_day(klines)) == END
    assert str(plan.backfill(klines).last_day) == END


def test_a_dataset_that_ends_brings_funding_until_its_end(bucket):
    bucket.publish("AUSDT", "2025-01", "2025-02")
    bucket.publish_funding("AUSDT", "2025-01", "2025-02", "2025-03")

    plan, _ = bounded(bucket)

    funding = Series(TradeType.UM_FUTURES, "fundingRate", "AUSDT", None)
    assert str(plan.last_day(funding)) == END


@pytest.mark.parametrize(
    ("later", "has_ended", "is_last"),
    [
        pytest.param(["2025-02-11"], False, False, id="files go on"),
        pytest.param(["2025-02-11", "2025-02-12"], False, False, id="and stop later"),
        pytest.param([], True, True, id="no later file, as is known today"),
    ],
)
def test_a_symbol_ends_before_the_end_of_its_dataset_or_not_at_all(
    bucket, later, has_ended, is_last
):
    bucket.publish("AUSDT", "2024-12-20", *later)
    bucket.publish("BUSDT", "2025-02-10")

    plan, klines = bounded(bucket, symbols=["AUSDT", "BUSDT"])

    settings = {"as_of": "2025-03-09"}
    free = plan_of(bucket, symbols=["AUSDT", "BUSDT"], settings=settings)
    assert plan.has_ended(klines) is has_ended
    assert free.has_ended(klines) is (not later)
    assert plan.backfill(klines).is_last is is_last


def test_a_symbol_listed_after_the_end_has_no_result(bucket):
    bucket.publish("AUSDT", "2025-02-11")
    bucket.publish("BUSDT", "2025-02-10")

    plan, _ = bounded(bucket)

    assert [Path(path).stem for path in plan.results[::2]] == ["BUSDT"]
    with pytest.raises(SelectionError, match="check `start`, `end`, `as_of`"):
        bounded(bucket, symbols=["AUSDT"])


def test_days_that_pass_within_a_month_move_no_relative_start(bucket):
    bucket.publish("AUSDT", "2025-01", "2025-02-01", "2025-02-27", "2025-02-28")
    klines = Series(TradeType.UM_FUTURES, "klines", "AUSDT", "1m")

    plans = [
        plan_of(bucket, start="14d", settings={"as_of": as_of})
        for as_of in ("2025-02-27", "2025-02-28")
    ]

    firsts = [plan.partition(klines, "2025").first_day for plan in plans]
    fills = [plan.backfill(klines) for plan in plans]
    assert firsts == [None, None]
    assert {fill.first_day for fill in fills} == {dt.date(2025, 2, 1)}
    assert "AUSDT-1m-2025-01.zip" not in zips(plans[0], "AUSDT", "2025")


def test_offline_files_on_disk_are_used_as_they_are(bucket):
    bucket.publish("AUSDT", "2025-01-01", "2025-01-02", "2025-01-03")
    bucket.fetch("AUSDT", "2025-01-01", "2025-01-02")
    bucket.fetch("AUSDT", "2025-01-02", size=11)
    for path in bucket.data_dir.rglob("*-2025-01-01.zip.CHECKSUM"):
        path.unlink()

    (batch,) = plan_of(bucket, settings={"offline": True}).batches

    assert [Path(path).name for path in batch.zips] == ["AUSDT-1m-2025-01-03.zip"]


def test_a_later_as_of_changes_nothing_for_a_delisted_symbol(bucket):
    bucket.publish("OLDUSDT", "2023-05")
    series = Series(TradeType.UM_FUTURES, "klines", "OLDUSDT", "1m")

    early = plan_of(bucket, settings={"as_of": "2025-01-20"})
    late = plan_of(bucket, settings={"as_of": "2025-01-21"})

    assert early.partition(series, "2023") == late.partition(series, "2023")


def test_only_missing_files_are_fetched(bucket):
    bucket.publish("AUSDT", "2025-01", "2025-02")
    bucket.fetch("AUSDT", "2025-01")

    (batch,) = plan_of(bucket).batches

    assert [Path(path).name for path in batch.zips] == ["AUSDT-1m-2025-02.zip"]
    assert batch.checksums == (f"{batch.zips[0]}.CHECKSUM",)
    assert batch.state == "missing"


def test_a_file_with_another_etag_than_was_fetched_is_replaced(bucket):
    bucket.publish("AUSDT", "2025-01", "2025-02", etag="old")
    bucket.fetch("AUSDT", "2025-01", "2025-02")
    record(bucket)
    assert plan_of(bucket).batches == []

    bucket.publish("AUSDT", "2025-01", etag="new")

    (batch,) = plan_of(bucket).batches
    assert batch.state == "replaced"
    assert [Path(path).name for path in batch.zips] == ["AUSDT-1m-2025-01.zip"]
    assert batch.checksums == (f"{batch.zips[0]}.CHECKSUM",)


@pytest.mark.parametrize("missing", ["published late", "lost"])
def test_a_checksum_that_is_not_there_is_fetched_with_its_zip(bucket, missing):
    bucket.publish("AUSDT", "2025-01", checksum=missing == "lost")
    bucket.fetch("AUSDT", "2025-01")
    folder = bucket.data_dir / "aws_data/um_futures/monthly/klines/AUSDT/1m"
    (folder / "AUSDT-1m-2025-01.zip.CHECKSUM").unlink()
    bucket.publish("AUSDT", "2025-01")

    (batch,) = plan_of(bucket).batches

    assert batch.state == "replaced"
    assert [Path(path).name for path in batch.zips] == ["AUSDT-1m-2025-01.zip"]


def record(bucket, *, vanished=False, after=dt.timedelta()):
    """Enter what is listed into the ledger, as fetched whole or as gone."""
    rows = [
        {
            "key": key,
            "etag": etag,
            "size": 10,
            "md5": None if vanished else etag,
            "first_seen": NOW + after,
        }
        for key, etag in bucket.etags.items()
    ]
    missing = {name: pl.lit(None) for name in ("last_modified", "sha256")}
    frame = pl.DataFrame(rows, schema_overrides={"md5": pl.String})
    ledger.append(bucket.data_dir, rows=frame.with_columns(**missing))


OLD, NEW = "0" * 32, "f" * 32


def test_a_record_of_a_time_to_come_goes_behind_a_later_one(bucket):
    """A clock that was wrong must not make a file be fetched for ever."""
    bucket.publish("AUSDT", "2025-01", etag=OLD)
    record(bucket, after=dt.timedelta(days=400))
    bucket.publish("AUSDT", "2025-01", etag=NEW)
    bucket.fetch("AUSDT", "2025-01")
    assert plan_of(bucket).batches != []

    record(bucket)

    assert plan_of(bucket).batches == []


@pytest.mark.parametrize(
    ("after", "asked"),
    [
        pytest.param(dt.timedelta(minutes=1), False, id="listed before"),
        pytest.param(-dt.timedelta(minutes=1), True, id="listed since"),
    ],
)
def test_what_the_server_did_not_have_is_asked_for_by_a_later_listing(
    bucket, after, asked
):
    bucket.publish("AUSDT", "2025-01", etag=OLD)
    bucket.fetch("AUSDT", "2025-01", size=0)
    record(bucket, vanished=True, after=after)

    assert bool(plan_of(bucket).batches) is asked


def test_a_symbol_that_left_the_bucket_is_still_made_of_what_is_on_disk(bucket):
    bucket.publish("AUSDT", "2025-01")
    bucket.publish("BUSDT", "2025-01")
    bucket.fetch("AUSDT", "2025-01")
    bucket.withdraw("AUSDT", "2025-01")
    bucket.leave("AUSDT")

    assert zips(plan_of(bucket, symbols=["AUSDT"]), "AUSDT", "2025") == [
        "AUSDT-1m-2025-01.zip"
    ]


def test_what_the_server_withdrew_stays_an_input(bucket):
    bucket.publish("AUSDT", "2025-01", "2025-02")
    bucket.fetch("AUSDT", "2025-01", "2025-02")
    bucket.withdraw("AUSDT", "2025-01")

    plan = plan_of(bucket)

    assert zips(plan, "AUSDT", "2025") == [
        "AUSDT-1m-2025-01.zip",
        "AUSDT-1m-2025-02.zip",
    ]
    assert plan.batches == []


def test_zips_that_may_be_discarded_are_no_inputs_and_their_etags_are(bucket):
    bucket.publish("AUSDT", "2025-01", "2025-02", etag="old")
    bucket.fetch("AUSDT", "2025-01", "2025-02")
    record(bucket)
    series = Series(TradeType.UM_FUTURES, "klines", "AUSDT", "1m")

    def planned():
        plan = plan_of(bucket, raw="discard")
        states = plan.datasets[0].files["state"].to_list()
        assert (plan.batches, plan.raw) == ([], [])
        return plan.partition(series, "2025"), states

    before, states = planned()
    assert states == ["present"] * 4
    for path in bucket.data_dir.rglob("*.zip*"):
        path.unlink()
    assert planned() == (before, ["discarded"] * 4)

    bucket.withdraw("AUSDT", "2025-01")
    withdrawn, states = planned()
    assert withdrawn.archives == before.archives
    assert states == ["discarded"] * 4

    bucket.publish("AUSDT", "2025-02", etag="new")
    replaced, states = planned()
    assert states == ["discarded"] * 2 + ["missing"] * 2
    assert len({before.digest, withdrawn.digest, replaced.digest}) == 3


def record_supplement(bucket, symbol, period, *, etag):
    """Record with which etag a parse job used a daily zip beside a monthly one."""
    rows = [(bucket.key(symbol, period), etag, NOW)]
    frame = pl.DataFrame(rows, schema=SUPPLEMENTS, orient="row")
    folder = bucket.data_dir / "aws_data/supplements.d"
    storage.write_parquet(frame, folder / f"{period}-{etag}.parquet", metadata={})


@pytest.mark.parametrize(
    ("etag", "is_input"),
    [
        pytest.param("a", False, id="used as listed"),
        pytest.param("b", True, id="replaced since"),
        pytest.param(None, True, id="could not be fetched"),
    ],
)
def test_a_daily_zip_beside_its_month_is_an_input_if_its_rows_are_not_used(
    bucket, etag, is_input
):
    bucket.publish("AUSDT", "2025-01", "2025-01-30", "2025-01-31")
    record_supplement(bucket, "AUSDT", "2025-01-30", etag=etag)

    plan = plan_of(bucket)

    more = ["AUSDT-1m-2025-01-30.zip"] * is_input
    assert zips(plan, "AUSDT", "2025") == ["AUSDT-1m-2025-01.zip", *more]
    fetched = [path for batch in plan.batches for path in batch.zips]
    assert [Path(path).name for path in fetched] == zips(plan, "AUSDT", "2025")
    alone = plan_of(bucket, frequency="monthly")
    assert zips(alone, "AUSDT", "2025") == ["AUSDT-1m-2025-01.zip"]


def test_offline_a_daily_zip_that_could_not_be_fetched_waits(bucket):
    bucket.publish("AUSDT", "2025-01", "2025-01-30")
    record_supplement(bucket, "AUSDT", "2025-01-30", etag=None)
    offline = {"offline": True}
    month = ["AUSDT-1m-2025-01.zip"]
    assert zips(plan_of(bucket, settings=offline), "AUSDT", "2025") == month

    bucket.fetch("AUSDT", "2025-01-30")

    both = [*month, "AUSDT-1m-2025-01-30.zip"]
    assert zips(plan_of(bucket, settings=offline), "AUSDT", "2025") == both


def test_a_daily_zip_that_the_server_withdrew_changes_no_inputs(bucket):
    bucket.publish("AUSDT", "2025-01", "2025-01-30")
    record_supplement(bucket, "AUSDT", "2025-01-30", etag="a")
    bucket.fetch("AUSDT", "2025-01", "2025-01-30")
    bucket.withdraw("AUSDT", "2025-01-30")

    assert zips(plan_of(bucket), "AUSDT", "2025") == ["AUSDT-1m-2025-01.zip"]


def test_a_vanished_file_is_forgotten_with_the_next_listing(bucket):
    bucket.publish("AUSDT", "2025-01", "2025-02")
    bucket.fetch("AUSDT", "2025-01")
    bucket.fetch("AUSDT", "2025-02", size=0)
    bucket.withdraw("AUSDT", "2025-02")

    assert zips(plan_of(bucket), "AUSDT", "2025") == ["AUSDT-1m-2025-01.zip"]


def test_results_are_asked_for_symbols_with_files_only(bucket):
    bucket.publish("AUSDT", "2025-01")
    bucket.publish("NEWUSDT", "2025-03-10")

    plan = plan_of(bucket, results={"resample": [{"interval": "1h"}]})

    assert plan.results == [
        "results_data/um_futures/klines/1m/AUSDT.pqt",
        "results_data/um_futures/klines/1m/gaps/AUSDT.parquet",
    ]
    assert plan.resampled == ["results_data/um_futures/resampled_klines/1h/AUSDT.pqt"]


def test_a_target_outside_the_settings_can_be_made_but_is_not_asked_for(bucket):
    bucket.publish("AUSDT", "2025-01")
    bucket.publish("BUSDT", "2025-01")
    target = "results_data/um_futures/klines/1m/BUSDT.pqt"

    plan = plan_of(bucket, symbols=["AUSDT"], targets=["-n", target])

    assert zips(plan, "BUSDT", "2025") == ["BUSDT-1m-2025-01.zip"]
    assert not any("BUSDT" in path for path in plan.results)
    assert sum(len(batch.zips) for batch in plan.batches) == 2


def test_an_unknown_symbol_is_refused_with_the_nearest_name(bucket):
    bucket.publish("BTCUSDT", "2025-01")

    with pytest.raises(SelectionError, match=r"'BTCUSTD'.*did you mean 'BTCUSDT'"):
        plan_of(bucket, symbols=["BTCUSTD"])


def test_a_symbol_known_by_one_frequency_only_is_found(bucket):
    bucket.publish("OLDUSDT", "2025-01")
    bucket.publish("NEWUSDT", "2025-03-08")

    plan = plan_of(bucket, symbols=["OLDUSDT", "NEWUSDT"])

    assert zips(plan, "NEWUSDT", "2025") == ["NEWUSDT-1m-2025-03-08.zip"]


def test_an_empty_selection_is_refused(bucket):
    bucket.publish("BTCUSDT", "2025-01")

    with pytest.raises(SelectionError, match="selects 0 symbols"):
        plan_of(bucket, symbols={"quote": ["TRY"]})
    with pytest.raises(SelectionError, match="0 files of 1 symbols lie in the time"):
        plan_of(bucket, settings={"as_of": "2020-01-01"})


def test_a_symbol_of_two_datasets_is_refused(bucket):
    bucket.publish("AUSDT", "2025-01")
    dataset = {"trade_type": "um_futures"}

    with pytest.raises(ConfigError, match=r"AUSDT 1m is selected by two datasets"):
        plan_of(bucket, settings={"datasets": [dataset, dataset]})


def test_without_a_listing_and_offline_the_plan_is_refused(bucket):
    with pytest.raises(ListingError, match="offline"):
        plan_of(bucket)


def test_files_of_a_named_series_have_batches_of_their_own(bucket):
    bucket.publish("AUSDT", "2025-01")
    bucket.publish("BUSDT", "2025-01")
    target = "results_data/um_futures/klines/1m/BUSDT.pqt"

    named, others = plan_of(bucket, targets=[target]).batches

    assert [Path(path).name for path in named.zips] == ["BUSDT-1m-2025-01.zip"]
    assert [Path(path).name for path in others.zips] == ["AUSDT-1m-2025-01.zip"]


def test_a_key_against_the_grammar_is_left_out_and_told(bucket, caplog):
    bucket.publish("AUSDT", "2025-01")
    folder = "data/futures/um/monthly/klines/AUSDT/1m"
    bucket.etags[f"{folder}/AUSDT-1m-2025-2.zip"] = "e"
    bucket.write()

    plan = plan_of(bucket)

    assert zips(plan, "AUSDT", "2025") == ["AUSDT-1m-2025-01.zip"]
    assert "1 key(s) are left out" in caplog.text
    assert "2025-2" in caplog.text


# --- the API, and funding


def um(symbol, data_type="klines", interval="1m"):
    return Series(TradeType.UM_FUTURES, data_type, symbol, interval)


def test_a_result_is_made_from_partitions_and_fills_in_time_order(bucket):
    bucket.publish("AUSDT", "2023-12", "2025-01")

    plan = plan_of(bucket)

    parsed, api = (
        f"{stage}_data/um_futures/klines/AUSDT/1m" for stage in ("parsed", "api")
    )
    assert plan.sources_of_result(um("AUSDT")) == [
        f"{parsed}/2023.parquet",
        f"{parsed}/2025.parquet",
        f"{api}/all.parquet",
    ]
    assert plan.last_day(um("AUSDT")) == dt.date(2025, 3, 9)
    assert f"{api}/all.sources.json" in plan.api
    assert not set(plan.api) & set(plan.parsed)


def test_without_the_api_there_are_no_fills(bucket):
    bucket.publish("AUSDT", "2023-12", "2025-01")
    bucket.publish_funding("AUSDT", "2025-01")

    plan = plan_of(bucket, settings={"api": {"enabled": False}})

    assert plan.api == []
    assert not any("api_data" in path for path in plan.sources_of_result(um("AUSDT")))
    assert plan.last_day(um("AUSDT")) == dt.date(2025, 1, 31)
    assert plan.sources_of_result(um("AUSDT", "fundingRate", None)) == [
        "parsed_data/um_futures/fundingRate/AUSDT/all.parquet"
    ]
    with pytest.raises(
        SelectionError, match=r"nothing is requested from the API.*api\.enabled"
    ):
        plan.backfill(um("AUSDT"))


def test_a_start_after_the_last_file_leaves_the_api_alone(bucket):
    bucket.publish("AUSDT", "2025-01", "2025-03-05")
    bucket.publish("DEADUSDT", "2024-12")
    bucket.publish_funding("AUSDT", "2025-01")
    klines = {"trade_type": "um_futures", "start": "2025-03-08"}
    datasets = [klines, {**klines, "data_type": "fundingRate", "symbols": ["AUSDT"]}]

    plan = plan_of(bucket, settings={"datasets": datasets})

    assert plan.raw == []
    assert plan.sources_of_result(um("AUSDT")) == [
        "api_data/um_futures/klines/AUSDT/1m/all.parquet"
    ]
    first_days = [
        plan.backfill(series).first_day
        for series in (um("AUSDT"), um("AUSDT", "fundingRate", None))
    ]
    assert first_days == [dt.date(2025, 3, 8)] * 2
    assert [Path(path).name for path in plan.results] == ["AUSDT.pqt", "AUSDT.parquet"]


def test_a_start_after_the_last_file_is_refused_without_the_api(bucket):
    bucket.publish("AUSDT", "2025-01")

    with pytest.raises(SelectionError, match="0 files of 1 symbols lie in the time"):
        plan_of(bucket, start="2025-03-08", settings={"api": {"enabled": False}})


def test_funding_of_a_contract_that_ended_is_asked_for_as_long_as_its_bars(bucket):
    bucket.publish("DEADUSDT", "2023-12")

    plan = plan_of(bucket)

    of_bars, of_funding = (
        plan.backfill(series).last_day
        for series in (um("DEADUSDT"), um("DEADUSDT", "fundingRate", None))
    )
    assert of_funding == of_bars
    assert of_bars == dt.date(2024, 3, 2)  # 62 days after the year


def test_the_fills_of_a_day_that_has_not_come_wait_for_it(bucket):
    bucket.publish("AUSDT", "2025-02")

    plan = plan_of(bucket, settings={"as_of": "2025-04-30"})

    assert plan.last_day(um("AUSDT")) == NOW.date()


def test_results_of_perpetuals_bring_their_funding(bucket):
    bucket.publish("AUSDT", "2024-12", "2025-01")
    bucket.publish("BUSDT_250328", "2025-01")
    bucket.publish("NEWUSDT", "2025-02")
    bucket.publish_funding("AUSDT", "2024-12", "2025-01")
    bucket.publish_funding("OTHERUSDT", "2025-01")

    plan = plan_of(bucket)

    folder = "results_data/um_futures/fundingRate"
    assert plan.funding == [f"{folder}/AUSDT.pqt", f"{folder}/NEWUSDT.pqt"]
    assert plan.funding_of(um("NEWUSDT")) == [f"{folder}/NEWUSDT.pqt"]
    assert plan.funding_of(um("BUSDT_250328")) == []
    assert plan.funding_sources(um("BUSDT_250328")) == []
    events = um("NEWUSDT", "fundingRate", None)
    assert plan.sources_of_result(events) == plan.funding_sources(um("NEWUSDT"))
    assert plan.sources_of_result(events) == [
        "api_data/um_futures/fundingRate/NEWUSDT/all.parquet"
    ]
    assert plan.end_of_funding(events) == [
        "results_data/um_futures/klines/1m/gaps/NEWUSDT.parquet"
    ]
    raw = "aws_data/um_futures/monthly/fundingRate/AUSDT/AUSDT-fundingRate-2025-01.zip"
    assert raw in plan.raw


def test_funding_is_asked_for_from_the_first_bar_on(bucket):
    bucket.publish("AUSDT", "2023-11", "2024-12")
    bucket.publish_funding("AUSDT", "2024-12")

    fill = plan_of(bucket).backfill(um("AUSDT", "fundingRate", None))

    assert fill.first_day == dt.date(2023, 11, 1)


def test_results_without_funding_bring_none(bucket):
    bucket.publish("AUSDT", "2025-01")
    bucket.publish_funding("AUSDT", "2025-01")

    plan = plan_of(bucket, results={"funding": False})

    assert plan.funding == []
    assert plan.funding_of(um("AUSDT")) == []


def test_funding_that_the_settings_name_is_not_planned_twice(bucket):
    bucket.publish("AUSDT", "2025-01")
    bucket.publish("BUSDT", "2025-01")
    bucket.publish_funding("AUSDT", "2025-01")
    bucket.publish_funding("BUSDT", "2025-01")
    funding = {"trade_type": "um_futures", "data_type": "fundingRate"}
    datasets = [{"trade_type": "um_futures"}, {**funding, "symbols": ["BUSDT"]}]

    plan = plan_of(bucket, settings={"datasets": datasets})

    assert sorted(plan.funding) == [
        f"results_data/um_futures/fundingRate/{symbol}.pqt"
        for symbol in ("AUSDT", "BUSDT")
    ]
    assert [planned.symbols for planned in plan.datasets] == [
        ("AUSDT", "BUSDT"),
        ("BUSDT",),
        ("AUSDT",),
    ]


def test_a_single_result_brings_its_funding_though_the_settings_want_none(bucket):
    bucket.publish("AUSDT", "2025-01")
    bucket.publish("BUSDT", "2025-01")
    bucket.publish_funding("BUSDT", "2025-01")
    target = "results_data/um_futures/klines/1m/BUSDT.pqt"

    plan = plan_of(
        bucket,
        symbols=["AUSDT"],
        results={"funding": True},
        targets=[target],
    )

    assert plan.funding_of(um("BUSDT")) == [
        "results_data/um_futures/fundingRate/BUSDT.pqt"
    ]
    assert plan.funding == ["results_data/um_futures/fundingRate/AUSDT.pqt"]


@pytest.mark.parametrize(
    "target",
    [
        "api_data/um_futures/klines/BUSDT/1m/all.parquet",
        "api_data/um_futures/fundingRate/BUSDT/all.sources.json",
        "results_data/um_futures/fundingRate/BUSDT.pqt",
    ],
)
def test_a_fill_can_be_asked_for_by_its_path(bucket, target):
    bucket.publish("AUSDT", "2025-01")
    bucket.publish("BUSDT", "2025-01")
    bucket.publish_funding("BUSDT", "2025-01")
    is_bars = "klines" in target
    series = um("BUSDT") if is_bars else um("BUSDT", "fundingRate", None)

    plan = plan_of(bucket, symbols=["AUSDT"], targets=[target])

    assert plan.backfill(series).last_day == dt.date(2025, 3, 9)


def test_a_fill_that_was_refused_an_answer_differs_until_it_has_it(bucket):
    bucket.publish("AUSDT", "2025-01")
    path = "api_data/um_futures/klines/AUSDT/1m/all.parquet"
    assert plan_of(bucket).requested_at == {}

    unanswered.record(bucket.data_dir, path, requested_at=None, is_answered=False)
    assert plan_of(bucket).requested_at == {path: NOW.isoformat()}

    unanswered.record(bucket.data_dir, path, requested_at="then", is_answered=True)
    assert plan_of(bucket).requested_at == {path: "then"}
