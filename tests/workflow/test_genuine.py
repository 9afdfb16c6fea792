"""Files that Binance published, from the bucket's layout to resampled bars."""

import datetime as dt
import hashlib
import json
import shutil
import zipfile
from dataclasses import asdict
from pathlib import Path

import polars as pl
import pytest

import bhds
from bhds.sandbox.exchange import Exchange
from bhds.sandbox.server import serving

REALDATA = Path(__file__).parents[3] / "shared" / "realdata"
pytestmark = [
    pytest.mark.workflow,
    pytest.mark.skipif(not REALDATA.exists(), reason="no genuine files"),
]

SPOT_RULES = ["2h", "4h", "6h", "8h", "12h", "1d"]
UM_RULES = ["1h", "1d"]
SPOT_FOLDER = "spot/daily/klines/BTCUSDT/1m"
UM_FOLDER = "futures/um/monthly/klines/FILUSDT/1m"


COPIED = {
    "spot/klines/BTCUSDT/1m": SPOT_FOLDER,
    "um/fundingRate/BTCUSDT": "futures/um/monthly/fundingRate/BTCUSDT",
    "um/metrics/BTCUSDT": "futures/um/daily/metrics/BTCUSDT",
    "cm/aggTrades/BTCUSD_PERP": "futures/cm/daily/aggTrades/BTCUSD_PERP",
}


BASES = ["1m", "1h", "2h", "1d"]
LONGER = ["4h", "6h", "8h", "12h", "3d", "1w", "1mo"]


def zip_with_checksum(archive, name, content):
    """Zip one CSV as the bucket has it, with its CHECKSUM beside it."""
    archive.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as zipped:
        zipped.writestr(name, content)
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    checksum = archive.with_name(f"{archive.name}.CHECKSUM")
    checksum.write_text(f"{digest}  {archive.name}\n")


def publish_recorded_bars(folder):
    """Zip the bars that the API gave, month by month: value for value the archive's."""
    for interval in [*BASES[1:], *LONGER]:
        months = {}
        recorded_as = "1M" if interval == "1mo" else interval
        files = sorted(REALDATA.glob(f"spot/api_klines/BTCUSDT/{recorded_as}/*.json"))
        for row in (row for file in files for row in json.loads(file.read_text())):
            opened = dt.datetime.fromtimestamp(row[0] / 1000, dt.UTC)
            line = ",".join(map(str, row))
            months.setdefault(f"{opened:%Y-%m}", {})[row[0]] = line
        for month, lines in months.items():
            stem = f"BTCUSDT-{interval}-{month}"
            zip_with_checksum(
                folder / f"data/spot/monthly/klines/BTCUSDT/{interval}/{stem}.zip",
                f"{stem}.csv",
                "".join(f"{line}\n" for line in lines.values()),
            )


def lay_out_bucket(folder):
    """Copy genuine zips as they are in the bucket; zip what there is of other form."""
    for source, target in COPIED.items():
        shutil.copytree(REALDATA / source, folder / "data" / target)
    csv = REALDATA / "um/klines/FILUSDT/1m/FILUSDT-1m-2023-02.csv"
    zip_with_checksum(
        folder / "data" / UM_FOLDER / "FILUSDT-1m-2023-02.zip",
        csv.name,
        csv.read_bytes(),
    )
    publish_recorded_bars(folder)


@pytest.fixture(scope="module")
def built(tmp_path_factory, new_workspace):
    folder = tmp_path_factory.mktemp("genuine")
    lay_out_bucket(folder / "bucket")
    with (
        Exchange(serve_dir=folder / "bucket") as exchange,
        serving(exchange) as running,
    ):
        datasets = [
            ("spot", "BTCUSDT", SPOT_RULES),
            ("um_futures", "FILUSDT", UM_RULES),
        ]
        settings = {
            "endpoints": asdict(running.endpoints),
            "api": {"enabled": False},  # of real files only the bucket is served
            "datasets": [
                {
                    "trade_type": trade_type,
                    "symbols": [symbol],
                    "results": {"resample": [{"interval": rule} for rule in rules]},
                }
                for trade_type, symbol, rules in datasets
            ]
            + [
                {"trade_type": "um_futures", "data_type": "fundingRate"},
                {"trade_type": "um_futures", "data_type": "metrics"},
                {"trade_type": "cm_futures", "data_type": "aggTrades"},
            ]
            + [
                {"trade_type": "spot", "symbols": ["BTCUSDT"], "interval": interval}
                for interval in [*BASES[1:], *LONGER]
            ],
        }
        workspace = new_workspace(folder, settings)
        parsed = [
            "um_futures/fundingRate/BTCUSDT/all",
            "um_futures/metrics/BTCUSDT/2022",
        ]
        parsed.append("cm_futures/aggTrades/BTCUSD_PERP/2026-05")
        tables = [f"reconciliation-{base}" for base in BASES] + ["gaps-1h", "gaps-2h"]
        workspace.build(
            *(f"parsed_data/{name}.parquet" for name in parsed),
            *(f"results_data/spot/quality/{name}.parquet" for name in tables),
            *(
                f"results_data/{market}/resampled_klines/{rule}/{symbol}.pqt"
                for market, symbol, rules in datasets
                for rule in rules
            ),
        )
        yield workspace


def test_three_days_of_spot_parse_to_every_minute(built):
    folder = built.path("parsed_data/spot/klines/BTCUSDT/1m")

    frame = pl.read_parquet(folder / "2020.parquet")

    assert frame.height == 4320
    assert str(frame["open_time"].min()) == "2020-01-01 00:00:00+00:00"
    assert str(frame["open_time"].max()) == "2020-01-03 23:59:00+00:00"
    assert set(frame["source"]) == {"daily"}
    sources = json.loads((folder / "2020.sources.json").read_text())
    assert [source["integrity_status"] for source in sources["inputs"]] == ["ok"] * 3
    assert {day["present"] for day in sources["days"]} == {1440}


@pytest.mark.parametrize(
    ("partition", "time", "expected"),
    [
        pytest.param(
            "cm_futures/aggTrades/BTCUSD_PERP/2026-05",
            "time",
            (105280, "2026-05-08 00:00:00.020", "2026-05-08 23:59:59.655", "ok"),
            id="aggTrades",
        ),
        pytest.param(
            "um_futures/fundingRate/BTCUSDT/all",
            "funding_time",
            (90, "2026-04-01 00:00:00", "2026-04-30 16:00:00", "ok"),
            id="fundingRate",
        ),
        pytest.param(
            "um_futures/metrics/BTCUSDT/2022",
            "create_time",
            (288, "2021-12-31 23:55:00", "2022-01-01 23:50:00", "checksum-missing"),
            id="metrics",
        ),
    ],
)
def test_other_types_of_data_parse_to_every_row(built, partition, time, expected):
    rows, first, last, integrity_status = expected
    path = built.path(f"parsed_data/{partition}.parquet")

    frame = pl.read_parquet(path)

    assert frame.height == rows
    assert str(frame[time].min()).startswith(first)
    assert str(frame[time].max()).startswith(last)
    sources = json.loads(path.with_suffix(".sources.json").read_text())
    assert [source["integrity_status"] for source in sources["inputs"]] == [
        integrity_status
    ]


def recorded(rule):
    """Read the API's own bars of a length, as exact numbers."""
    path = REALDATA / f"spot/api_klines/BTCUSDT/{rule}/2020-01-01.json"
    rows = [
        (row[0], *map(float, row[1:6]), float(row[7]), row[8])
        for row in json.loads(Path(path).read_text())
    ]
    names = ["ms", "open", "high", "low", "close", "volume", "quote_volume"]
    return pl.DataFrame(rows, [*names, "trade_count"], orient="row")


@pytest.mark.parametrize(
    ("rule", "bars"),
    [("2h", 36), ("4h", 18), ("6h", 12), ("8h", 9), ("12h", 6), ("1d", 3)],
)
def test_resampled_spot_equals_the_bars_of_the_exchange(built, rule, bars):
    path = built.path(f"results_data/spot/resampled_klines/{rule}/BTCUSDT.pqt")

    frame = pl.read_parquet(path).with_columns(ms=pl.col("open_time").dt.epoch("ms"))

    both = frame.join(recorded(rule), on="ms", suffix="_recorded")
    assert frame.height == both.height == bars
    for column in ("open", "high", "low", "close", "trade_count"):
        assert both[column].to_list() == both[f"{column}_recorded"].to_list()
    for column in ("volume", "quote_volume"):
        assert both[column].to_list() == pytest.approx(
            both[f"{column}_recorded"].to_list(), rel=1e-12
        )


@pytest.mark.parametrize(("rule", "bars"), [("1h", 28 * 24), ("1d", 28)])
def test_resampled_um_month_equals_a_second_opinion(built, rule, bars):
    path = built.path(f"results_data/um_futures/resampled_klines/{rule}/FILUSDT.pqt")
    opinion = pl.read_csv(REALDATA / f"um/derived/FIL_USDT_{rule}.2023-02.csv")

    frame = pl.read_parquet(path).with_columns(
        timestamp=pl.col("open_time").dt.epoch("ms")
    )

    both = frame.join(opinion, on="timestamp", suffix="_opinion")
    assert frame.height == both.height == bars
    for column in ("open", "high", "low", "close"):
        assert both[column].to_list() == both[f"{column}_opinion"].to_list()
    assert both["volume"].to_list() == pytest.approx(both["volume_opinion"].to_list())


EXACT = ["open", "high", "low", "close", "trade_count"]


@pytest.mark.parametrize("base", BASES)
def test_results_agree_with_all_longer_bars_that_the_exchange_published(built, base):
    table = pl.read_parquet(
        built.path(f"results_data/spot/quality/reconciliation-{base}.parquet")
    )

    exact = table.filter(pl.col("column").is_in(EXACT))
    assert (exact["n_compared"] == exact["n_equal"]).all()
    assert exact["max_abs_diff"].is_null().all()
    assert (table["n_compared"] == table["n_equal"]).all()


@pytest.mark.parametrize(
    ("trade_type", "symbol", "line"),
    [
        # The first file has no header, the other one has.
        ("spot", "BTCUSDT", 721),
        ("um_futures", "FILUSDT", 20_162),
    ],
)
def test_a_bar_is_traced_to_the_line_that_binance_published(
    built, trade_type, symbol, line
):
    times = bhds.scan_klines(trade_type, "1m", data_dir=built.data).collect()
    middle = times["open_time"][times.height // 2]

    found = bhds.explain(trade_type, symbol, middle, data_dir=built.data)

    (published,) = found.publications
    archive = built.path(found.zips[0].path)
    with zipfile.ZipFile(archive) as zipped:
        lines = zipped.read(zipped.namelist()[0]).decode().splitlines()
    assert published.line == line
    assert published.text == lines[line - 1]
    assert published.text.startswith(str(int(middle.timestamp() * 1000)))
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    assert found.zips[0].sha256 == found.zips[0].published_sha256 == digest
    assert found.bar["close"] == float(published.text.split(",")[4])


def test_genuine_records_are_read_with_their_symbol(built):
    trades = bhds.scan_agg_trades("cm_futures", data_dir=built.data)
    metrics = bhds.scan_records("um_futures", "metrics", data_dir=built.data)

    last = trades.filter(pl.col("symbol") == "BTCUSD_PERP").last().collect()
    assert last["agg_trade_id"].to_list() == [480643182]
    assert metrics.select(pl.len()).collect().item() == 288
