"""Download the archive's files in batches.

Only files that are missing, replaced or named by a target get a rule: any other file on
disk is a leaf of the graph, which keeps planning cheap (docs/performance.md). A file that
was there before, and is damaged, replaced or lost, is out of date for Snakemake:
`requested_at` is new in each run. The listing that revealed a new revision is an input.
How files are fetched (`options`) is an object, which Snakemake does not compare: another
proxy puts nothing out of date.

Inputs: none, or listings. Outputs: zips and CHECKSUMs below `aws_data`. With `offline`,
the rules are of zips that are not on disk, and their jobs fail: what needs no such zip is
built, and the run ends with one line that names them.
Settings: endpoints.archive_download, http, offline.
"""

for number, batch in enumerate(PLAN.batches):

    rule:
        """Download one batch of zips and CHECKSUMs into `aws_data`."""
        name:
            f"fetch_archives_{number:05d}"
        input:
            listings_of(batch),
        output:
            zips=kept_until_replaced(batch, batch.zips),
            checksums=kept_until_replaced(batch, batch.checksums),
        log:
            f"logs/fetch_archives/{number:05d}.log",
        localrule: True
        conda:
            "../envs/bhds.yaml"
        resources:
            downloads=1,
            mem_mb=HEAD_NODE_MB,
        params:
            revision=download.REVISION,
            requested_at=requested_at(batch),
            options=fetch_options(batch),
        message:
            f"{batch}"
        script:
            "../scripts/fetch_archives.py"
