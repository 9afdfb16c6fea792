"""Build the quality tables: gaps, conflicts, condition of days, reconciliation.

Inputs: the tables next to each symbol's result, or the partitions of data without
results. Outputs: one table per market; for each symbol with configured bars of longer
intervals, also their reconciliation with its result.
"""


rule classify_gaps:
    """Classify the gaps of all symbols of a market."""
    input:
        gaps=tables_of_symbols("gaps"),
    output:
        layout.wildcards(layout.quality_table, kind="gaps", series="{interval}"),
    log:
        "logs/classify_gaps/{trade_type}-{interval}.log",
    conda:
        "../envs/bhds.yaml"
    resources:
        **needs("classify_gaps"),
    params:
        revision=quality.REVISION,
        as_of=as_of,
    message:
        "Classify the gaps of {wildcards.trade_type} {wildcards.interval}"
    script:
        "../scripts/classify_gaps.py"


rule collect_conflicts:
    """List the bars of a market that were published twice with other values."""
    input:
        tables_of_symbols("conflicts"),
    output:
        layout.wildcards(layout.quality_table, kind="conflicts", series="{interval}"),
    log:
        "logs/collect_conflicts/{trade_type}-{interval}.log",
    conda:
        "../envs/bhds.yaml"
    resources:
        **needs("collect_conflicts"),
    params:
        revision=quality.REVISION,
    message:
        "Collect the conflicts of {wildcards.trade_type} {wildcards.interval}"
    script:
        "../scripts/collect_conflicts.py"


rule classify_days:
    """Determine the condition of each day of each result."""
    input:
        days=tables_of_symbols("days"),
        gaps=rules.classify_gaps.output[0],
        not_reconciled=compared_days,
    output:
        layout.wildcards(
            layout.quality_table, kind="condition", series="klines-{interval}"
        ),
    log:
        "logs/classify_days/{trade_type}-{interval}.log",
    conda:
        "../envs/bhds.yaml"
    resources:
        **needs("classify_days"),
    params:
        revision=quality.REVISION,
        as_of=as_of,
        ends=ends_of_klines,
    message:
        "Judge the days of {wildcards.trade_type} {wildcards.interval}"
    script:
        "../scripts/classify_days.py"


rule classify_record_days:
    """Determine the condition of each day of data without results."""
    input:
        record_partitions,
    output:
        layout.wildcards(layout.quality_table, kind="condition"),
    log:
        "logs/classify_record_days/{trade_type}-{series}.log",
    wildcard_constraints:
        series="(?!klines-)[A-Za-z]+(?:-[0-9]+(?:s|m|h|d|w|mo))?",
    conda:
        "../envs/bhds.yaml"
    resources:
        **needs("classify_record_days"),
    params:
        revision=quality.REVISION,
        as_of=as_of,
        ends=ends_of_records,
        ended=records_ended,
    message:
        "Judge the days of {wildcards.trade_type} {wildcards.series}"
    script:
        "../scripts/classify_record_days.py"


rule reconcile_klines:
    """Compare one result with the bars of longer intervals that the exchange published."""
    input:
        result=layout.wildcards(layout.result),
        days=layout.wildcards(layout.symbol_table, kind="days"),
        published=longer_published,
    output:
        reconciliation=layout.wildcards(layout.symbol_table, kind="reconciliation"),
        not_reconciled=layout.wildcards(layout.symbol_table, kind="not_reconciled"),
    log:
        "logs/reconcile_klines/{trade_type}/{symbol}-{interval}.log",
    group:
        "symbols"
    conda:
        "../envs/bhds.yaml"
    resources:
        **needs("reconcile_klines"),
    params:
        revision=reconciliation.REVISION,
        intervals=longer_intervals,
    message:
        "Compare {wildcards.trade_type} {wildcards.symbol} {wildcards.interval} with published bars"
    script:
        "../scripts/reconcile_klines.py"


rule collect_reconciliation:
    """Collect the reconciliation of all symbols of a market."""
    input:
        tables_of_symbols("reconciliation"),
    output:
        layout.wildcards(
            layout.quality_table, kind="reconciliation", series="{interval}"
        ),
    log:
        "logs/collect_reconciliation/{trade_type}-{interval}.log",
    conda:
        "../envs/bhds.yaml"
    resources:
        **needs("collect_reconciliation"),
    params:
        revision=quality.REVISION,
    message:
        "Collect the reconciliation of {wildcards.trade_type} {wildcards.interval}"
    script:
        "../scripts/collect_reconciliation.py"


rule reconcile_volumes:
    """Compare the sum of each day's trades with the volume of its bars."""
    input:
        trades=conditions_of_trades,
        bars=conditions_of_bars,
    output:
        layout.wildcards(layout.quality_table, kind="volume_checks", series=None),
    log:
        "logs/reconcile_volumes/{trade_type}.log",
    conda:
        "../envs/bhds.yaml"
    resources:
        **needs("reconcile_volumes"),
    params:
        revision=quality.REVISION,
    message:
        "Check the volumes of {wildcards.trade_type} against its trades"
    script:
        "../scripts/reconcile_volumes.py"
