"""The part of the bucket that one listing covers."""

import pytest

from bhds.archive.listing.directory import Directory
from bhds.core.errors import KeyGrammarError
from bhds.core.markets import Frequency, TradeType

UM_KLINES = Directory(TradeType.UM_FUTURES, Frequency.MONTHLY, "klines", "1m")
FUNDING = Directory(TradeType.UM_FUTURES, Frequency.MONTHLY, "fundingRate")


def test_a_directory_knows_its_paths():
    assert UM_KLINES.prefix == "data/futures/um/monthly/klines/"
    assert UM_KLINES.symbol_prefix("BTCUSDT") == f"{UM_KLINES.prefix}BTCUSDT/1m/"
    assert UM_KLINES.listing_path == (
        "aws_data/um_futures/monthly/klines/listing-1m.parquet"
    )
    assert (
        UM_KLINES.symbols_path == "aws_data/um_futures/monthly/klines/symbols.parquet"
    )
    assert FUNDING.symbol_prefix("BTCUSDT") == f"{FUNDING.prefix}BTCUSDT/"
    assert FUNDING.listing_path == (
        "aws_data/um_futures/monthly/fundingRate/listing.parquet"
    )


@pytest.mark.parametrize(
    ("data_type", "interval"), [("klines", None), ("klines", "7m"), ("trades", "1m")]
)
def test_a_directory_without_its_interval_is_refused(data_type, interval):
    with pytest.raises(KeyGrammarError, match="interval"):
        Directory(TradeType.SPOT, Frequency.DAILY, data_type, interval)
