"""Ask the REST API for what the archive lacks.

Local rules: compute nodes of a cluster have no internet, and all jobs of a machine share
the limits of its address. Inputs: the partition, if the archive has any of the time; its
sources lie beside it. Outputs: the fill, which may have no rows, and its sources: what was asked
for, and what came.
"""


rule fill_klines:
    """Ask for the bars that one partition lacks."""
    input:
        filled_partition,
    output:
        fill="api_data/{trade_type}/{data_type}/{symbol}/{interval}/{partition}.parquet",
        sources="api_data/{trade_type}/{data_type}/{symbol}/{interval}/{partition}.sources.json",
    log:
        "logs/fill_klines/{trade_type}-{data_type}/{symbol}-{interval}-{partition}.log",
    wildcard_constraints:
        data_type="|".join(BAR_TYPES),
    localrule: True
    conda:
        "../envs/bhds.yaml"
    params:
        revision=fill.REVISION,
        bounds=fill_bounds,
    message:
        "Ask for what {wildcards.trade_type} {wildcards.data_type} {wildcards.symbol} {wildcards.interval} {wildcards.partition} lacks"
    script:
        "../scripts/fill_klines.py"


rule fill_funding:
    """Ask for the funding events that one partition lacks."""
    input:
        filled_partition,
    output:
        fill="api_data/{trade_type}/{data_type}/{symbol}/{partition}.parquet",
        sources="api_data/{trade_type}/{data_type}/{symbol}/{partition}.sources.json",
    log:
        "logs/fill_funding/{trade_type}-{data_type}/{symbol}-{partition}.log",
    wildcard_constraints:
        data_type=FUNDING,
    localrule: True
    conda:
        "../envs/bhds.yaml"
    params:
        revision=fill.REVISION,
        bounds=fill_bounds,
    message:
        "Ask for the funding that {wildcards.trade_type} {wildcards.symbol} {wildcards.partition} lacks"
    script:
        "../scripts/fill_funding.py"
