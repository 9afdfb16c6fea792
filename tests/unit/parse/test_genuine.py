"""Every genuine archive file that is read whole parses to what is known of it.

What a file holds is written down here, or read again with the `csv` module; of
trades, which are read piece by piece, see test_large.py.
"""

import csv
import datetime as dt
import io
import zipfile
from pathlib import Path

import pytest
from polars.testing import assert_frame_equal

from bhds.archive.integrity.zip_input import ArchiveInput
from bhds.core.markets import Frequency, TradeType
from bhds.schemas.datatypes import DATA_TYPES

GENUINE = Path(__file__).parents[3] / "../shared/realdata"

pytestmark = pytest.mark.skipif(
    not GENUINE.is_dir(), reason="the genuine files of ../shared/realdata are absent"
)

SPOT, UM, CM = TradeType.SPOT, TradeType.UM_FUTURES, TradeType.CM_FUTURES
MARKETS = {"spot": SPOT, "um": UM, "cm": CM}

# folder, file, rows, time unit, header, first and last opening
KLINES = [
    ("spot", "BTCUSDT-1m-2020-01-01.zip", 1440, "ms", False, "00:00", "23:59"),
    ("spot", "BTCUSDT-1m-2020-01-02.zip", 1440, "ms", False, "00:00", "23:59"),
    ("spot", "BTCUSDT-1m-2020-01-03.zip", 1440, "ms", False, "00:00", "23:59"),
    ("spot", "BTCUSDT-1h-2026-05-08.zip", 24, "us", False, "00:00", "23:00"),
    ("spot", "ETHUSDT-1m-2022-08-14.zip", 1440, "ms", False, "00:00", "23:59"),
    ("spot", "ETHUSDT-1m-2022-08-15.zip", 1440, "ms", False, "00:00", "23:59"),
    ("spot", "BTCUSDT-1h-2022-09-07.zip", 24, "ms", False, "00:00", "23:00"),
    ("spot", "BTCUSDT-1h-2021-01.csv", 744, "ms", False, "00:00", "23:00"),
    ("spot", "BTCUSDT-1h-2021-02.csv", 671, "ms", False, "00:00", "23:00"),
    ("spot", "ETHUSDT-1h-2021-01.csv", 744, "ms", False, "00:00", "23:00"),
    ("spot", "ADABTC-1m-2021-11-27.csv", 10, "ms", False, "00:00", "00:09"),
    ("spot", "ETHUSDT-1h-2026-04-07-original.csv", 24, "us", False, "00:00", "23:00"),
    ("um", "BTCUSDT-1m-2022-09-05.zip", 1440, "ms", True, "00:00", "23:59"),
    ("um", "ETHUSDT-1h-2022-08-24.zip", 24, "ms", True, "00:00", "23:00"),
    ("um", "BTCUSDT-1m-2022-05-05.csv", 1440, "ms", False, "00:00", "23:59"),
    ("um", "BTCUSDT-1m-2023-04-15.csv", 1440, "ms", True, "00:00", "23:59"),
    ("um", "BTCUSDT-1m-2025-09-03.csv", 1440, "ms", True, "00:00", "23:59"),
    ("um", "BTCUSDT-1m-2025-09-04.csv", 1440, "ms", True, "00:00", "23:59"),
    ("um", "FILUSDT-1m-2023-02.csv", 40320, "ms", True, "00:00", "23:59"),
    ("um", "AVAXUSDT-1m-2026-02.csv", 40320, "ms", True, "00:00", "23:59"),
    ("cm", "BTCUSD_PERP-1m-2022-10-24.zip", 1440, "ms", True, "00:00", "23:59"),
]

# file, rows, first and last label, blanks, rows with labels some seconds late
METRICS = [
    ("BTCUSDT-metrics-2022-01-01.zip", 288, "01-01 00:00", "01-01 23:55", 1152, 0),
    ("BTCUSDT-metrics-2022-01-01.csv", 288, "01-01 00:00", "01-01 23:55", 1152, 0),
    ("BTCUSDT-metrics-2023-09-12.csv", 285, "09-12 00:00", "09-12 23:55", 0, 0),
    ("BTCUSDT-metrics-2024-02-16.csv", 163, "02-16 00:00", "02-16 13:30", 0, 0),
    ("ADAUSDT-metrics-2024-03-09.csv", 279, "03-09 00:05", "03-09 23:15", 0, 1),
    ("BTCUSDT-metrics-2024-10-28.csv", 286, "10-28 00:05", "10-29 00:00", 0, 10),
    ("BTCUSDT-metrics-2025-08-29.csv", 285, "08-29 00:05", "08-30 00:00", 0, 0),
    ("BTCUSDT-metrics-2026-02-01.csv", 288, "02-01 00:05", "02-02 00:00", 0, 0),
]

# Only the name and the times in µs show that this is a copy that was made from the
# REST API; its rows are what the archive's would be.
RENAMED = {"ETHUSDT-1h-2026-04-07-original.csv": "ETHUSDT-1h-2026-04-07.csv"}


def locate(pattern):
    (path,) = GENUINE.glob(pattern)
    return path


def kline_file(folder, name):
    return locate(f"{folder}/klines/*/*/{name}")


def metrics_file(name):
    folder = "metrics" if name.endswith(".zip") else "metrics_rewritten"
    return locate(f"um/{folder}/*/{name}")


def published(path):
    """Return a file's rows as text, without the header, read with the csv module."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as opened:
            text = opened.read(opened.namelist()[0]).decode()
    else:
        text = path.read_text(encoding="utf-8")
    return [row for row in csv.reader(io.StringIO(text)) if row[0][0].isdigit()]


def epoch(text):
    """Return a published time, in ms or µs, as a time in UTC."""
    factor = 1 if len(text) == 16 else 1_000
    epoch = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    return epoch + dt.timedelta(microseconds=int(text) * factor)


@pytest.fixture
def genuine(archive, parse):
    """Return a function that parses a genuine file; a CSV is zipped for it."""

    def run(path, *, trade_type=None):
        stem = Path(RENAMED.get(path.name, path.name)).stem
        symbol, series, period = stem.split("-", maxsplit=2)
        daily = period.count("-") == 2
        frequency = Frequency.DAILY if daily else Frequency.MONTHLY
        source = ArchiveInput(path, f"data/{path.name}", frequency, None)
        if path.suffix == ".csv":
            source = archive(stem, path.read_text(encoding="utf-8"))
        described = (
            {"data_type": series} if series in DATA_TYPES else {"interval": series}
        )
        market = trade_type or MARKETS[path.relative_to(GENUINE).parts[0]]
        return parse(
            source, trade_type=market, symbol=symbol, partition=period[:4], **described
        )

    return run


def checked_record(partition, path):
    """Return the record of the only zip, after checks that hold for all files."""
    (record,) = partition.sources["inputs"]
    signed = path.suffix == ".csv" or Path(f"{path}.CHECKSUM").exists()
    assert record["integrity_status"] == ("ok" if signed else "checksum-missing")
    assert record["rows_kept"] == record["rows_read"] == partition.frame.height
    assert record["out_of_order"] == 0
    return record


def test_no_genuine_file_is_left_out():
    archived = {
        path
        for folder in ("klines", "fundingRate", "metrics", "metrics_rewritten")
        for path in GENUINE.glob(f"*/{folder}/**/*")
        if path.is_file() and path.suffix != ".CHECKSUM"
    }

    assert archived == {
        *(kline_file(folder, name) for folder, name, *_ in KLINES),
        *(metrics_file(name) for name, *_ in METRICS),
        locate("um/fundingRate/BTCUSDT/BTCUSDT-fundingRate-2026-04.zip"),
    }


@pytest.mark.parametrize(
    ("folder", "name", "facts"),
    [(folder, name, facts) for folder, name, *facts in KLINES],
    ids=[f"{folder}-{name}" for folder, name, *_ in KLINES],
)
def test_genuine_klines_parse_whole(genuine, folder, name, facts):
    path = kline_file(folder, name)

    partition = genuine(path)

    frame = partition.frame
    record = checked_record(partition, path)
    opening = frame["open_time"].dt.strftime("%H:%M")
    assert [
        frame.height,
        record["time_unit"],
        record["header"],
        opening[0],
        opening[-1],
    ] == facts
    assert record["off_grid"] == 0
    assert frame.schema == DATA_TYPES["klines"].table(MARKETS[folder]).schema
    rows = published(path)
    assert frame["open_time"].to_list() == [epoch(row[0]) for row in rows]
    assert frame["close_time"].to_list() == [epoch(row[6]) for row in rows]
    assert frame["trade_count"].to_list() == [int(row[8]) for row in rows]
    for column, position in (("open", 1), ("close", 4), ("taker_buy_volume", 9)):
        assert frame[column].to_list() == [float(row[position]) for row in rows]


def test_known_hole_shows_in_the_days(genuine):
    partition = genuine(kline_file("spot", "BTCUSDT-1h-2021-02.csv"))

    short = [day for day in partition.sources["days"] if day["present"] != 24]
    assert short == [{"day": "2021-02-11", "expected": 24, "present": 23}]


def test_coin_margined_columns_are_what_they_hold(genuine):
    frame = genuine(kline_file("cm", "BTCUSD_PERP-1m-2022-10-24.zip")).frame

    first = frame.row(0, named=True)
    assert first["volume"] == 19431
    assert first["base_volume"] == 99.33183109
    assert first["taker_buy_base_volume"] == 50.69336469
    assert first["trade_count"] == 425
    contracts_usd = 100
    implied = first["volume"] * contracts_usd / first["base_volume"]
    assert first["low"] <= implied <= first["high"]


def test_whole_number_volumes_are_floats(genuine):
    frame = genuine(kline_file("um", "AVAXUSDT-1m-2026-02.csv")).frame

    assert frame["volume"][0] == 38521.0
    assert frame["taker_buy_volume"][0] == 28754.0


def test_microseconds_of_a_genuine_file_are_kept(genuine):
    frame = genuine(kline_file("spot", "BTCUSDT-1h-2026-05-08.zip")).frame

    close = dt.datetime(2026, 5, 8, 0, 59, 59, 999_999, tzinfo=dt.UTC)
    assert frame["close_time"][0] == close
    assert frame["close"][0] == 79831.99


def test_file_ruined_by_a_spreadsheet_is_refused(genuine):
    path = GENUINE / "mangled" / "BTCUSDT-1h-2023-11-18.csv"

    partition = genuine(path, trade_type=SPOT)

    (record,) = partition.sources["inputs"]
    assert partition.frame.is_empty()
    assert record["integrity_status"] == "corrupt"
    assert record["reason"] == (
        "line 2: open_time '1.70027E+12': expected a whole number; a spreadsheet has "
        "rounded it, fetch the file again"
    )


def test_genuine_funding_parses_whole(genuine):
    path = locate("um/fundingRate/BTCUSDT/BTCUSDT-fundingRate-2026-04.zip")

    partition = genuine(path)

    frame = partition.frame
    record = checked_record(partition, path)
    assert (frame.height, record["time_unit"], record["header"]) == (90, "ms", True)
    assert frame.schema == DATA_TYPES["fundingRate"].table(UM).schema
    first = dt.datetime(2026, 4, 1, tzinfo=dt.UTC)
    due = [first + number * dt.timedelta(hours=8) for number in range(90)]
    assert frame["funding_time"].to_list() == due
    rows = published(path)
    assert frame["calc_time"].to_list() == [epoch(row[0]) for row in rows]
    assert any(row[0][-3:] != "000" for row in rows)  # the jitter
    assert frame["funding_interval_hours"].to_list() == [8] * 90
    assert frame["funding_rate"].to_list() == [float(row[2]) for row in rows]
    assert frame["mark_price"].null_count() == 90
    assert set(frame["source"]) == {"monthly"}
    assert {day["present"] for day in partition.sources["days"]} == {3}


@pytest.mark.parametrize(
    ("name", "facts"),
    [(name, facts) for name, *facts in METRICS],
    ids=[name for name, *_ in METRICS],
)
def test_genuine_metrics_parse_whole(genuine, name, facts):
    path = metrics_file(name)
    five_minutes = dt.timedelta(minutes=5)

    partition = genuine(path)

    frame = partition.frame
    record = checked_record(partition, path)
    label, start = frame["raw_create_time"], frame["create_time"]
    late = label - start - five_minutes
    assert [
        frame.height,
        *(label.dt.strftime("%m-%d %H:%M")[end] for end in (0, -1)),
        record["blanks"],
        (late > dt.timedelta()).sum(),
    ] == facts
    assert (record["time_unit"], record["header"]) == ("s", True)
    assert late.is_between(dt.timedelta(), dt.timedelta(seconds=4)).all()
    assert (start == start.dt.truncate("5m")).all()
    assert frame.schema == DATA_TYPES["metrics"].table(UM).schema
    rows = published(path)
    texts = label.dt.strftime("%Y-%m-%d %H:%M:%S").to_list()
    assert texts == [row[0] for row in rows]
    for position, column in enumerate(frame.columns[2:], start=2):
        values = [float(row[position]) if row[position] else None for row in rows]
        assert frame[column].to_list() == values


def test_metrics_that_another_project_rewrote_are_the_genuine_ones(genuine):
    zipped, rewritten = (
        genuine(metrics_file(f"BTCUSDT-metrics-2022-01-01{suffix}")).frame
        for suffix in (".zip", ".csv")
    )

    # The other project's reader was wrong by some last digits of 17.
    assert_frame_equal(zipped, rewritten, rel_tol=1e-15, abs_tol=0)
