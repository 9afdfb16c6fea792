"""Build one result per symbol from its partitions.

Inputs: the parsed partitions and their backfills. Outputs: the result on its complete grid,
with the funding events of the contract, the gaps, the counts of each day, and the bars
that were published twice with other values; and the funding events up to the end of the
contract, which its results show.
Settings: `results` of the symbol's dataset.
"""


rule build_funding:
    """Merge the funding events of one contract."""
    input:
        partitions=funding_partitions,
        gaps=end_of_funding,
    output:
        result=layout.wildcards(layout.funding),
    log:
        "logs/build_funding/{trade_type}/{symbol}.log",
    group:
        "symbols"
    conda:
        "../envs/bhds.yaml"
    resources:
        **needs("build_funding"),
    params:
        revision=funding.REVISION,
        last_day=funding_last_day,
        unlisted=funding_unlisted,
    message:
        "Build the funding of {wildcards.trade_type} {wildcards.symbol}"
    script:
        "../scripts/build_funding.py"


rule build_results:
    """Merge, split and forward-fill the bars of one symbol, and add VWAP and funding."""
    input:
        partitions=kline_partitions,
        funding=funding_of_result,
    output:
        result=layout.wildcards(layout.result),
        gaps=layout.wildcards(layout.symbol_table, kind="gaps"),
        days=layout.wildcards(layout.symbol_table, kind="days"),
        conflicts=layout.wildcards(layout.symbol_table, kind="conflicts"),
    log:
        "logs/build_results/{trade_type}/{symbol}-{interval}.log",
    group:
        "symbols"
    conda:
        "../envs/bhds.yaml"
    resources:
        **needs("build_results"),
    params:
        revision=build.REVISION,
        settings=result_settings,
        last_day=last_day,
    message:
        "Build the result of {wildcards.trade_type} {wildcards.symbol} {wildcards.interval}"
    script:
        "../scripts/build_results.py"
