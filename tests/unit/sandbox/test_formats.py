import datetime as dt
import io
import json
import re
import zipfile
from pathlib import Path

import polars as pl
import pytest

from bhds.core.markets import Interval, TradeType
from bhds.sandbox import formats
from bhds.sandbox.bars import SUMMED
from bhds.sandbox.prices import KlineSource
from bhds.sandbox.timegrid import to_ms
from bhds.sandbox.universe import load_universe

REAL = Path("../shared/realdata")
needs_real_files = pytest.mark.skipif(
    not REAL.is_dir(), reason="genuine exchange files are absent"
)
MEMBER_FACTS = (
    "filename",
    "date_time",
    "compress_type",
    "create_system",
    "create_version",
    "extract_version",
    "flag_bits",
    "internal_attr",
    "external_attr",
    "CRC",
    "file_size",
    "header_offset",
)


FUNDING = "um/fundingRate/BTCUSDT/BTCUSDT-fundingRate-2026-04.zip"


def market_of(name):
    folder = name.partition("/")[0]
    return TradeType(folder if folder == "spot" else f"{folder}_futures")


def genuine_lines(name):
    path = REAL / name
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            return archive.read(archive.namelist()[0]).decode().splitlines()
    return path.read_text().splitlines()


def synthetic_lines(market, name, *, day, interval="1m", **changes):
    """Return the lines of a day's file of a shipped symbol, as if listed long ago."""
    universe = load_universe()
    symbol = universe.symbol(market, name)
    listed = dt.datetime(2017, 1, 1, tzinfo=dt.UTC)
    symbol = symbol.model_copy(
        update={"listed": listed, "delisted": None, "halts": (), **changes}
    )
    universe = universe.model_validate({"symbols": [symbol]})
    start = to_ms(dt.datetime.combine(day, dt.time(), tzinfo=dt.UTC))
    bars = KlineSource(universe).bars(
        symbol, Interval.parse(interval), start_ms=start, end_ms=start + 86_400_000
    )
    text = formats.kline_csv(
        bars, symbol=symbol, interval=Interval.parse(interval), day=day
    )
    return text.decode().splitlines()


def shape(line):
    """Replace all digits of the whole parts, and keep the decimals' number."""
    return re.sub(r"\d", "9", re.sub(r"\b\d+(?=[.,]|$)", "9", line))


@needs_real_files
@pytest.mark.parametrize(
    "genuine",
    [
        pytest.param("spot/klines/BTCUSDT/1m/BTCUSDT-1m-2020-01-01.zip", id="spot ms"),
        pytest.param("spot/klines/BTCUSDT/1h/BTCUSDT-1h-2026-05-08.zip", id="spot us"),
        pytest.param(
            "um/klines/BTCUSDT/1m/BTCUSDT-1m-2022-05-05.csv", id="um before headers"
        ),
        pytest.param(
            "um/klines/BTCUSDT/1m/BTCUSDT-1m-2022-09-05.zip", id="um with header"
        ),
        pytest.param(
            "um/klines/BTCUSDT/1m/BTCUSDT-1m-2025-09-04.csv", id="um stays in ms"
        ),
        pytest.param("cm/klines/BTCUSD_PERP/1m/BTCUSD_PERP-1m-2022-10-24.zip", id="cm"),
    ],
)
def test_klines_look_like_genuine_ones(genuine):
    real = genuine_lines(genuine)
    _, _, name, interval, file = genuine.split("/")
    day = dt.date.fromisoformat(file[-len("2020-01-01.zip") : -len(".zip")])
    ours = synthetic_lines(market_of(genuine), name, day=day, interval=interval)

    assert len(ours) == len(real)
    assert [line[0].isdigit() for line in ours[:2]] == [
        line[0].isdigit() for line in real[:2]
    ]
    if not real[0][0].isdigit():
        assert ours[0] == real[0]
    assert {shape(line) for line in ours[1:]} == {shape(line) for line in real[1:]}
    times = [0, 6]
    assert [[line.split(",")[i] for i in times] for line in ours[1:]] == [
        [line.split(",")[i] for i in times] for line in real[1:]
    ]


@needs_real_files
def test_futures_show_the_decimals_of_the_symbol():
    real = genuine_lines("um/klines/FILUSDT/1m/FILUSDT-1m-2023-02.csv")
    ours = synthetic_lines(
        TradeType.UM_FUTURES,
        "CVCUSDT",
        day=dt.date(2023, 2, 1),
        price_decimals=3,
        tick=pl.Series(["0.001"]).str.to_decimal(scale=3)[0],
        quantity_decimals=1,
        quiet_share=0.0,
    )

    assert shape(ours[1]) == shape(real[1])


def test_volumes_of_cm_are_contracts_and_coins():
    line = synthetic_lines(
        TradeType.CM_FUTURES, "BTCUSD_PERP", day=dt.date(2025, 1, 1)
    )[1].split(",")

    contracts, coins, high, low = (float(line[place]) for place in (5, 7, 2, 3))
    assert contracts == int(contracts)
    assert contracts * 100 / high <= coins <= contracts * 100 / low


@needs_real_files
@pytest.mark.parametrize(
    "genuine",
    [
        "spot/klines/BTCUSDT/1m/BTCUSDT-1m-2020-01-01.zip",
        "um/klines/BTCUSDT/1m/BTCUSDT-1m-2022-09-05.zip",
        FUNDING,
        "cm/klines/BTCUSD_PERP/1m/BTCUSD_PERP-1m-2022-10-24.zip",
    ],
)
def test_zip_is_built_like_a_genuine_one(genuine):
    with zipfile.ZipFile(REAL / genuine) as archive:
        (real,) = archive.infolist()
        content = archive.read(real)
    modified = dt.datetime(*real.date_time, tzinfo=dt.UTC)

    ours = formats.zip_archive(
        content, member=real.filename, market=market_of(genuine), modified=modified
    )

    with zipfile.ZipFile(io.BytesIO(ours)) as archive:
        (member,) = archive.infolist()
        assert archive.read(member) == content
    for name in MEMBER_FACTS:
        assert getattr(member, name) == getattr(real, name), name
    real_head, our_head = (REAL / genuine).read_bytes()[:30], ours[:30]
    assert our_head[:18] == real_head[:18]
    assert our_head[22:] == real_head[22:]
    # Tags, lengths and flags of the extra fields; times and owners are between them.
    for part in (slice(0, 5), slice(9, 15)):
        assert member.extra[part] == real.extra[part]
    assert len(member.extra) == len(real.extra)


@needs_real_files
def test_checksum_is_byte_for_byte_the_genuine_one():
    for name in ("spot/klines/BTCUSDT/1m/BTCUSDT-1m-2020-01-01.zip", FUNDING):
        real = (REAL / f"{name}.CHECKSUM").read_bytes()

        ours = formats.checksum_file(
            bytes.fromhex(real[:64].decode()),
            name=Path(name).name,
            market=market_of(name),
        )

        assert ours == real


def test_a_file_may_have_a_name_that_is_not_ascii():
    packed = formats.zip_archive(
        b"x",
        member="币安人生USDT-1m-2025-01-01.csv",
        market=TradeType.UM_FUTURES,
        modified=dt.datetime(2025, 1, 2, tzinfo=dt.UTC),
    )

    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        assert archive.namelist() == ["币安人生USDT-1m-2025-01-01.csv"]


@needs_real_files
def test_funding_looks_like_a_genuine_file():
    real = genuine_lines(FUNDING)
    events = pl.DataFrame({"calc_time": [1775001600000], "hours": [8], "rate": [-3449]})

    assert formats.funding_csv(events).decode().splitlines() == real[:2]


@needs_real_files
def test_a_month_bar_ends_with_its_month():
    recorded = json.loads(
        (REAL / "spot/api_klines/BTCUSDT/1M/2010-01-01.json").read_text()
    )
    universe = load_universe()
    bar = dict.fromkeys(("open", "high", "low", "close", *SUMMED), 1)
    bars = pl.DataFrame([{"open_time": row[0], **bar} for row in recorded])

    rows = formats.kline_rows(
        bars,
        symbol=universe.symbol(TradeType.SPOT, "BTCUSDT"),
        interval=Interval.parse("1mo"),
    )

    assert rows["close_time"].to_list() == [row[6] for row in recorded]
