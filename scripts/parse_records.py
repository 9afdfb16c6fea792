"""Parse the archives of one partition of a type of data without intervals."""

from bhds.parse import job
from bhds.runlog import job_log

with job_log(snakemake.log[0]):
    job.write_partition(
        list(snakemake.input),
        partition_path=snakemake.output.partition,
        sources_path=snakemake.output.sources,
        days=snakemake.params.days,
        settings=snakemake.config if snakemake.params.is_supplemented else None,
        **snakemake.wildcards,
    )
