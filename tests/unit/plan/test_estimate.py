"""Requests to the API, and time, by the days that the archive lacks."""

import datetime as dt

import polars as pl
import pytest

from bhds import config
from bhds.io import storage
from bhds.plan import estimate
from bhds.plan.backfills import Backfill
from bhds.plan.dataset import PlannedDataset

DAY = dt.date
AS_OF = DAY(2025, 3, 9)
ONE_DAY = dt.timedelta(days=1)


def dataset_of(**fields):
    raw = {"datasets": [{"trade_type": "um_futures", **fields}]}
    return config.load(raw, environment={}).datasets[0]


def zips(*spans):
    """One row a zip: symbol, first and last day."""
    columns = {"symbol": pl.String, "first_day": pl.Date, "last_day": pl.Date}
    return pl.DataFrame(spans, schema=columns, orient="row").with_columns(
        partition=pl.lit("2025"),
        is_checksum=pl.lit(value=False),
        size=pl.lit(0, pl.Int64),
        due=pl.lit(None, pl.String),
    )


@pytest.fixture
def requests(tmp_path):
    def count(
        *spans, last_day=AS_OF, has_api=True, backfills=None, filled=None, **fields
    ):
        return estimate.estimate(
            dataset_of(**fields),
            zips(*spans),
            data_dir=tmp_path,
            last_day=last_day,
            has_api=has_api,
            backfills=backfills,
            filled=filled,
        ).api_requests

    return count


def hole(days):
    """Return zips that are whole but for `days` days, and reach the last day."""
    return [
        ("A", DAY(2020, 1, 1), DAY(2020, 1, 1)),
        ("A", DAY(2020, 1, 2) + dt.timedelta(days=days), AS_OF),
    ]


@pytest.mark.parametrize(
    ("fields", "days", "expected"),
    [
        pytest.param({}, 1, 3, id="um: 1440 bars, 499 a page"),
        pytest.param({}, 3, 9, id="um: 4320 bars"),
        pytest.param({"trade_type": "spot"}, 1, 2, id="spot: 1000 a page"),
        pytest.param({"trade_type": "spot", "interval": "1s"}, 1, 87, id="seconds"),
        pytest.param({"interval": "1d"}, 499, 1, id="um: a full page of days"),
        pytest.param({"interval": "1d"}, 500, 2, id="um: a day more"),
        pytest.param(
            {"trade_type": "cm_futures", "interval": "1d"}, 300, 2, id="cm: 200 days"
        ),
        pytest.param(
            {"trade_type": "cm_futures", "interval": "1h"}, 1, 1, id="cm: bars bind"
        ),
        pytest.param({"interval": "1mo"}, 31, 1, id="months"),
        pytest.param({"data_type": "markPriceKlines"}, 1, 3, id="mark price"),
        pytest.param({"data_type": "fundingRate"}, 41, 1, id="funding: a page"),
        pytest.param({"data_type": "fundingRate"}, 42, 2, id="funding: two pages"),
        pytest.param({"data_type": "metrics"}, 31, 0, id="metrics have no history"),
        pytest.param({"data_type": "aggTrades"}, 31, 0, id="trades neither"),
    ],
)
def test_days_without_a_zip_are_asked_for_in_pages(requests, fields, days, expected):
    assert requests(*hole(days), **fields) == expected


def test_each_run_of_days_is_asked_for_by_itself(requests):
    spans = [
        ("A", DAY(2025, 1, 1), DAY(2025, 1, 1)),
        ("A", DAY(2025, 1, 3), DAY(2025, 1, 3)),
        ("A", DAY(2025, 1, 5), AS_OF),
        ("B", DAY(2025, 2, 1), AS_OF),
    ]

    assert requests(*spans, interval="1d") == 2


def test_a_day_covered_by_month_and_day_is_no_hole(requests):
    spans = [
        ("A", DAY(2025, 1, 1), DAY(2025, 1, 31)),
        ("A", DAY(2025, 1, 5), DAY(2025, 1, 5)),
        ("A", DAY(2025, 2, 1), AS_OF),
    ]

    assert requests(*spans) == 0


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        pytest.param(AS_OF, 0, id="up to date"),
        pytest.param(DAY(2025, 3, 8), 3, id="a day behind"),
        pytest.param(DAY(2025, 2, 6), 90, id="a month behind"),
        pytest.param(DAY(2025, 2, 5), 1, id="more than a month behind: delisted"),
        pytest.param(DAY(2021, 5, 1), 1, id="years behind: delisted"),
    ],
)
def test_days_after_the_last_are_asked_for_unless_the_symbol_has_ended(
    requests, end, expected
):
    spans = [
        ("A", DAY(2021, 1, 1), end),
        ("OTHER", DAY(2021, 1, 1), AS_OF),
    ]

    assert requests(*spans) == expected


def test_a_symbol_alone_is_delisted_when_no_file_comes_that_late(requests):
    assert requests(("A", DAY(2021, 1, 1), DAY(2025, 1, 5))) == 1
    assert requests(("A", DAY(2021, 1, 1), DAY(2025, 1, 6))) == 179


def test_all_months_of_funding_are_behind_together(requests):
    spans = [(symbol, DAY(2025, 1, 1), DAY(2025, 2, 28)) for symbol in "AB"]

    assert requests(*spans, data_type="fundingRate") == 2


def test_an_api_that_is_not_enabled_is_asked_for_nothing(requests):
    assert requests(*hole(5), has_api=False) == 0


def test_without_zips_the_days_of_the_fills_are_asked_for(requests):
    fills = {
        symbol: Backfill(first_day=first, last_day=AS_OF, is_first=False)
        for symbol, first in (("A", DAY(2025, 3, 9)), ("B", DAY(2025, 3, 8)))
    }
    zips_of_a = ("A", DAY(2025, 1, 1), AS_OF)

    assert requests() == 0
    assert requests(backfills=fills) == 3 + 6
    assert requests(zips_of_a, backfills=fills) == 6
    assert requests(backfills=fills, filled={"B": AS_OF}) == 3
    assert requests(backfills=fills, has_api=False) == 0


@pytest.mark.parametrize(
    ("fields", "seconds"),
    [
        pytest.param({"trade_type": "spot"}, 2 / 50, id="spot: 6000 weight a minute"),
        pytest.param({}, 3 / 20, id="um: 2400 weight a minute"),
        pytest.param({"data_type": "fundingRate"}, 0.6, id="500 in 5 minutes"),
    ],
)
def test_requests_take_the_time_that_their_limits_ask_for(tmp_path, fields, seconds):
    found = estimate.estimate(
        dataset_of(**fields),
        zips(*hole(1)),
        data_dir=tmp_path,
        last_day=AS_OF,
        has_api=True,
    )

    assert found.api_seconds == pytest.approx(seconds)


def test_jobs_and_their_time_and_blocks_are_counted(tmp_path):
    funding = Backfill(DAY(2025, 1, 1), AS_OF, is_first=False)
    files = zips(("A", DAY(2025, 1, 1), AS_OF), ("B", DAY(2025, 1, 1), AS_OF))
    due = files.with_columns(size=pl.lit(3000), due=pl.lit("missing"))

    found = estimate.estimate(
        dataset_of(data_type="fundingRate"),
        due,
        data_dir=tmp_path,
        last_day=AS_OF,
        has_api=True,
        backfills={"A": funding},
        block_bytes=4096,
    )

    # Two partitions, a backfill, and the funding of both symbols.
    assert found.jobs == 2 + 1 + 2
    assert found.cpu_seconds == pytest.approx(5 * 0.8 + 2 * 3000 * 0.03e-6)
    whole = (1 + 1) + (2 + 7)  # of a zip, and of a partition of 8,000 bytes
    used = 2 * (3000 + 8000)
    assert found.overhead_bytes == (2 * whole + 6) * 4096 - used


@pytest.mark.parametrize(
    ("filled", "expected"),
    [
        pytest.param({}, 3 + 6, id="nothing"),
        pytest.param({"A": AS_OF - ONE_DAY}, 3, id="all but the last day"),
        pytest.param({"A": AS_OF}, 0, id="all"),
        pytest.param({"B": AS_OF}, 3 + 6, id="another symbol"),
    ],
)
def test_what_was_filled_is_not_asked_for_again(requests, filled, expected):
    spans = [
        ("A", DAY(2024, 1, 1), DAY(2024, 6, 1)),
        ("A", DAY(2024, 6, 3), AS_OF - 2 * ONE_DAY),
    ]

    assert requests(*spans, filled=filled) == expected


def test_until_when_a_symbol_is_filled_is_read_from_its_fill(tmp_path):
    fill = Backfill(DAY(2024, 1, 1), AS_OF, is_first=True)
    planned = PlannedDataset(
        dataset_of(), ("A", "B"), zips(), backfills={"A": fill, "B": fill}
    )
    path = tmp_path / "api_data/um_futures/klines/A/1m/all.parquet"
    metadata = {"as_of": "2025-03-08"}
    storage.write_parquet(pl.DataFrame({"x": [1]}), path, metadata=metadata)

    found = estimate.backfilled_until(planned, data_dir=tmp_path)

    assert found == {"A": DAY(2025, 3, 8)}


def test_the_first_row_of_a_history_takes_a_request(requests):
    first = Backfill(DAY(2025, 1, 1), AS_OF, is_first=True)
    fills = {"A": first, "B": first, "C": first._replace(is_first=False)}
    zips = [(symbol, DAY(2025, 1, 1), AS_OF) for symbol in fills]

    assert requests(*zips, backfills=fills) == 2
    assert requests(*zips, backfills={"A": first}, filled={"A": AS_OF}) == 0
