"""Merge the funding events of one contract."""

from bhds.io.job_log import job_log
from bhds.stages import results

with job_log(snakemake.log[0]):
    results.write_funding(
        list(snakemake.input.partitions),
        output=snakemake.output.result,
        gaps=str(snakemake.input.gaps) or None,
        symbol=snakemake.wildcards.symbol,
        last_day=snakemake.params.last_day,
        unlisted=snakemake.params.unlisted,
    )
