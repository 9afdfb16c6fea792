"""Make one result a symbol from its partitions.

Inputs: the parsed partitions. Outputs: the result on its complete grid, and the gaps
that were found. Settings: `results` of the symbol's dataset.
"""


rule build_results:
    """Merge, scan for gaps, split, fill and price the bars of one symbol."""
    input:
        kline_partitions,
    output:
        result="results_data/{trade_type}/klines/{interval}/{symbol}.pqt",
        gaps="results_data/{trade_type}/klines/{interval}/gaps/{symbol}.parquet",
    log:
        "logs/build_results/{trade_type}/{symbol}-{interval}.log",
    conda:
        "../envs/bhds.yaml"
    params:
        revision=build.REVISION,
        settings=result_settings,
        last_day=last_day,
    message:
        "Build the result of {wildcards.trade_type} {wildcards.symbol} {wildcards.interval}"
    script:
        "../scripts/build_results.py"
