"""Resample results.

Inputs: the result of one symbol, and its funding events; for 3d bars also the source of
their opening days: the result of published 3d bars, or the response of the API. Outputs:
one file for each rule of its dataset, built by one job. Rules that are new to the settings
have a job of their own (`resample_parts` in bhds/plan/dataset.py).
"""

for group in PLAN.resample_groups:

    rule:
        """Resample one symbol's result by every rule of its dataset."""
        name:
            f"resample_klines_{group.name}"
        input:
            result=layout.result(group.trade_type, group.interval, "{symbol}"),
            funding=funding_of_results(group.trade_type, group.interval),
            phase_of=phase_of_3d_bars(group) if group.has_phase else [],
        output:
            expand(
                layout.wildcards(layout.resampled, symbol="{{symbol}}"),
                trade_type=group.trade_type,
                rule=group.rules,
            ),
        log:
            f"logs/resample_klines/{group.name}/{{symbol}}.log",
        wildcard_constraints:
            symbol=group.symbol_pattern,
        group:
            "symbols"
        conda:
            "../envs/bhds.yaml"
        resources:
            **needs("resample_klines"),
        params:
            revision=resample.REVISION,
            trade_type=group.trade_type,
            interval=group.interval,
            contract_usd=contract_usd_in(group.trade_type),
        message:
            f"Resample {group.trade_type} {{wildcards.symbol}}: {', '.join(group.rules)}"
        script:
            "../scripts/resample_klines.py"
