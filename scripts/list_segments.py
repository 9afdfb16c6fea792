"""Name the file of every segment of every symbol."""

from bhds.results import job
from bhds.runlog import job_log

with job_log(snakemake.log[0]):
    job.write_segments(
        list(snakemake.input),
        segments=snakemake.output.segments,
        folders=snakemake.params.folders,
    )
