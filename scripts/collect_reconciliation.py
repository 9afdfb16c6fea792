"""Collect the reconciliation of all symbols of a market."""

from bhds.io.job_log import job_log
from bhds.stages import quality

with job_log(snakemake.log[0]):
    quality.collect_reconciliation(list(snakemake.input), output=snakemake.output[0])
