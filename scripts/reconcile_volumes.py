"""Compare the sum of each day's trades with the volume of its bars."""

from bhds.io.job_log import job_log
from bhds.stages import quality

with job_log(snakemake.log[0]):
    quality.reconcile_volumes(
        list(snakemake.input.trades),
        list(snakemake.input.bars),
        output=snakemake.output[0],
    )
