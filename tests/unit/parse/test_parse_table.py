"""Tables of every data type but klines, whose own rules test_bars.py tests."""

import datetime as dt
import hashlib
import json

import polars as pl
import pytest

from bhds.core.errors import ConfigError
from bhds.core.markets import TradeType
from bhds.schemas.datatypes import DATA_TYPES

from .conftest import only, utc

SPOT, UM, CM = TradeType.SPOT, TradeType.UM_FUTURES, TradeType.CM_FUTURES

FUNDING = "calc_time,funding_interval_hours,last_funding_rate\n"
LIQUIDATIONS = (
    "time,side,order_type,time_in_force,original_quantity,price,average_price,"
    "order_status,last_fill_quantity,accumulated_fill_quantity\n"
)
METRICS = (
    "create_time,symbol,sum_open_interest,sum_open_interest_value,"
    "count_toptrader_long_short_ratio,sum_toptrader_long_short_ratio,"
    "count_long_short_ratio,sum_taker_long_short_vol_ratio\n"
)


def event(text, *, hours=8, rate="0.00010000"):
    """Return a line of a funding CSV; `text` is a time with its jitter."""
    return f"{round(utc(text).timestamp() * 1000)},{hours},{rate}\n"


def liquidation(text, *, side="BUY", price="42000.1"):
    time = round(utc(text).timestamp() * 1000)
    return f"{time},{side},LIMIT,IOC,0.014,{price},41990.5,FILLED,0.004,0.014\n"


def metric(label, *, symbol="BTCUSDT", interest="100.50000000", ratios=("1.5",) * 4):
    return f"{label},{symbol},{interest},4200000.00,{','.join(ratios)}\n"


@pytest.fixture
def funding(archive, parse):
    """Return a function that parses events of 2024-01 of um BTCUSDT."""

    def run(*lines, **series):
        source = archive("BTCUSDT-fundingRate-2024-01", FUNDING + "".join(lines))
        return parse(source, trade_type=UM, data_type="fundingRate", **series)

    return run


@pytest.fixture
def liquidations(archive, parse):
    """Return a function that parses liquidations of 2024-01-02 of cm BTCUSD_PERP."""

    def run(*lines):
        name = "BTCUSD_PERP-liquidationSnapshot-2024-01-02"
        source = archive(name, LIQUIDATIONS + "".join(lines))
        series = {"data_type": "liquidationSnapshot", "symbol": "BTCUSD_PERP"}
        return parse(source, trade_type=CM, **series)

    return run


@pytest.fixture
def metrics(archive, parse):
    """Return a function that parses metrics of BTCUSDT, given as lines by day."""

    def run(days, *, trade_type=UM, partition="2024", **series):
        sources = [
            archive(f"BTCUSDT-metrics-{day}", METRICS + "".join(lines))
            for day, lines in days.items()
        ]
        series |= {"data_type": "metrics", "partition": partition}
        return parse(*sources, trade_type=trade_type, **series)

    return run


def refusal(partition):
    """Return why the only zip was refused, after checking that it was."""
    record = only(partition)
    assert (record["integrity_status"], record["rows_read"]) == ("corrupt", 0)
    assert record["time_unit"] is None
    assert partition.frame.is_empty()
    return record["reason"]


# The series itself


@pytest.mark.parametrize(
    ("data_type", "trade_type", "interval", "message"),
    [
        ("BVOLIndex", TradeType.OPTION, None, "is only downloaded and verified"),
        ("fundingrate", UM, None, "did you mean 'fundingRate'"),
        ("metrics", SPOT, None, "metrics of spot: the archive has none; use one of um"),
        ("metrics", UM, "5m", "interval 5m: the archive has none such of um.*none"),
        ("klines", UM, None, "interval None: .* expected 1m, 3m"),
        ("klines", UM, "1s", "interval 1s: .* expected 1m, 3m"),
        ("markPriceKlines", SPOT, "1m", "markPriceKlines of spot: the archive has"),
    ],
)
def test_series_that_is_not_published_is_an_error(
    parse, data_type, trade_type, interval, message
):
    with pytest.raises(ConfigError, match=message):
        parse(data_type=data_type, trade_type=trade_type, interval=interval)


@pytest.mark.parametrize(
    ("data_type", "trade_type", "interval"),
    [
        pytest.param(name, market, "1h" if entry.has_intervals else None)
        for name, entry in DATA_TYPES.items()
        for market in entry.trade_types
        if entry.table
    ],
)
def test_partition_without_zips_has_the_columns_of_the_table(
    parse, data_type, trade_type, interval
):
    partition = parse(data_type=data_type, trade_type=trade_type, interval=interval)

    assert partition.frame.schema == DATA_TYPES[data_type].table(trade_type).schema
    assert partition.frame.is_empty()
    assert {
        name: partition.sources[name]
        for name in ("schema", "revision", "data_type", "interval", "rows")
    } == {
        "schema": 5,
        "revision": DATA_TYPES[data_type].revision,
        "data_type": data_type,
        "interval": interval,
        "rows": 0,
    }


# Bars of a price


@pytest.mark.parametrize(
    ("data_type", "series"),
    [
        ("markPriceKlines", {"trade_type": UM}),
        ("indexPriceKlines", {"trade_type": CM, "symbol": "BTCUSD"}),
        ("premiumIndexKlines", {"trade_type": CM, "symbol": "BTCUSD_PERP"}),
    ],
)
def test_bars_of_a_price_have_no_volumes(archive, parse, csv, data_type, series):
    name = f"{series.get('symbol', 'BTCUSDT')}-1m-2024-01-02"
    source = archive(name, csv("2024-01-02", 3, header=True))

    partition = parse(source, data_type=data_type, **series)

    assert partition.frame.columns == [
        *("open_time", "open", "high", "low", "close", "close_time", "source")
    ]
    assert partition.frame.row(1) == (
        *(utc("2024-01-02T00:01"), 101.0, 102.0, 100.0, 101.5),
        *(utc("2024-01-02T00:01:59.999"), "daily"),
    )
    assert only(partition)["off_grid"] == 0
    assert partition.sources["days"] == [
        {"day": "2024-01-02", "expected": 1440, "present": 3, "daily": 3}
    ]


def test_premium_may_be_negative_or_zero(archive, parse):
    line = "1704153600000,-0.0003,0,-0.00041,0.00000000,0,1704153659999,0,12,0,0,0\n"

    partition = parse(
        archive("BTCUSDT-1m-2024-01-02", line),
        data_type="premiumIndexKlines",
        trade_type=UM,
    )

    assert partition.frame.row(0)[1:5] == (-0.0003, 0.0, -0.00041, 0.0)


# Funding


def test_funding_time_is_the_minute_that_the_event_was_due(funding):
    partition = funding(
        event("2024-01-01T00:00:00.004"),
        event("2024-01-01T08:00", hours=4, rate="-0.00003449"),
        event("2024-01-01T11:59:59.990", hours=1),
    )

    assert partition.frame.rows() == [
        (
            *(utc("2024-01-01T00:00"), utc("2024-01-01T00:00:00.004")),
            *(8, 0.0001, None, None, "monthly"),
        ),
        (
            *(utc("2024-01-01T08:00"), utc("2024-01-01T08:00")),
            *(4, -0.00003449, None, None, "monthly"),
        ),
        (
            *(utc("2024-01-01T12:00"), utc("2024-01-01T11:59:59.990")),
            *(1, 0.0001, None, None, "monthly"),
        ),
    ]
    assert partition.frame.schema["funding_interval_hours"] == pl.Int8
    record = only(partition)
    assert (record["time_unit"], record["off_grid"]) == ("ms", None)
    assert "blanks" not in record
    assert record["last_time"] == "2024-01-01T12:00:00+00:00"


def test_event_that_is_due_after_its_month_stays_in_it(archive, parse):
    source = archive(
        "BTCUSDT-fundingRate-2024-12", FUNDING + event("2024-12-31T23:59:59.995")
    )

    partition = parse(source, trade_type=UM, data_type="fundingRate")

    assert partition.frame["funding_time"].to_list() == [utc("2025-01-01")]
    assert only(partition)["rows_kept"] == 1


def test_identical_events_are_duplicates_and_others_of_one_minute_are_kept(funding):
    partition = funding(
        event("2024-01-18T00:00"),
        event("2024-01-18T00:00"),
        event("2024-01-18T08:00:00.009", rate="-0.2"),
        event("2024-01-18T08:00:00.001", rate="0.1"),
        event("2024-01-18T16:00", rate="0.3"),
        event("2024-01-18T16:00", rate="0.4"),
    )

    record = only(partition)
    assert (record["duplicates"], record["conflicts"]) == (1, 0)
    assert partition.frame["funding_rate"].to_list() == [0.0001, 0.1, -0.2, 0.3, 0.4]


def test_event_that_two_zips_have_with_other_values_is_a_conflict(archive, parse):
    rates = {"2026-06-18": "0.1", "2026-06": "0.2"}
    files = [
        archive(
            f"BTCUSDT-fundingRate-{period}",
            FUNDING + event("2026-06-18T08:00", rate=rate),
        )
        for period, rate in rates.items()
    ]

    partition = parse(*files, trade_type=UM, data_type="fundingRate", partition="2026")

    assert partition.frame["funding_rate"].to_list() == [0.1]
    (listed,) = partition.sources["conflicts"]["listed"]
    values = {
        "calc_time": "2026-06-18T08:00:00+00:00",
        "funding_interval_hours": 8,
        "rate_type": None,
        "mark_price": None,
    }
    (monthly, daily) = (each["key"] for each in partition.sources["inputs"])
    assert listed == {
        "funding_time": "2026-06-18T08:00:00+00:00",
        "kept": values | {"key": daily, "funding_rate": 0.1},
        "dropped": values | {"key": monthly, "funding_rate": 0.2},
    }
    assert json.loads(json.dumps(listed)) == listed


@pytest.mark.parametrize("name", ["rate_type", "rateType"])
def test_type_of_a_rate_is_read_where_a_file_has_it(archive, parse, name):
    lines = [
        event(f"2026-06-18T0{hour}:00").replace("\n", f",{text}\n")
        for hour, text in enumerate(
            ["Regular", "Special", "", "Newer", "Newer", "Regular", "Newest"]
        )
    ]
    header = FUNDING.replace("\n", f",{name}\n")
    file = archive("BTCUSDT-fundingRate-2026-06", header + "".join(lines))

    partition = parse(file, trade_type=UM, data_type="fundingRate", partition="2026")

    assert only(partition)["warnings"] == [
        "rate_type 'Newer' is no known word",
        "rate_type 'Newest' is no known word",
    ]
    types = partition.frame["rate_type"].to_list()
    assert types == ["Regular", "Special", None, None, None, "Regular", None]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (
            event("2024-01-02", hours=128),
            "line 3: funding_interval_hours 128: expected a whole number of type Int8",
        ),
        (event("2024-01-02", hours=""), "line 3: funding_interval_hours ''"),
        (event("2024-01-02", rate=""), "line 3: funding_rate '': expected a finite"),
        (event("2024-02-01"), "line 3: calc_time 1706745600000 is 2024-02-01"),
    ],
)
def test_event_that_cannot_be_is_named(funding, bad, reason):
    assert refusal(funding(event("2024-01-01"), bad)).startswith(reason)


# Liquidations


def test_pairs_of_identical_liquidations_are_collapsed(liquidations):
    partition = liquidations(*[liquidation("2024-01-02T10:00")] * 3)

    record = only(partition)
    assert partition.frame.height == record["rows_kept"] == 2
    assert (record["duplicates"], record["conflicts"]) == (1, 0)
    assert partition.sources["conflicts"] == {"count": 0, "listed": []}


def test_liquidations_of_one_time_stay_as_published(liquidations):
    partition = liquidations(
        liquidation("2024-01-02T10:00:05", price="3"),
        liquidation("2024-01-02T10:00:00", price="2"),
        liquidation("2024-01-02T10:00:05", side="SELL", price="3"),
        liquidation("2024-01-02T10:00:00", price="1"),
    )

    assert partition.frame.select("price", "side").rows() == [
        *((2.0, "BUY"), (1.0, "BUY"), (3.0, "BUY"), (3.0, "SELL"))
    ]
    assert partition.frame.row(0, named=True) == {
        "time": utc("2024-01-02T10:00"),
        "side": "BUY",
        "order_type": "LIMIT",
        "time_in_force": "IOC",
        "original_quantity": 0.014,
        "price": 2.0,
        "average_price": 41990.5,
        "order_status": "FILLED",
        "last_fill_quantity": 0.004,
        "accumulated_fill_quantity": 0.014,
    }
    assert only(partition)["out_of_order"] == 2
    assert partition.sources["days"] == [
        {"day": "2024-01-02", "expected": None, "present": 4, "daily": 4}
    ]


def test_side_that_is_neither_is_named(liquidations):
    bad = liquidation("2024-01-02T10:00", side="LONG")

    assert refusal(liquidations(bad)) == "line 2: side 'LONG': expected BUY or SELL"


# Metrics


def starts(partition):
    return partition.frame["create_time"].dt.strftime("%m-%d %H:%M").to_list()


def test_label_of_a_metric_becomes_the_start_of_its_period(metrics):
    days = {
        "2024-05-01": [metric("2024-05-01 00:05:00"), metric("2024-05-02 00:00:00")]
    }

    partition = metrics(days)

    assert partition.frame.select("create_time", "raw_create_time").rows() == [
        (utc("2024-05-01T00:00"), utc("2024-05-01T00:05")),
        (utc("2024-05-01T23:55"), utc("2024-05-02T00:00")),
    ]
    assert partition.frame.row(0)[2:] == (100.5, 4200000.0, 1.5, 1.5, 1.5, 1.5)
    record = only(partition)
    assert (record["time_unit"], record["blanks"], record["off_grid"]) == ("s", 0, None)
    assert partition.sources["days"] == [
        {"day": "2024-05-01", "expected": 288, "present": 2, "daily": 2}
    ]


def test_no_period_is_lost_or_doubled_where_labels_changed(metrics):
    days = {
        "2026-06-24": [metric("2026-06-24 23:55:00"), metric("2026-06-25 00:00:00")],
        "2026-06-25": [metric("2026-06-25 00:00:00"), metric("2026-06-25 00:05:00")],
    }

    partition = metrics(days, partition="2026")

    assert starts(partition) == [
        *("06-24 23:50", "06-24 23:55", "06-25 00:00", "06-25 00:05")
    ]
    assert partition.sources["conflicts"]["count"] == 0


def test_label_that_is_seconds_late_is_of_its_period(metrics):
    days = {
        "2024-05-01": [metric("2024-05-01 01:55:04"), metric("2024-05-01 02:00:00")]
    }

    partition = metrics(days)

    assert starts(partition) == ["05-01 01:50", "05-01 01:55"]
    assert partition.frame["raw_create_time"][0] == utc("2024-05-01T01:55:04")


def test_first_period_of_a_file_may_be_of_the_day_before(metrics):
    days = {
        "2024-01-01": [metric("2024-01-01 00:00:00"), metric("2024-01-01 00:05:00")]
    }

    partition = metrics(days, first_day=dt.date(2024, 1, 1), last_day=None)

    assert partition.frame["create_time"][0] == utc("2023-12-31T23:55")
    assert only(partition)["rows_outside"] == 0
    assert partition.sources["days"] == [
        {"day": "2023-12-31", "expected": None, "present": 1, "daily": 1},
        {"day": "2024-01-01", "expected": 288, "present": 1, "daily": 1},
    ]


def test_days_cut_off_only_what_zips_of_other_days_hold(metrics):
    days = {
        f"2024-01-0{day}": [
            metric(f"2024-01-0{day} 00:0{minute}:00") for minute in "05"
        ]
        for day in (3, 5)
    }

    partition = metrics(
        days, first_day=dt.date(2024, 1, 3), last_day=dt.date(2024, 1, 4)
    )

    assert starts(partition) == ["01-02 23:55", "01-03 00:00", "01-04 23:55"]
    outside = [record["rows_outside"] for record in partition.sources["inputs"]]
    assert outside == [0, 1]


@pytest.mark.parametrize(
    ("interest", "counted"),
    [
        ("100.5", {"duplicates": 1, "conflicts": 0}),
        ("7", {"duplicates": 0, "conflicts": 1}),
    ],
)
def test_of_two_files_with_one_label_the_later_wins(metrics, interest, counted):
    days = {
        "2024-05-01": [metric("2024-05-02 00:00:00", interest=interest)],
        "2024-05-02": [metric("2024-05-02 00:00:00")],
    }

    partition = metrics(days)

    assert partition.frame["sum_open_interest"].to_list() == [100.5]
    first, second = partition.sources["inputs"]
    assert {name: first[name] for name in counted} == counted
    assert second["rows_kept"] == 1


def test_blanks_stay_null_and_are_counted(metrics):
    lines = [
        metric("2024-05-01 00:05:00", ratios=('""',) * 4),
        metric("2024-05-01 00:10:00", ratios=("", "1", "", "2")),
        metric("2024-05-01 00:15:00", interest=""),
    ]

    partition = metrics({"2024-05-01": lines})

    assert only(partition)["blanks"] == 7
    assert [row[2:] for row in partition.frame.rows()] == [
        (100.5, 4200000.0, None, None, None, None),
        (100.5, 4200000.0, None, 1.0, None, 2.0),
        (None, 4200000.0, 1.5, 1.5, 1.5, 1.5),
    ]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (metric("2024-05-01 00:10:00", symbol="ETHUSDT"), "symbol 'ETHUSDT': expected"),
        (metric("2024-05-01 00:10"), "raw_create_time '2024-05-01 00:10': expected a"),
        (metric("2024-05-02 00:05:00"), "raw_create_time 2024-05-02T00:05:00+00:00"),
    ],
)
def test_metric_that_cannot_be_is_named(metrics, bad, reason):
    lines = [metric("2024-05-01 00:05:00"), bad]

    assert refusal(metrics({"2024-05-01": lines})).startswith(f"line 3: {reason}")


# Golden partitions: in each, everything happens that a parser decides on.


def golden_klines(archive, parse, csv, line):
    day = csv("2024-01-02", 1440, header=True)
    files = [
        archive("BTCUSDT-1m-2024-01", csv("2024-01-01", 3000)),
        archive(
            "BTCUSDT-1m-2024-01-01", csv("2024-01-01", 600).replace("12.5", "12.75")
        ),
        archive("BTCUSDT-1m-2024-01-02", day + day.splitlines(keepends=True)[-1]),
        archive("BTCUSDT-1m-2024-01-03", csv("2024-01-03", 60, unit="us")),
        archive("BTCUSDT-1m-2024-01-04", "nonsense"),
        archive("BTCUSDT-1m-2024-01-05", line("2024-01-05T00:00:14"), checksum=""),
        archive("BTCUSDT-1m-2024-02-01", csv("2024-02-01", 9)),
    ]
    return parse(*files, last_day=dt.date(2024, 1, 31))


def golden_prices(archive, parse, csv, data_type):
    monthly = csv("2024-01-01", 2000, header=True).replace(",10", ",-10")
    files = [
        archive("BTCUSDT-1m-2024-01", monthly),
        archive("BTCUSDT-1m-2024-01-02", csv("2024-01-02", 700)),
    ]
    return parse(*files, data_type=data_type, trade_type=UM)


def golden_funding(archive, parse):
    lines = [
        *(event(f"2024-01-{day:02}T08:00:00.0{day:02}") for day in range(1, 31)),
        event("2024-01-30T08:00:00.020", hours=4, rate="-0.5"),
        *[event("2024-01-31T07:59:59.990")] * 2,
    ]
    files = [
        archive("BTCUSDT-fundingRate-2024-01", FUNDING + "".join(reversed(lines))),
        archive("BTCUSDT-fundingRate-2024-02", event("2024-02-01", hours=999)),
        archive(
            "BTCUSDT-fundingRate-2024-03", event("2024-03-01") + event("2024-03-31")
        ),
    ]
    days = {"last_day": dt.date(2024, 3, 30)}
    return parse(*files, trade_type=UM, data_type="fundingRate", **days)


def golden_liquidations(archive, parse):
    line = liquidation("2024-01-02T10:00")
    other = liquidation("2024-01-02T09:00", side="SELL")
    name = "BTCUSDT-liquidationSnapshot-2024-01-0"
    files = [
        archive(f"{name}2", LIQUIDATIONS + line * 3 + other * 2 + line),
        archive(f"{name}3", liquidation("2024-01-03T00:00", side="X")),
        archive(f"{name}4", liquidation("2024-01-04T00:00")),
    ]
    return parse(*files, trade_type=UM, data_type="liquidationSnapshot")


def golden_metrics(archive, parse):
    days = {
        "2026-06-23": [metric(f"2026-06-23 0{hour}:00:02") for hour in (3, 1, 0)],
        "2026-06-24": [
            metric("2026-06-24 23:55:00", ratios=('""', "", "0", "1.5")),
            *[metric("2026-06-25 00:00:00")] * 2,
        ],
        "2026-06-25": [metric("2026-06-25 00:00:00"), metric("2026-06-26 00:00:00")],
        "2026-06-26": [metric("2026-06-26 00:00:00", interest="3")],
        "2026-06-27": [metric("2026-06-27 00:00:00", symbol="ETHUSDT")],
    }
    files = [
        archive(f"BTCUSDT-metrics-{day}", METRICS + "".join(lines))
        for day, lines in days.items()
    ]
    return parse(*files, trade_type=UM, data_type="metrics", partition="2026")


@pytest.fixture
def golden(archive, parse, csv, line):
    """Return a function that parses the golden partition of a data type."""

    def run(data_type):
        match data_type:
            case "klines":
                return golden_klines(archive, parse, csv, line)
            case "fundingRate":
                return golden_funding(archive, parse)
            case "liquidationSnapshot":
                return golden_liquidations(archive, parse)
            case "metrics":
                return golden_metrics(archive, parse)
        return golden_prices(archive, parse, csv, data_type)

    return run


GOLDEN = {
    "klines": {4: "1cd6cd61db9afe60"},
    "markPriceKlines": {5: "a3df46ab592a1fdb"},
    "indexPriceKlines": {5: "a3df46ab592a1fdb"},
    "premiumIndexKlines": {5: "9ba9d060ccbfd5e4"},
    "fundingRate": {4: "ee381d94d30c8006"},
    "liquidationSnapshot": {4: "0ae6e6e340426905"},
    "metrics": {4: "75b1dd96733a2981"},
}


def test_every_table_has_a_golden_partition():
    assert GOLDEN.keys() == {
        name
        for name, entry in DATA_TYPES.items()
        if entry.table and not entry.table(entry.trade_types[0]).is_large
    }


@pytest.mark.parametrize("data_type", GOLDEN)
def test_partition_changes_only_with_the_revision(golden, data_type):
    partition = golden(data_type)

    not_ours = {"size", "sha256", "published_sha256"}  # they come from zlib
    wording = {"reason", "warnings"}
    account = [
        {name: record[name] for name in record.keys() - not_ours - wording}
        for record in partition.sources["inputs"]
    ]
    rest = {name: partition.sources[name] for name in ("conflicts", "days", "rows")}
    text = partition.frame.write_csv() + json.dumps([account, rest], sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()
    assert digest[:16] == GOLDEN[data_type].get(DATA_TYPES[data_type].revision), (
        f"{data_type} zips yield another partition: raise the revision of "
        "bhds.schemas.datatypes and record the new digest"
    )


@pytest.mark.parametrize("data_type", GOLDEN)
def test_same_zips_make_the_same_bytes(golden, data_type, tmp_path):
    paths = [tmp_path / "first.parquet", tmp_path / "second.parquet"]
    for path in paths:
        golden(data_type).frame.write_parquet(path)

    assert paths[0].read_bytes() == paths[1].read_bytes()
    table = DATA_TYPES[data_type].table(UM)
    times = pl.read_parquet(paths[0])[table.time]
    assert times.is_sorted()
    assert times.is_unique().all() or table.events or not table.key
