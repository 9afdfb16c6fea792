"""A bucket that plans are made of."""

from tests.unit.plan.conftest import bucket

__all__ = ["bucket"]
