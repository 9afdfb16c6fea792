"""Merge, split and forward-fill the bars of one symbol, and add VWAP and funding."""

from bhds.io.job_log import job_log
from bhds.stages import results

with job_log(snakemake.log[0]):
    results.write_results(
        list(snakemake.input.partitions),
        outputs=dict(snakemake.output.items()),
        settings=snakemake.params.settings,
        last_day=snakemake.params.last_day,
        funding=list(snakemake.input.funding),
        **snakemake.wildcards,
    )
