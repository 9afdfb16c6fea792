"""Backfill: request from the REST API the rows that the archive misses."""
