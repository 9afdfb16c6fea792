"""Write the resampled bars of one segment."""

from bhds.io.job_log import job_log
from bhds.stages import results

with job_log(snakemake.log[0]):
    results.write_segment(
        snakemake.input.result,
        segments=snakemake.input.segments,
        name=snakemake.wildcards.segment,
        output=snakemake.output.segment,
    )
