"""Merge the funding events of one contract."""

from bhds.results import job
from bhds.runlog import job_log

with job_log(snakemake.log[0]):
    job.write_funding(
        list(snakemake.input.partitions),
        output=snakemake.output.result,
        gaps=str(snakemake.input.gaps) or None,
        symbol=snakemake.wildcards.symbol,
        last_day=snakemake.params.last_day,
        unlisted=snakemake.params.unlisted,
    )
