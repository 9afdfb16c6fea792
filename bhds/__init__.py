"""BHDS: clean, complete, verified market data from Binance's public archive."""

__version__ = "0.1.0"
