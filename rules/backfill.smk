"""Fetch rows that the archive misses from the REST API.

Local rules: compute nodes of a cluster have no internet, and all jobs of a machine share
the limits of its address. Inputs: the partitions of a symbol, which may be none; their
sources are next to them. Outputs: the backfill, which may have no rows, and its sources: the requested
ranges and their outcomes; for symbols resampled to 3d without published 3d bars, also the
days on which the exchange's 3d bars open.
"""


rule backfill_klines:
    """Fetch the bars that the partitions of one symbol miss from the API."""
    input:
        archived_partitions,
    output:
        backfill=layout.wildcards(layout.backfill),
        sources=layout.sources_of(layout.wildcards(layout.backfill)),
    log:
        "logs/backfill_klines/{trade_type}-{data_type}/{symbol}-{interval}.log",
    wildcard_constraints:
        data_type="|".join(BAR_TYPES),
    localrule: True
    conda:
        "../envs/bhds.yaml"
    resources:
        mem_mb=HEAD_NODE_MB,
    params:
        revision=backfill.REVISION,
        bounds=backfill_bounds,
    message:
        "Fetch from the API what {wildcards.trade_type} {wildcards.data_type} {wildcards.symbol} {wildcards.interval} lacks"
    script:
        "../scripts/backfill_klines.py"


rule backfill_funding:
    """Fetch the funding events that the partitions of one contract miss from the API."""
    input:
        archived_partitions,
    output:
        backfill=layout.wildcards(layout.backfill, interval=None),
        sources=layout.sources_of(layout.wildcards(layout.backfill, interval=None)),
    log:
        "logs/backfill_funding/{trade_type}-{data_type}/{symbol}.log",
    wildcard_constraints:
        data_type=FUNDING,
    localrule: True
    conda:
        "../envs/bhds.yaml"
    resources:
        mem_mb=HEAD_NODE_MB,
    params:
        revision=backfill.REVISION,
        bounds=backfill_bounds,
    message:
        "Fetch from the API the funding that {wildcards.trade_type} {wildcards.symbol} lacks"
    script:
        "../scripts/backfill_funding.py"


rule backfill_phase:
    """Request one 3d bar of a symbol that is resampled to 3d without published ones."""
    output:
        layout.wildcards(layout.phase),
    log:
        "logs/backfill_phase/{trade_type}/{symbol}.log",
    localrule: True
    conda:
        "../envs/bhds.yaml"
    resources:
        mem_mb=HEAD_NODE_MB,
    params:
        revision=phase.REVISION,
        first_day=phase_first_day,
        requested_at=phase_asked_at,
    message:
        "Ask on which days the 3d bars of {wildcards.trade_type} {wildcards.symbol} open"
    script:
        "../scripts/backfill_phase.py"
