"""Say why symbols did not trade."""

from bhds.quality import job
from bhds.runlog import job_log

with job_log(snakemake.log[0]):
    job.classify_gaps(
        list(snakemake.input.gaps),
        output=snakemake.output[0],
        as_of=snakemake.params.as_of,
        **snakemake.wildcards,
    )
