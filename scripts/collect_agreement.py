"""Show how results agree with longer published bars."""

from bhds.quality import job
from bhds.runlog import job_log

with job_log(snakemake.log[0]):
    job.collect_agreement(list(snakemake.input), output=snakemake.output[0])
