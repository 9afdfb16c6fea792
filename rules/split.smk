"""Write one file per segment: SP0_, SP1_, ...

The results determine the segments, so one checkpoint for all symbols of a series lists
them; only these files depend on it.
"""


checkpoint collect_segments:
    """List the file of every segment of every symbol."""
    input:
        split_results,
    output:
        segments=layout.wildcards(layout.segments),
    log:
        "logs/collect_segments/{trade_type}-{interval}.log",
    conda:
        "../envs/bhds.yaml"
    resources:
        **needs("collect_segments"),
    params:
        revision=split.REVISION,
        folders=segment_folders,
    message:
        "List the segments of {wildcards.trade_type} {wildcards.interval}"
    script:
        "../scripts/collect_segments.py"


rule split_klines:
    """Write the bars of one segment."""
    input:
        segments=ancient(rules.collect_segments.output.segments),
        result=result_of_segment,
    output:
        segment=layout.wildcards(layout.segment),
    log:
        "logs/split_klines/{trade_type}-{interval}/{segment}.log",
    group:
        "segments"
    conda:
        "../envs/bhds.yaml"
    resources:
        **needs("split_klines"),
    params:
        revision=split.REVISION,
    message:
        "Write segment {wildcards.segment} of {wildcards.trade_type} {wildcards.interval}"
    script:
        "../scripts/split_klines.py"


rule split_resampled_klines:
    """Write the resampled bars of one segment."""
    input:
        segments=segments_of_rule,
        result=resampled_of_segment,
    output:
        segment=layout.wildcards(layout.resampled_segment),
    log:
        "logs/split_resampled_klines/{trade_type}-{rule}/{segment}.log",
    group:
        "segments"
    conda:
        "../envs/bhds.yaml"
    resources:
        **needs("split_resampled_klines"),
    params:
        revision=split.REVISION,
    message:
        "Write segment {wildcards.segment} of {wildcards.trade_type} {wildcards.rule}"
    script:
        "../scripts/split_resampled_klines.py"
