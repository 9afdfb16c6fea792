"""Hold one result against longer published bars."""

from bhds.quality import job
from bhds.runlog import job_log

with job_log(snakemake.log[0]):
    job.compare_published(
        snakemake.input.result,
        list(snakemake.input.published),
        days=snakemake.input.days,
        intervals=snakemake.params.intervals,
        outputs=dict(snakemake.output.items()),
        **snakemake.wildcards,
    )
