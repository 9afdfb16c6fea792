"""Resample one symbol's result by every rule of its dataset."""

from bhds.io.job_log import job_log
from bhds.stages import results

with job_log(snakemake.log[0]):
    results.write_resampled(
        snakemake.input.result,
        outputs=list(snakemake.output),
        trade_type=snakemake.params.trade_type,
        interval=snakemake.params.interval,
        symbol=snakemake.wildcards.symbol,
        contract_usd=snakemake.params.contract_usd,
        funding=str(snakemake.input.get("funding", "")) or None,
        phase_of="".join(snakemake.input.phase_of),
    )
