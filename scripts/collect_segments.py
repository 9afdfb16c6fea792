"""List the file of every segment of every symbol."""

from bhds.io.job_log import job_log
from bhds.stages import results

with job_log(snakemake.log[0]):
    results.write_segments(
        list(snakemake.input),
        segments=snakemake.output.segments,
        folders=snakemake.params.folders,
    )
