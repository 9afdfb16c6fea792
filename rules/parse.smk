"""Parse verified zips to typed partitions.

Inputs: the zips of one partition, whose CHECKSUMs are next to them and came with them
(rules/fetch.smk). Outputs: the partition and its sources: integrity status, revision and row
counts of every zip. A job whose monthly zip misses days downloads their daily zips into
`aws_data`. Zips that may be discarded are no inputs: `revision` shows their ETags, and the
job downloads and removes them. Settings: raw, endpoints.archive_download, http, offline.
"""


rule parse_klines:
    """Parse the zips of one partition of bars."""
    input:
        partition_archives,
    output:
        partition=layout.wildcards(layout.partition),
        sources=layout.sources_of(layout.wildcards(layout.partition)),
    log:
        "logs/parse_klines/{trade_type}-{data_type}/{symbol}-{interval}-{partition}.log",
    wildcard_constraints:
        data_type="|".join(BAR_TYPES),
    group:
        "parse"
    conda:
        "../envs/bhds.yaml"
    resources:
        **needs("parse_klines"),
        downloads=partition_downloads,
    params:
        zips=partition_zips,
        revision=parse_revision,
        days=wanted_days,
        is_supplemented=is_supplemented,
    message:
        "Parse {wildcards.trade_type} {wildcards.data_type} {wildcards.symbol} {wildcards.interval} {wildcards.partition}"
    script:
        "../scripts/parse_klines.py"


rule parse_records:
    """Parse the zips of one partition of a data type without intervals."""
    input:
        partition_archives,
    output:
        partition=layout.wildcards(layout.partition, interval=None),
        sources=layout.sources_of(layout.wildcards(layout.partition, interval=None)),
    log:
        "logs/parse_records/{trade_type}-{data_type}/{symbol}-{partition}.log",
    wildcard_constraints:
        data_type="|".join(RECORD_TYPES),
    group:
        "parse"
    conda:
        "../envs/bhds.yaml"
    resources:
        **needs("parse_records"),
        downloads=partition_downloads,
    params:
        zips=partition_zips,
        revision=parse_revision,
        days=wanted_days,
        is_supplemented=is_supplemented,
    message:
        "Parse {wildcards.trade_type} {wildcards.data_type} {wildcards.symbol} {wildcards.partition}"
    script:
        "../scripts/parse_records.py"
