"""Determine the condition of each day of data without results."""

from bhds.io.job_log import job_log
from bhds.stages import quality

with job_log(snakemake.log[0]):
    quality.classify_record_days(
        list(snakemake.input),
        output=snakemake.output[0],
        as_of=snakemake.params.as_of,
        ends=snakemake.params.ends,
        ended=snakemake.params.ended,
        **snakemake.wildcards,
    )
