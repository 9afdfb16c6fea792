"""Hold what the trades of each day add up to against the volume of its bars."""

from bhds.quality import job
from bhds.runlog import job_log

with job_log(snakemake.log[0]):
    job.check_volumes(
        list(snakemake.input.trades),
        list(snakemake.input.bars),
        output=snakemake.output[0],
    )
