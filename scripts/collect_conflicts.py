"""List the bars that were published twice with other values."""

from bhds.io.job_log import job_log
from bhds.stages import quality

with job_log(snakemake.log[0]):
    quality.collect_conflicts(
        list(snakemake.input),
        output=snakemake.output[0],
        trade_type=snakemake.wildcards.trade_type,
    )
