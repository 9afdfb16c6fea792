"""Every genuine kline file parses to what is known of it."""

import datetime as dt
from pathlib import Path

import pytest

from bhds.columns import parsed_klines
from bhds.markets import Frequency, TradeType
from bhds.parse.inputs import ArchiveInput

GENUINE = Path(__file__).parents[3] / "../shared/realdata"

pytestmark = pytest.mark.skipif(
    not GENUINE.is_dir(), reason="the genuine files of ../shared/realdata are absent"
)

SPOT, UM, CM = TradeType.SPOT, TradeType.UM_FUTURES, TradeType.CM_FUTURES

# market, file, rows, time unit, header, first and last opening
FILES = [
    (SPOT, "BTCUSDT-1m-2020-01-01.zip", 1440, "ms", False, "00:00", "23:59"),
    (SPOT, "BTCUSDT-1m-2020-01-02.zip", 1440, "ms", False, "00:00", "23:59"),
    (SPOT, "BTCUSDT-1m-2020-01-03.zip", 1440, "ms", False, "00:00", "23:59"),
    (SPOT, "BTCUSDT-1h-2026-05-08.zip", 24, "us", False, "00:00", "23:00"),
    (SPOT, "ETHUSDT-1m-2022-08-14.zip", 1440, "ms", False, "00:00", "23:59"),
    (SPOT, "ETHUSDT-1m-2022-08-15.zip", 1440, "ms", False, "00:00", "23:59"),
    (SPOT, "BTCUSDT-1h-2022-09-07.zip", 24, "ms", False, "00:00", "23:00"),
    (SPOT, "BTCUSDT-1h-2021-01.csv", 744, "ms", False, "00:00", "23:00"),
    (SPOT, "BTCUSDT-1h-2021-02.csv", 671, "ms", False, "00:00", "23:00"),
    (SPOT, "ETHUSDT-1h-2021-01.csv", 744, "ms", False, "00:00", "23:00"),
    (SPOT, "ADABTC-1m-2021-11-27.csv", 10, "ms", False, "00:00", "00:09"),
    (SPOT, "ETHUSDT-1h-2026-04-07-original.csv", 24, "us", False, "00:00", "23:00"),
    (UM, "BTCUSDT-1m-2022-09-05.zip", 1440, "ms", True, "00:00", "23:59"),
    (UM, "ETHUSDT-1h-2022-08-24.zip", 24, "ms", True, "00:00", "23:00"),
    (UM, "BTCUSDT-1m-2022-05-05.csv", 1440, "ms", False, "00:00", "23:59"),
    (UM, "BTCUSDT-1m-2023-04-15.csv", 1440, "ms", True, "00:00", "23:59"),
    (UM, "BTCUSDT-1m-2025-09-03.csv", 1440, "ms", True, "00:00", "23:59"),
    (UM, "BTCUSDT-1m-2025-09-04.csv", 1440, "ms", True, "00:00", "23:59"),
    (UM, "FILUSDT-1m-2023-02.csv", 40320, "ms", True, "00:00", "23:59"),
    (UM, "AVAXUSDT-1m-2026-02.csv", 40320, "ms", True, "00:00", "23:59"),
    (CM, "BTCUSD_PERP-1m-2022-10-24.zip", 1440, "ms", True, "00:00", "23:59"),
]


def locate(name):
    (path,) = GENUINE.rglob(f"klines/*/*/{name}")
    return path


@pytest.fixture
def genuine(archive, parse):
    """Return a function that parses a genuine file; a CSV is zipped for it."""

    def run(path, trade_type):
        stem = path.stem.removesuffix("-original")
        symbol, interval, period = stem.split("-", maxsplit=2)
        daily = period.count("-") == 2
        frequency = Frequency.DAILY if daily else Frequency.MONTHLY
        source = ArchiveInput(path, f"data/{path.name}", frequency, None)
        if path.suffix == ".csv":
            source = archive(stem, path.read_text(encoding="utf-8"))
        series = {"trade_type": trade_type, "symbol": symbol, "interval": interval}
        return parse(source, partition=period[:4], **series)

    return run


def test_no_genuine_file_is_left_out():
    files = {path.name for path in GENUINE.rglob("klines/*/*/*") if path.is_file()}

    sidecars = {name for name in files if name.endswith(".CHECKSUM")}
    assert files - sidecars == {name for _, name, *_ in FILES}


@pytest.mark.parametrize(
    ("trade_type", "name", "facts"),
    [(market, name, facts) for market, name, *facts in FILES],
    ids=[f"{market}-{name}" for market, name, *_ in FILES],
)
def test_genuine_file_parses_whole(genuine, trade_type, name, facts):
    path = locate(name)

    partition = genuine(path, trade_type)

    frame = partition.frame
    (record,) = partition.sources["inputs"]
    signed = path.suffix == ".csv" or Path(f"{path}.CHECKSUM").exists()
    assert record["verdict"] == ("ok" if signed else "sidecar-missing")
    opening = frame["open_time"].dt.strftime("%H:%M")
    assert [
        record["rows_kept"],
        record["time_unit"],
        record["header"],
        opening[0],
        opening[-1],
    ] == facts
    assert frame.height == record["rows_read"] == record["rows_kept"]
    assert frame.schema == parsed_klines(trade_type)
    assert frame["open_time"].dt.strftime("%Y-%m-%d").is_in(_days(name)).all()
    assert (record["off_grid"], record["out_of_order"]) == (0, 0)


def _days(name):
    """Return the days that a file's name stands for."""
    period = name.split("-", maxsplit=2)[-1].split(".")[0].removesuffix("-original")
    if period.count("-") == 2:
        return [period]
    return [f"{period}-{day:02}" for day in range(1, 32)]


def test_known_hole_shows_in_the_days(genuine):
    partition = genuine(locate("BTCUSDT-1h-2021-02.csv"), SPOT)

    short = [day for day in partition.sources["days"] if day["present"] != 24]
    assert short == [{"day": "2021-02-11", "expected": 24, "present": 23}]


def test_coin_margined_columns_are_what_they_hold(genuine):
    frame = genuine(locate("BTCUSD_PERP-1m-2022-10-24.zip"), CM).frame

    first = frame.row(0, named=True)
    assert first["volume"] == 19431
    assert first["base_volume"] == 99.33183109
    assert first["taker_buy_base_volume"] == 50.69336469
    assert first["trade_count"] == 425
    contracts_usd = 100
    implied = first["volume"] * contracts_usd / first["base_volume"]
    assert first["low"] <= implied <= first["high"]


def test_whole_number_volumes_are_floats(genuine):
    frame = genuine(locate("AVAXUSDT-1m-2026-02.csv"), UM).frame

    assert frame["volume"][0] == 38521.0
    assert frame["taker_buy_volume"][0] == 28754.0


def test_microseconds_of_a_genuine_file_are_kept(genuine):
    frame = genuine(locate("BTCUSDT-1h-2026-05-08.zip"), SPOT).frame

    close = dt.datetime(2026, 5, 8, 0, 59, 59, 999_999, tzinfo=dt.UTC)
    assert frame["close_time"][0] == close
    assert frame["close"][0] == 79831.99


def test_file_ruined_by_a_spreadsheet_is_refused(genuine):
    path = GENUINE / "mangled" / "BTCUSDT-1h-2023-11-18.csv"

    partition = genuine(path, SPOT)

    (record,) = partition.sources["inputs"]
    assert partition.frame.is_empty()
    assert record["verdict"] == "corrupt"
    assert record["reason"] == (
        "line 2: open_time '1.70027E+12': expected a whole number; a spreadsheet has "
        "rounded it, fetch the file again"
    )
