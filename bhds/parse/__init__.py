"""Parse zips into typed, sorted partitions with unique rows."""
