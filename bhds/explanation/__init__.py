"""Explain one bar: which published rows, API replies or rules it was built from."""

from bhds.explanation.bar import explain
from bhds.explanation.base_bars import LongerExplanation, explain_longer
from bhds.explanation.values import Explanation

__all__ = ["Explanation", "LongerExplanation", "explain", "explain_longer"]
