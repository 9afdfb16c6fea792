"""Judge each day of data that does not become results."""

from bhds.quality import job
from bhds.runlog import job_log

with job_log(snakemake.log[0]):
    job.judge_record_days(
        list(snakemake.input),
        output=snakemake.output[0],
        as_of=snakemake.params.as_of,
        ended=snakemake.params.ended,
        **snakemake.wildcards,
    )
