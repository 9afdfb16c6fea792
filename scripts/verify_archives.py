"""Verify the zips and CHECKSUMs on disk that one listing covers."""

from bhds.archive.integrity import verify
from bhds.io.job_log import job_log

with job_log(snakemake.log[0]):
    verify.write_verification(
        snakemake.output.table, threads=snakemake.threads, **snakemake.wildcards
    )
