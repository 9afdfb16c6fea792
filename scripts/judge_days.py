"""Judge each day of each result."""

from bhds.quality import job
from bhds.runlog import job_log

with job_log(snakemake.log[0]):
    job.judge_days(
        list(snakemake.input.days),
        gaps=snakemake.input.gaps,
        not_reconciled=list(snakemake.input.not_reconciled),
        output=snakemake.output[0],
        as_of=snakemake.params.as_of,
        **snakemake.wildcards,
    )
