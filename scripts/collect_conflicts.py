"""List the bars that were published twice with other values."""

from bhds.quality import job
from bhds.runlog import job_log

with job_log(snakemake.log[0]):
    job.collect_conflicts(
        list(snakemake.input),
        output=snakemake.output[0],
        trade_type=snakemake.wildcards.trade_type,
    )
