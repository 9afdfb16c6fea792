"""Check zips and CHECKSUMs: each gets an integrity status."""
