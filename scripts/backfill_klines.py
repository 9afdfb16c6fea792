"""Fetch the bars that partitions miss from the API."""

import os

from bhds import config
from bhds.io.job_log import job_log
from bhds.stages import backfill

with job_log(snakemake.log[0]):
    backfill.write_backfill(
        list(snakemake.input),
        backfill_path=snakemake.output.backfill,
        sources_path=snakemake.output.sources,
        bounds=snakemake.params.bounds,
        settings=config.load(snakemake.config, environment=os.environ),
        **snakemake.wildcards,
    )
