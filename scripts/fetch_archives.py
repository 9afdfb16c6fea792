"""Download one batch of zips and CHECKSUMs into place."""

from bhds.archive import job
from bhds.runlog import job_log

with job_log(snakemake.log[0]):
    job.fetch_paths(
        list(snakemake.output),
        base_url=snakemake.params.base_url,
        http=snakemake.params.http,
        is_removed_on_failure=True,
    )
