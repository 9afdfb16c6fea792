"""Classify the gaps of all symbols of a market."""

from bhds.io.job_log import job_log
from bhds.stages import quality

with job_log(snakemake.log[0]):
    quality.classify_gaps(
        list(snakemake.input.gaps),
        output=snakemake.output[0],
        as_of=snakemake.params.as_of,
        **snakemake.wildcards,
    )
