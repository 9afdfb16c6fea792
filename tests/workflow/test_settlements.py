"""A contract that was settled, and whose name another has: cut in every output."""

import calendar
import datetime as dt
from dataclasses import asdict

import polars as pl
import pytest

import bhds
from bhds.sandbox.exchange import Exchange
from bhds.sandbox.server import serving

from .test_genuine import zip_with_checksum

pytestmark = pytest.mark.workflow

HOUR = dt.timedelta(hours=1)
MONTHS = [(2025, 1), (2025, 2), (2025, 11), (2025, 12)]
SETTLED = dt.datetime(2025, 1, 31, 9, tzinfo=dt.UTC)
AGAIN = dt.datetime(2025, 12, 23, 17, tzinfo=dt.UTC)
"""The hour in which LITUSDT was listed again (binance/binance-public-data#495)."""


def publish_lit(folder):
    """Publish hours of LITUSDT, flat after the settlement, and funding that goes on."""
    for year, month in MONTHS:
        first = dt.datetime(year, month, 1, tzinfo=dt.UTC)
        hours = [
            first + n * HOUR for n in range(24 * calendar.monthrange(year, month)[1])
        ]
        bars = [bar(hour) for hour in hours]
        events = [f"{ms(hour)},8,0.0001" for hour in hours[::8]]
        for data_type, tag, lines in (
            ("klines", "1h", bars),
            ("fundingRate", "fundingRate", events),
        ):
            stem = f"LITUSDT-{tag}-{year}-{month:02}"
            inner = "LITUSDT/1h" if tag == "1h" else "LITUSDT"
            zip_with_checksum(
                folder / f"data/futures/um/monthly/{data_type}/{inner}/{stem}.zip",
                f"{stem}.csv",
                "".join(f"{line}\n" for line in lines),
            )


def ms(time):
    return int(time.timestamp()) * 1000


def bar(hour):
    trades = 0 if SETTLED <= hour < AGAIN else 5
    price = 0.7 if hour < AGAIN else 2.5
    volumes = (10 * trades, ms(hour + HOUR) - 1, 10 * trades * price, trades)
    values = (ms(hour), *[price] * 4, *volumes, 5 * trades, 5 * trades * price, 0)
    return ",".join(map(str, values))


def test_nothing_between_settlement_and_listing_is_in_any_output(
    tmp_path, new_workspace
):
    publish_lit(tmp_path / "bucket")
    with (
        Exchange(serve_dir=tmp_path / "bucket") as exchange,
        serving(exchange) as running,
    ):
        settings = {
            "endpoints": asdict(running.endpoints),
            "as_of": "2025-12-31",
            "api": {"enabled": False},
            "datasets": [
                {
                    "trade_type": "um_futures",
                    "interval": "1h",
                    "symbols": ["LITUSDT"],
                    "results": {"resample": [{"interval": "1d"}]},
                }
            ],
        }
        workspace = new_workspace(tmp_path, settings)
        workspace.build("results_all", "quality_all")

    where = {"symbols": "LITUSDT", "data_dir": workspace.data}
    bars = bhds.scan_klines("um_futures", "1h", strict=True, **where).collect()
    ends = bars.group_by("segment", maintain_order=True).agg(
        pl.col("open_time").first(), last=pl.col("open_time").last()
    )
    last = dt.datetime(2025, 12, 31, 23, tzinfo=dt.UTC)
    assert ends.rows() == [
        (0, dt.datetime(2025, 1, 1, tzinfo=dt.UTC), SETTLED - HOUR),
        (1, AGAIN, last),
    ]
    events = bhds.scan_funding("um_futures", **where).collect()["funding_time"]
    assert events.filter(events.is_between(SETTLED, AGAIN)).is_empty()
    assert len(events) == 30 * 3 + 2 + 8 * 3
    assert bhds.gaps("um_futures", "1h", **where).collect()["class"].to_list() == [
        "relisting"
    ]
    days = bhds.condition("um_futures", interval="1h", **where).collect()
    listed = days.filter(condition="available")["day"]
    assert len(listed) == len(days) - 325
    assert set(days.filter(~pl.col("day").is_in(listed.implode()))["condition"]) == {
        "not_listed"
    }
