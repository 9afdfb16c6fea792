"""The name under which Snakemake finds BHDS's display: `snakemake --logger bhds`."""

from bhds.run_display.log_handler import LogHandler

__all__ = ["LogHandler"]
