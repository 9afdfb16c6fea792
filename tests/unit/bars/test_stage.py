"""The results stage from files: partitions in, results and what is cut from them."""

import datetime as dt
import hashlib
from pathlib import Path

import polars as pl
import pytest

from bhds import __version__
from bhds.bars import build, resample, split
from bhds.bars import funding as module
from bhds.core.errors import ConfigError, ResultError
from bhds.core.markets import TradeType
from bhds.io import storage
from bhds.schemas.klines import FUNDING, SEGMENT_FILES, result_klines, with_symbol
from bhds.schemas.quality_tables import DAYS, GAP_EVIDENCE
from bhds.stages import results

DAY = 24 * 60
START = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
SPLIT = {"enabled": True, "min_days": 1.0, "min_price_change": 0.1}
SETTINGS = {
    "vwap": True,
    "fill": True,
    "split": SPLIT,
    "has_ended": False,
    "is_trading": False,
    "unlisted": (),
    "contract_usd": None,
}
SERIES = {"trade_type": "spot", "interval": "1m"}
LAST_DAY = dt.date(2024, 1, 31)
RESULT = "results/AUSDT.pqt"
GAPS_FILE = "results/gaps/AUSDT.parquet"
DAYS_FILE = "results/days/AUSDT.parquet"
CONFLICTS_FILE = "results/conflicts/AUSDT.parquet"
SEGMENTS = "split/segments.parquet"
FOLDERS = ["split", "split_1h"]
API = "phase.json"
FUNDING_FILE = "results/fundingRate/AUSDT.pqt"


@pytest.fixture(autouse=True)
def data_dir(tmp_path, monkeypatch):
    """Work in a data directory, as jobs do."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def partition(published):
    """Write a partition of some minutes after 2024-01-01, and return its path."""

    def partition(name, minutes, *, sources=None, **columns):
        path = f"parsed/{name}.parquet"
        rows = published(minutes, **columns)
        storage.write_parquet(rows, path, metadata={}, symbol="AUSDT")
        storage.write_json(sources or {}, f"parsed/{name}.sources.json")
        return path

    return partition


@pytest.fixture
def funding_partition(events):
    """Write some events after 2024-01-01, and return the path."""

    def partition(name, minutes, **columns):
        path = f"parsed/fundingRate/{name}.parquet"
        rows = events(minutes, **columns)
        storage.write_parquet(rows, path, metadata={}, symbol="AUSDT")
        return path

    return partition


def write_results(partitions, *, symbol="AUSDT", settings=SETTINGS, **options):
    results.write_results(
        partitions,
        outputs={
            "result": f"results/{symbol}.pqt",
            "gaps": f"results/gaps/{symbol}.parquet",
            "days": f"results/days/{symbol}.parquet",
            "conflicts": f"results/conflicts/{symbol}.parquet",
        },
        settings=settings,
        last_day=LAST_DAY,
        symbol=symbol,
        **{**SERIES, **options},
    )
    return f"results/{symbol}.pqt"


def write_funding(partitions, **options):
    results.write_funding(
        partitions, output=FUNDING_FILE, symbol="AUSDT", last_day=LAST_DAY, **options
    )
    return FUNDING_FILE


def write_resampled(result, *rules, **options):
    results.write_resampled(
        result,
        outputs=[f"resampled/{rule}/{Path(result).name}" for rule in rules],
        symbol="AUSDT",
        contract_usd=None,
        **{**SERIES, **options},
    )


def write_segments(*paths):
    results.write_segments(paths, segments=SEGMENTS, folders=FOLDERS)


def write_segment(name, *, result=RESULT):
    output = f"split/{name}.pqt"
    results.write_segment(result, segments=SEGMENTS, name=name, output=output)
    return pl.read_parquet(output)


def sha256(path):
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def test_a_result_and_its_gaps_are_made_of_all_partitions(partition):
    partitions = [partition("2024-01", [0, 1]), partition("2024-02", [4, 5])]

    write_results(partitions)

    result = pl.read_parquet(RESULT)
    assert result.schema == with_symbol(result_klines(TradeType.SPOT))
    assert result["symbol"].unique().to_list() == ["AUSDT"]
    assert (
        result["source"].to_list() == [*["daily"] * 2, *["filled"] * 2] + ["daily"] * 2
    )
    gaps = pl.read_parquet(GAPS_FILE)
    assert gaps.schema == GAP_EVIDENCE
    assert gaps.select("symbol", "missing_bars", "split").rows() == [
        ("AUSDT", 2, False)
    ]


def test_the_metadata_of_a_result_tells_its_inputs_and_what_was_done(partition):
    partitions = [
        partition("2024-01", [0, 1]),
        partition("2024-02", [4, 4 + 3 * DAY, 5 + 3 * DAY], trade_count=[1, 1, 0]),
    ]

    write_results(partitions)

    common = {
        "version": __version__,
        "stage": "results",
        "revision": str(build.REVISION),
        "as_of": "2024-01-31",
        "inputs": " ".join(map(sha256, partitions)),
    }
    assert storage.read_parquet_metadata(CONFLICTS_FILE) == common
    for path in (GAPS_FILE, DAYS_FILE):
        assert storage.read_parquet_metadata(path) == {
            **common,
            "first_traded": "2024-01-01T00:00:00+00:00",
            "last_traded": "2024-01-04T00:04:00+00:00",
            "ended_at": "",
            "known_to_have_ended": "",
        }
    assert storage.read_parquet_metadata(RESULT) == {
        **common,
        "published": "5",
        "off_grid": "0",
        "combined": "0",
        "trimmed": "0",
        "filled": "2",
        "segments": "2",
        "funding_events": "0",
        "funding_dropped": "0",
        "funding_combined": "0",
    }


def test_the_settings_reach_the_result(partition):
    partitions = [partition("2024-01", [0, 2, 2 + 3 * DAY])]
    split_rule = {**SPLIT, "enabled": False}
    plain = {**SETTINGS, "vwap": False, "fill": False, "split": split_rule}

    write_results(partitions, settings=plain)

    result = pl.read_parquet(RESULT)
    assert result.height == 3
    assert result["vwap"].null_count() == 3
    assert result["segment"].to_list() == [0, 0, 0]


def test_the_same_partitions_make_the_same_bytes(partition):
    partitions = [partition("2024-01", range(500)), partition("2024-02", [600])]
    write_results(partitions)
    before = {path: Path(path).read_bytes() for path in (RESULT, GAPS_FILE)}

    write_results(partitions)

    assert {path: Path(path).read_bytes() for path in before} == before


def test_a_broken_partition_is_named_and_leaves_the_old_result(partition):
    partitions = [partition("2024-01", [0, 1]), partition("2024-02", [2])]
    write_results(partitions)
    before = {path: Path(path).read_bytes() for path in (RESULT, GAPS_FILE)}
    Path(partitions[1]).write_bytes(b"PAR1 and no more")

    with pytest.raises(ResultError, match=r"2024-02\.parquet: cannot be read"):
        write_results(partitions)

    assert {path: Path(path).read_bytes() for path in before} == before


def test_a_partition_of_another_market_is_refused(partition):
    other = partition("2024-01", [0], trade_type=TradeType.CM_FUTURES)

    with pytest.raises(ResultError, match=r"AUSDT: columns .* are not those of"):
        write_results([other])

    assert not Path(RESULT).exists()


def test_the_events_of_all_partitions_are_in_one_file(funding_partition):
    partitions = [
        funding_partition("2024", [0, 480]),
        funding_partition("fill", [480, 960], source="api", mark_price=7.0, hours=None),
    ]

    write_funding(partitions)

    frame = pl.read_parquet(FUNDING_FILE)
    assert frame.schema == with_symbol(FUNDING)
    assert frame["symbol"].unique().to_list() == ["AUSDT"]
    assert frame["source"].to_list() == ["monthly", "monthly", "api"]
    assert frame["mark_price"].to_list() == [None, 7.0, 7.0]
    assert storage.read_parquet_metadata(FUNDING_FILE) == {
        "version": __version__,
        "stage": "funding",
        "revision": str(module.REVISION),
        "as_of": "2024-01-31",
        "inputs": " ".join(map(sha256, partitions)),
        "published": "4",
        "events": "3",
        "from_api": "1",
        "after_end": "0",
    }


@pytest.mark.parametrize(
    ("has_ended", "left"), [(True, [0, 240, 480]), (False, [0, 240, 480, 481, 960])]
)
def test_funding_ends_with_the_contract(
    partition, funding_partition, minutes_of, has_ended, left
):
    klines = [partition("2024-01", range(960), trade_count=[1] * 481 + [0] * 479)]
    funding = [funding_partition("2024", [0, 240, 480, 481, 960])]
    write_results(klines, settings=SETTINGS | {"has_ended": has_ended})

    found = pl.read_parquet(write_funding(funding, gaps=GAPS_FILE))

    assert minutes_of(found["funding_time"]) == left
    after_end = storage.read_parquet_metadata(FUNDING_FILE)["after_end"]
    assert after_end == str(5 - len(left))


def test_funding_while_a_contract_was_not_listed_is_in_no_result(
    partition, funding_partition, minutes_of
):
    unlisted = ((START + dt.timedelta(hours=9), START + dt.timedelta(days=2)),)
    funding = [funding_partition("2024", [0, 480, 960, DAY, 2 * DAY, 3 * DAY])]
    klines = [partition("2024-01", range(3 * DAY))]
    settings = SETTINGS | {"unlisted": unlisted}

    write_results(klines, settings=settings, funding=funding)
    found = pl.read_parquet(write_funding(funding, unlisted=unlisted))

    assert minutes_of(found["funding_time"]) == [0, 480, 2 * DAY, 3 * DAY]
    paid = pl.read_parquet(RESULT).drop_nulls("funding_rate")
    assert minutes_of(paid["open_time"]) == [0, 480, 2 * DAY]
    assert storage.read_parquet_metadata(FUNDING_FILE)["after_end"] == "2"


def test_without_partitions_there_is_a_file_without_events():
    assert pl.read_parquet(write_funding([])).equals(with_symbol(FUNDING).to_frame())


def test_a_partition_that_is_not_of_funding_is_named(partition, funding_partition):
    partitions = [funding_partition("2024", [0]), partition("2024-01", [0])]

    with pytest.raises(
        ResultError, match=r"parsed/2024-01\.parquet: its columns \['calc_time'"
    ):
        write_funding(partitions)

    assert not Path(FUNDING_FILE).exists()


def test_funding_reaches_the_result_and_its_metadata(partition, funding_partition):
    partitions = [partition("2024-01", range(481))]
    funding = [funding_partition("2024", [0, 480, 960], rate=0.25)]

    write_results(partitions, funding=funding)

    rates = pl.read_parquet(RESULT)["funding_rate"]
    assert rates.to_list() == [0.25, *[None] * 479, 0.25]
    metadata = storage.read_parquet_metadata(RESULT)
    assert metadata["inputs"] == " ".join(map(sha256, [*partitions, *funding]))
    assert storage.read_parquet_metadata(GAPS_FILE)["inputs"] == metadata["inputs"]
    counts = [metadata[f"funding_{n}"] for n in ("events", "dropped", "combined")]
    assert counts == ["3", "1", "0"]


def test_several_rules_at_once_make_the_files_that_each_makes_alone(partition):
    write_results([partition("2024-01", [*range(200), *range(205, 2 * DAY)])])
    rules = ["1h", "1h_30m", "4h", "1d_7h", "1d", "1w"]
    write_resampled(RESULT, *rules)
    paths = [Path(f"resampled/{rule}/AUSDT.pqt") for rule in rules]
    together = [path.read_bytes() for path in paths]

    for rule in rules:
        write_resampled(RESULT, rule)

    assert [path.read_bytes() for path in paths] == together
    assert [pl.read_parquet(path).height for path in paths] == [48, 47, 12, 1, 2, 0]


def test_resampled_files_tell_their_result_and_how_far_it_goes(partition):
    write_results([partition("2024-01", range(60))])

    write_resampled(RESULT, "1h")

    assert storage.read_parquet_metadata("resampled/1h/AUSDT.pqt") == {
        "version": __version__,
        "stage": "resample",
        "revision": str(resample.REVISION),
        "base_interval": "1m",
        "inputs": sha256(RESULT),
        "as_of": "2024-01-31",
    }


def test_resampled_3d_bars_tell_their_phase_and_from_where_it_is_known(partition):
    hours = [minute * 60 for minute in range(24 * 9)]
    of_hours = {**SERIES, "interval": "1h"}
    result = write_results([partition("2024-01", hours)], **of_hours)
    days = [DAY * day for day in range(2, 9, 3)]
    of_3d = {**SERIES, "interval": "3d"}
    bars = write_results([partition("3d", days)], symbol="3d", **of_3d)
    storage.write_json({"phase": "2", "phase_restarts": "", "phase_source": "api"}, API)
    storage.write_json({"unanswered": "refused"}, "refused.json")

    found = {}
    for phase_of in (bars, API, "refused.json", None):
        write_resampled(result, "3d", "1d", phase_of=phase_of, **of_hours)
        path = "resampled/3d/AUSDT.pqt"
        metadata = storage.read_parquet_metadata(path)
        first = pl.read_parquet(path)["open_time"][0].date().isoformat()
        found[phase_of] = (first, metadata["phase"], metadata["phase_source"])
        inputs = [sha256(each) for each in (result, phase_of) if each]
        assert metadata["inputs"] == " ".join(inputs)
        of_days = storage.read_parquet_metadata("resampled/1d/AUSDT.pqt")
        assert "phase" not in of_days
        assert of_days["inputs"] == sha256(result)

    assert found == {
        bars: ("2024-01-03", "0", "published"),
        API: ("2024-01-02", "2", "api"),
        "refused.json": ("2024-01-01", "1", "first_traded_day"),
        None: ("2024-01-01", "1", "first_traded_day"),
    }


def test_a_rule_that_does_not_fit_the_base_is_refused(partition):
    write_results([partition("2024-01", range(60))])

    with pytest.raises(ConfigError, match="must be multiples of"):
        write_resampled(RESULT, "90s")

    assert not Path("resampled").exists()


def test_a_broken_result_is_named():
    Path("results").mkdir()
    Path(RESULT).write_bytes(b"broken")

    with pytest.raises(ResultError, match=r"results/AUSDT\.pqt: cannot be read"):
        write_resampled(RESULT, "1h")


@pytest.fixture
def two_segments(partition):
    """Write a result of minutes 0 to 59, and of two after a halt of three days."""
    minutes = [*range(60), 3 * DAY, 1 + 3 * DAY]
    return write_results([partition("2024-01", minutes)])


def test_segments_of_every_symbol_are_listed(two_segments, partition):
    other = write_results([partition("other", [7, 8])], symbol="BUSDT")

    write_segments(two_segments, other)

    table = pl.read_parquet(SEGMENTS)
    assert table.schema == SEGMENT_FILES
    assert table.select("name", "symbol", "segment").rows() == [
        ("SP0_AUSDT", "AUSDT", 0),
        ("AUSDT", "AUSDT", 1),
        ("BUSDT", "BUSDT", 0),
    ]
    metadata = storage.read_parquet_metadata(SEGMENTS)
    assert metadata["stage"] == "split"
    assert metadata["revision"] == str(split.REVISION)
    assert metadata["inputs"] == f"{sha256(two_segments)} {sha256(other)}"


def test_segment_files_that_no_longer_exist_are_removed(two_segments, partition):
    untraded = write_results([partition("other", [0], trade_count=0)], symbol="BUSDT")
    stale = ["SP1_AUSDT", "SP10_AUSDT", "BUSDT", "SP0_BUSDT"]
    kept = ["SP0_AUSDT", "AUSDT", "CUSDT", "SP0_CUSDT", "SPELLUSDT"]
    for folder in FOLDERS:
        Path(folder).mkdir()
        Path(f"{folder}/SP1_AUSDT.txt").touch()
        for name in [*stale, *kept]:
            Path(f"{folder}/{name}.pqt").write_bytes(b"written before")

    write_segments(two_segments, untraded)

    Path(SEGMENTS).unlink()
    for folder in FOLDERS:
        found = {path.name: path.read_bytes() for path in Path(folder).iterdir()}
        assert found.pop("SP1_AUSDT.txt") == b""
        assert found == {f"{name}.pqt": b"written before" for name in kept}


def test_a_segment_file_holds_the_rows_of_its_segment(two_segments):
    write_segments(two_segments)
    whole = pl.read_parquet(two_segments)

    parts = [write_segment(name) for name in ("SP0_AUSDT", "AUSDT")]

    assert [part.height for part in parts] == [60, 2]
    assert pl.concat(parts).equals(whole)
    metadata = storage.read_parquet_metadata("split/AUSDT.pqt")
    assert metadata == {
        "version": __version__,
        "stage": "split",
        "revision": str(split.REVISION),
        "inputs": sha256(two_segments),
        "as_of": "2024-01-31",
    }


def test_a_segment_too_short_for_a_bar_is_a_file_without_rows(two_segments):
    write_segments(two_segments)
    write_resampled(two_segments, "1h")
    resampled = "resampled/1h/AUSDT.pqt"

    first = write_segment("SP0_AUSDT", result=resampled)
    last = write_segment("AUSDT", result=resampled)

    assert (first.height, last.height) == (1, 0)
    assert last.schema == pl.read_parquet_schema(resampled)


def test_a_segment_that_is_not_listed_is_refused(two_segments):
    write_segments(two_segments)

    with pytest.raises(ResultError, match=r"lists no segment file 'SP7_AUSDT'"):
        write_segment("SP7_AUSDT")

    assert not Path("split/SP7_AUSDT.pqt").exists()


def test_days_and_gaps_tell_what_archive_and_api_have(partition):
    key = "data/spot/daily/klines/AUSDT/1m/AUSDT-1m-2024-01-{}.zip"
    inputs = [
        {
            "key": key.format(f"{number:02}"),
            "integrity_status": "ok",
            "last_time": f"2024-01-{number:02}T00:09:00+00:00",
        }
        for number in (1, 3)
    ]
    hole = {
        "start": "2024-01-01T00:10:00+00:00",
        "end": "2024-01-03T00:00:00+00:00",
        "status": "unanswered",
    }
    minutes = [*range(10), *range(2 * DAY, 2 * DAY + 10)]
    partitions = [
        partition("2024", minutes, sources={"inputs": inputs}),
        partition("fill", [], sources={"missing_ranges": [hole], "rows": 0}),
    ]

    write_results(partitions)

    gaps = pl.read_parquet(GAPS_FILE)
    assert gaps.select("absent_days", "truncated", "api").rows() == [
        (1, True, "unanswered")
    ]
    days = pl.read_parquet(DAYS_FILE)
    assert days.schema == DAYS
    columns = ["expected", "daily", "filled", "has_file", "api_answer"]
    assert days.select(columns).rows()[:4] == [
        (DAY, 10, DAY - 10, True, "unanswered"),
        (DAY, 0, DAY, False, "unanswered"),
        (DAY, 10, 0, True, None),
        (DAY, 0, 0, False, None),
    ]


def test_conflicts_between_archive_and_api_are_kept(partition):
    partitions = [
        partition("2024", [0, 1], source="monthly", close=1.0),
        partition("fill", [1, 2], source="api", close=2.0),
    ]

    write_results(partitions)

    conflicts = pl.read_parquet(CONFLICTS_FILE)
    columns = ["symbol", "source", "close", "kept_source", "kept_close"]
    assert conflicts.select(columns).rows() == [("AUSDT", "monthly", 1.0, "api", 2.0)]
    assert pl.read_parquet(DAYS_FILE)["conflicts"].to_list()[0] == 1


def test_a_partition_without_sources_is_named(partition):
    path = partition("2024", [0])
    Path("parsed/2024.sources.json").unlink()

    with pytest.raises(ResultError, match=r"2024\.sources\.json: cannot be read"):
        write_results([path])

    assert not Path(RESULT).exists()


def test_a_symbol_that_never_traded_has_tables_without_rows(partition):
    write_results([partition("2024", [0, 1], trade_count=0)])

    assert pl.read_parquet(DAYS_FILE).is_empty()
    metadata = storage.read_parquet_metadata(GAPS_FILE)
    assert (metadata["first_traded"], metadata["last_traded"]) == ("", "")
