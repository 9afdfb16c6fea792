"""Determine the condition of each day of each result."""

from bhds.io.job_log import job_log
from bhds.stages import quality

with job_log(snakemake.log[0]):
    quality.classify_days(
        list(snakemake.input.days),
        gaps=snakemake.input.gaps,
        not_reconciled=list(snakemake.input.not_reconciled),
        output=snakemake.output[0],
        as_of=snakemake.params.as_of,
        ends=snakemake.params.ends,
        **snakemake.wildcards,
    )
