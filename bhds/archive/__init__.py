"""The exchange's public archive: its listings, downloads and integrity."""
