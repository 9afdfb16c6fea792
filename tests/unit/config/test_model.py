"""Settings: what is accepted, and how a mistake is told."""

import datetime as dt
import re
from pathlib import Path

import pytest
import yaml

from bhds import config
from bhds.core.errors import ConfigError
from bhds.core.markets import TradeType

ROOT = Path(__file__).parents[3]
SHIPPED = ROOT / "config" / "config.yaml"


def settings_of(**changes):
    raw = {"datasets": [{"trade_type": "um_futures"}], **changes}
    return config.load(raw, environment={})


def dataset_of(**changes):
    return settings_of(datasets=[{"trade_type": "um_futures", **changes}]).datasets[0]


def keys_of(value):
    if isinstance(value, dict):
        return {key: keys_of(inner) for key, inner in value.items()}
    return None


def test_shipped_config_is_valid_and_selects_usdt_perpetuals():
    settings = config.load(yaml.safe_load(SHIPPED.read_text()), environment={})

    (dataset,) = settings.datasets
    assert dataset.trade_type is TradeType.UM_FUTURES
    assert dataset.symbols.quote == ["USDT"]
    assert [rule.rule.name for rule in dataset.results.resample] == [
        "1h",
        "1h_5m",
        "1d",
    ]


def test_shipped_config_names_every_key():
    shipped = yaml.safe_load(SHIPPED.read_text())
    everything = settings_of().model_dump(mode="json")

    del everything["datasets"][0]["symbols"]
    symbols = shipped["datasets"][0].pop("symbols")
    assert keys_of(shipped) == keys_of(everything)
    assert set(symbols) == set(config.SymbolFilter.model_fields)


def test_shipped_config_states_the_defaults_outside_the_datasets():
    shipped = yaml.safe_load(SHIPPED.read_text())
    defaults = settings_of().model_dump(mode="json")

    del shipped["datasets"], defaults["datasets"]
    defaults["data_dir"] = None  # resolved from the environment
    assert shipped == defaults


def test_load_refuses_rules_that_the_base_interval_does_not_divide():
    with pytest.raises(ConfigError, match=r"'1h'.*multiples of 8h"):
        dataset_of(interval="8h", results={"resample": [{"interval": "1h"}]})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param(
            {"interval": "1s"},
            "interval '1s' of klines is not published for um_futures; expected one "
            "of 1m, 3m",
            id="seconds of futures",
        ),
        pytest.param(
            {"trade_type": "spot", "interval": "3d", "frequency": "daily"},
            "spot klines 3d has no daily files; set frequency: auto",
            id="frequency",
        ),
        pytest.param(
            {"trade_type": "spot", "data_type": "metrics"},
            "metrics is not published for spot, only for um_futures, cm_futures",
            id="market",
        ),
        pytest.param(
            {"data_type": "aggTrade"}, "did you mean 'aggTrades'?", id="misspelt"
        ),
        pytest.param(
            {"data_type": "metrics", "interval": "5m"},
            "metrics has no intervals; remove it",
            id="interval of none",
        ),
        pytest.param(
            {"trade_type": "option", "data_type": "BVOLIndex", "raw": "discard"},
            "BVOLIndex is not parsed, only downloaded; set raw: keep",
            id="zips alone discarded",
        ),
        pytest.param(
            {"data_type": "trades", "results": {"vwap": False}},
            "results: only klines become results, not trades; remove it",
            id="results of trades",
        ),
    ],
)
def test_load_refuses_a_dataset_that_is_not_published(change, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        dataset_of(**change)


@pytest.mark.parametrize(
    ("change", "interval"),
    [
        pytest.param({}, "1m", id="klines"),
        pytest.param({"data_type": "markPriceKlines"}, "1m", id="mark price"),
        pytest.param({"data_type": "fundingRate"}, None, id="no intervals"),
        pytest.param({"trade_type": "spot", "interval": "1s"}, "1s", id="given"),
    ],
)
def test_the_interval_defaults_to_that_of_the_type_of_data(change, interval):
    assert dataset_of(**change).interval == interval


def test_files_come_from_the_feeds_that_the_market_has():
    feeds = dataset_of(data_type="fundingRate").feeds

    assert [feed.frequency for feed in feeds] == ["monthly"]


@pytest.mark.parametrize(
    ("change", "ended"),
    [
        ({"data_type": "liquidationSnapshot"}, dt.date(2024, 3, 31)),
        (
            {"data_type": "bookTicker", "trade_type": "cm_futures"},
            dt.date(2024, 10, 14),
        ),
        ({"data_type": "bookDepth", "trade_type": "cm_futures"}, None),
        ({}, None),
    ],
)
def test_a_feed_may_have_ended(change, ended):
    assert dataset_of(**change).ended == ended


@pytest.mark.parametrize(
    ("bounds", "expected"),
    [
        pytest.param({}, (None, "2025-03-09"), id="none"),
        pytest.param(
            {"start": "2025-01-15", "end": "2025-02-10"},
            ("2025-01-15", "2025-02-10"),
            id="days",
        ),
        pytest.param({"end": "2025-03-20"}, (None, "2025-03-09"), id="after as_of"),
        pytest.param({"start": "9d"}, ("2025-02-01", "2025-03-09"), id="same month"),
        pytest.param({"start": "8d"}, ("2025-03-01", "2025-03-09"), id="next month"),
        pytest.param({"end": "7d"}, (None, "2025-03-02"), id="end before as_of"),
    ],
)
def test_days_may_be_relative_to_as_of(bounds, expected):
    dataset, as_of = dataset_of(**bounds), dt.date(2025, 3, 9)

    first, last = dataset.first_day(as_of), dataset.last_day(as_of)

    assert (first and str(first), str(last)) == expected


def test_a_dataset_alone_starts_before_its_end():
    days = {"start": dt.date(2025, 1, 2), "end": dt.date(2025, 1, 1)}
    raw = {"trade_type": "um_futures", **days}

    with pytest.raises(ConfigError, match="option: 2025-01-02 is after end, 2025"):
        config.validated(config.Dataset, raw, where="option")


def test_symbols_may_be_a_list_of_names():
    assert dataset_of(symbols=["BTCUSDT", "币安人生USDT"]).symbols == [
        "BTCUSDT",
        "币安人生USDT",
    ]


def test_the_host_of_an_endpoint_is_read_in_small_letters():
    raw = {"endpoints": {"archive_download": "https://Data.Binance.VISION:443/A/"}}

    endpoints = settings_of(**raw).endpoints

    assert endpoints.archive_download == "https://data.binance.vision:443/A"


def test_data_dir_is_below_the_working_directory_by_default():
    raw = {"datasets": [{"trade_type": "spot"}], "data_dir": None}

    assert config.load(raw, environment={}).data_dir == Path("binance_data")


def test_data_dir_comes_from_the_environment_when_null(tmp_path):
    raw = {"datasets": [{"trade_type": "spot"}], "data_dir": None}
    environment = {"CRYPTO_BASE_DIR": str(tmp_path)}

    settings = config.load(raw, environment=environment)

    assert settings.data_dir == tmp_path / "binance_data"


def test_configured_values_win_over_the_environment():
    raw = {
        "datasets": [{"trade_type": "spot"}],
        "data_dir": "here",
        "http": {"proxy": "http://configured:1"},
    }
    environment = {"CRYPTO_BASE_DIR": "/srv", "HTTPS_PROXY": "http://environment:2"}

    settings = config.load(raw, environment=environment)

    assert settings.data_dir == Path("here")
    assert settings.http.proxy == "http://configured:1"


def test_proxy_of_the_environment_prefers_https():
    environment = {"HTTP_PROXY": "http://a:1", "HTTPS_PROXY": "http://b:2"}
    raw = {"datasets": [{"trade_type": "spot"}]}

    assert config.load(raw, environment=environment).http.proxy == "http://b:2"


def test_last_day_is_yesterday_in_utc_or_the_date_given():
    now = dt.datetime(2025, 3, 1, 0, 5, tzinfo=dt.UTC)

    assert settings_of().last_day(now) == dt.date(2025, 2, 28)
    assert settings_of(as_of="2024-12-31").last_day(now) == dt.date(2024, 12, 31)
    assert settings_of(as_of=dt.date(2024, 12, 31)).last_day(now) == dt.date(
        2024, 12, 31
    )


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        pytest.param("https://data.binance.vision", "http://proxy:1", id="internet"),
        pytest.param("http://127.0.0.1:8080/archive", None, id="address"),
        pytest.param("http://localhost:8080", None, id="name"),
        pytest.param("http://[::1]:8080", None, id="IPv6"),
    ],
)
def test_loopback_is_never_reached_through_the_proxy(url, expected):
    http = settings_of(http={"proxy": "http://proxy:1"}).http

    assert http.proxy_for(url) == expected


def test_offsets_are_named_in_their_normal_form():
    rules = [{"interval": "4h", "offset": "60m"}]

    assert dataset_of(results={"resample": rules}).rule_names == ("4h_1h",)


@pytest.mark.parametrize(
    "rules",
    [
        pytest.param([{"interval": "1h"}, {"interval": "1h"}], id="equal"),
        pytest.param([{"interval": "60m"}, {"interval": "1h"}], id="alike"),
        pytest.param(
            [{"interval": "4h", "offset": offset} for offset in ("60m", "1h")],
            id="offset alike",
        ),
    ],
)
def test_load_refuses_rules_that_make_the_same_bars(rules):
    with pytest.raises(ConfigError, match="make the same bars"):
        dataset_of(results={"resample": rules})


def test_data_dir_may_begin_with_the_home_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))

    assert settings_of(data_dir="~/data").data_dir == tmp_path / "data"


def test_data_dir_that_cannot_be_written_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("os.access", lambda *_: False)  # root may write anywhere

    with pytest.raises(ConfigError, match=r"^data_dir: .*cannot be written to"):
        settings_of(data_dir=str(tmp_path))
