"""The exchange's public archive: what it lists, and what was fetched of it."""
