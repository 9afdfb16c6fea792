"""Compare one result with published bars of longer intervals."""

from bhds.io.job_log import job_log
from bhds.stages import quality

with job_log(snakemake.log[0]):
    quality.reconcile_klines(
        snakemake.input.result,
        list(snakemake.input.published),
        days=snakemake.input.days,
        intervals=snakemake.params.intervals,
        outputs=dict(snakemake.output.items()),
        **snakemake.wildcards,
    )
