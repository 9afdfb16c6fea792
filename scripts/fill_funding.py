"""Ask the REST API for the funding events that one partition lacks."""

import os

from bhds import config
from bhds.fill import job
from bhds.runlog import job_log

with job_log(snakemake.log[0]):
    job.write_fill(
        list(snakemake.input),
        fill_path=snakemake.output.fill,
        sources_path=snakemake.output.sources,
        bounds=snakemake.params.bounds,
        settings=config.load(snakemake.config, environment=os.environ),
        **snakemake.wildcards,
    )
