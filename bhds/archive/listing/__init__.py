"""List the bucket, and keep the listings up to date."""
