"""What Tab offers."""

import polars as pl
import pytest

from bhds.cli import completion


class Context:
    """What Typer hands to a completion: the parameters read so far."""

    def __init__(self, **params):
        self.params = params


def put_symbols(data_dir, market, *names):
    path = data_dir / f"aws_data/{market}/daily/klines/symbols.parquet"
    path.parent.mkdir(parents=True)
    pl.DataFrame({"symbol": names}).write_parquet(path)


@pytest.fixture
def data_dir(tmp_path):
    put_symbols(tmp_path, "um_futures", "BTCUSDT", "BTCUSDC", "ETHUSDT", "币安人生USDT")
    put_symbols(tmp_path, "spot", "BTCEUR")
    return tmp_path


def test_intervals_of_the_archive_are_offered():
    assert completion.intervals("1m") == ["1m", "1mo"]


def test_contract_types_and_frequencies_are_offered():
    assert completion.contract_types("T") == ["TRADIFI_PERPETUAL"]
    assert completion.frequencies("") == ["auto", "monthly", "daily"]


def test_symbols_of_the_market_that_was_typed_are_offered(data_dir):
    context = Context(data_dir=data_dir, trade_type="um_futures", symbols=["BTCUSDC"])

    assert completion.symbols(context, "btc") == ["BTCUSDT"]
    assert completion.symbols(context, "币") == ["币安人生USDT"]


def test_symbols_of_all_markets_are_offered_where_none_was_typed(data_dir):
    found = completion.symbols(Context(data_dir=data_dir), "BTC")

    assert found == ["BTCEUR", "BTCUSDC", "BTCUSDT"]


def test_without_a_data_directory_nothing_is_offered(tmp_path):
    assert completion.symbols(Context(data_dir=tmp_path / "none"), "") == []


def test_a_broken_listing_offers_nothing(tmp_path):
    put_symbols(tmp_path, "spot", "BTCEUR")
    next(tmp_path.rglob("symbols.parquet")).write_bytes(b"PAR1 is not all of it")

    assert completion.symbols(Context(data_dir=tmp_path), "") == []
