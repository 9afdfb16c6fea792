"""Hash the files on disk again, and quarantine damaged ones.

Outputs: one table for each listing, of every zip on disk. A table describes one moment,
so it is built again whenever it is requested.
"""


rule verify_archives:
    """Verify all zips and CHECKSUMs on disk of one listing."""
    output:
        table=layout.wildcards(layout.archive_table, table="{verification}"),
    log:
        "logs/verify_archives/{trade_type}-{frequency}-{data_type}-{verification}.log",
    wildcard_constraints:
        verification="verification(?:-[0-9]+(?:s|m|h|d|w|mo))?",
    localrule: True
    conda:
        "../envs/bhds.yaml"
    threads: 8
    resources:
        mem_mb=HEAD_NODE_MB,
    params:
        requested_at=STARTED.isoformat(),
    message:
        "Verify {wildcards.trade_type} {wildcards.frequency} {wildcards.data_type} ({wildcards.verification})"
    script:
        "../scripts/verify_archives.py"
