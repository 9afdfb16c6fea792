"""Where one bar came from: read from what lies beside the results of its symbol."""

from bhds.explain.found import Explanation
from bhds.explain.longer import LongerExplanation, explain_longer
from bhds.explain.trace import explain

__all__ = ["Explanation", "LongerExplanation", "explain", "explain_longer"]
