"""The version of BHDS."""

__version__ = "0.1.0"
