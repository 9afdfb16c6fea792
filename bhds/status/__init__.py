"""Count all data on disk, configured or not, from names, sizes and footers."""

from bhds.status.survey import Holding, Stage, survey

__all__ = ["Holding", "Stage", "survey"]
