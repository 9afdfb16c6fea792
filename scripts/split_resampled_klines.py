"""Write the resampled bars of one segment."""

from bhds.results import job
from bhds.runlog import job_log

with job_log(snakemake.log[0]):
    job.write_segment(
        snakemake.input.result,
        segments=snakemake.input.segments,
        name=snakemake.wildcards.segment,
        output=snakemake.output.segment,
    )
