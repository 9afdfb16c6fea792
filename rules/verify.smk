"""Hash again what is on disk, and put aside what was damaged there.

Outputs: one table for each listing, of every zip on disk. What a table says was true
when it was made, so it is always made again when it is requested.
"""


rule verify_archives:
    """Verify all zips and CHECKSUMs on disk that one listing covers."""
    output:
        table="aws_data/{trade_type}/{frequency}/{data_type}/{verification}.parquet",
    log:
        "logs/verify_archives/{trade_type}-{frequency}-{data_type}-{verification}.log",
    wildcard_constraints:
        verification="verification(?:-[0-9]+(?:s|m|h|d|w|mo))?",
    localrule: True
    conda:
        "../envs/bhds.yaml"
    threads: 8
    params:
        requested_at=STARTED.isoformat(),
    message:
        "Verify {wildcards.trade_type} {wildcards.frequency} {wildcards.data_type} ({wildcards.verification})"
    script:
        "../scripts/verify_archives.py"
