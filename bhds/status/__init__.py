"""What is on disk, whatever the settings say: counted from names, sizes and footers."""

from bhds.status.survey import Holding, Stage, survey

__all__ = ["Holding", "Stage", "survey"]
