"""Verify the zips and CHECKSUMs on disk of one listing."""

from bhds.io.job_log import job_log
from bhds.stages import verify

with job_log(snakemake.log[0]):
    verify.write_verification(
        snakemake.output.table, threads=snakemake.threads, **snakemake.wildcards
    )
