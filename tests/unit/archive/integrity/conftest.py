"""Zips as the exchange publishes them."""

from tests.unit.parse.conftest import archive, csv, header, line, parse

__all__ = ["archive", "csv", "header", "line", "parse"]
