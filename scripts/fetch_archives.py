"""Download one batch of zips and CHECKSUMs into place."""

from bhds.io.job_log import job_log
from bhds.stages import fetch

with job_log(snakemake.log[0]):
    fetch.fetch_paths(
        list(snakemake.output),
        **vars(snakemake.params.options),
        is_removed_on_failure=True,
    )
