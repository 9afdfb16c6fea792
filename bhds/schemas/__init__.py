"""The tables and archive formats: columns, dtypes, units, meanings, keys."""
