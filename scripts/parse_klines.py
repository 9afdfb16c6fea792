"""Parse the zips of one partition of bars."""

from bhds.io.job_log import job_log
from bhds.stages import parse

with job_log(snakemake.log[0]):
    parse.write_partition(
        snakemake.params.zips.paths,
        partition_path=snakemake.output.partition,
        sources_path=snakemake.output.sources,
        days=snakemake.params.days,
        settings=snakemake.config if snakemake.params.is_supplemented else None,
        discards_by=snakemake.config if snakemake.params.zips.discards else None,
        **snakemake.wildcards,
    )
