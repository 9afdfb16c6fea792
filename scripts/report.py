"""Write the quality report."""

from bhds.report import job
from bhds.runlog import job_log

with job_log(snakemake.log[0]):
    job.write_report(
        list(snakemake.input),
        output=snakemake.output[0],
        as_of=snakemake.params.as_of,
    )
