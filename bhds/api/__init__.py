"""The exchange's REST API, within one rate limit for the whole machine."""
