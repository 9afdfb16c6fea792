"""Request one 3d bar of a symbol, which shows the opening days of its 3d bars."""

import os

from bhds import config
from bhds.io.job_log import job_log
from bhds.stages import phase

with job_log(snakemake.log[0]):
    phase.write_phase(
        snakemake.output[0],
        first_day=snakemake.params.first_day,
        requested_at=snakemake.params.requested_at,
        settings=config.load(snakemake.config, environment=os.environ),
        **snakemake.wildcards,
    )
