"""Turn verified archives into typed partitions.

Inputs: the zips of one partition, whose CHECKSUMs lie beside them and came with them
(rules/fetch.smk). Outputs: the partition and its sources: verdict, revision and row
counts of every zip.
"""


rule parse_klines:
    """Parse the archives of one partition of one symbol."""
    input:
        kline_archives,
    output:
        partition="parsed_data/{trade_type}/klines/{symbol}/{interval}/{partition}.parquet",
        sources="parsed_data/{trade_type}/klines/{symbol}/{interval}/{partition}.sources.json",
    log:
        "logs/parse_klines/{trade_type}/{symbol}-{interval}-{partition}.log",
    conda:
        "../envs/bhds.yaml"
    params:
        revision=klines.REVISION,
        days=wanted_days,
    message:
        "Parse {wildcards.trade_type} {wildcards.symbol} {wildcards.interval} {wildcards.partition}"
    script:
        "../scripts/parse_klines.py"
