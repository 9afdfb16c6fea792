"""Verify the zips and CHECKSUMs on disk that one listing covers."""

from bhds.io.job_log import job_log
from bhds.stages import verify

with job_log(snakemake.log[0]):
    verify.write_verification(
        snakemake.output.table, threads=snakemake.threads, **snakemake.wildcards
    )
