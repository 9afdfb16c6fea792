"""Where one bar came from: read from what lies beside the results of its symbol."""

from bhds.lineage.found import Explanation
from bhds.lineage.longer import LongerExplanation, explain_longer
from bhds.lineage.trace import explain

__all__ = ["Explanation", "LongerExplanation", "explain", "explain_longer"]
