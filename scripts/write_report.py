"""Write the quality report."""

from bhds.io.job_log import job_log
from bhds.stages import report

with job_log(snakemake.log[0]):
    report.write_report(
        list(snakemake.input),
        output=snakemake.output[0],
        as_of=snakemake.params.as_of,
    )
