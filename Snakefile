"""BHDS: from Binance's public archive to clean, complete, verified market data.

Every zip, checksum, partition and result is a file target below the data directory;
Snakemake alone decides what is out of date. `snakemake -n results_all` plans,
`snakemake -j 16 results_all` builds.
"""

from snakemake.utils import min_version

min_version("9.27")


include: "rules/settings.smk"


configfile: f"{workflow.current_basedir}/config/config.yaml"


include: "rules/common.smk"


workdir: DATA_DIR


include: "rules/plan.smk"


rule all:
    """Every file that the settings request."""
    default_target: True
    input:
        result_files,
        quality_files,
        split_files,
        layout.REPORT,
        LEFT_INCOMPLETE,
    message:
        "Every file that the settings request is built"


include: "rules/targets.smk"
include: "rules/fetch.smk"
include: "rules/verify.smk"
include: "rules/parse.smk"
include: "rules/backfill.smk"
include: "rules/results.smk"
include: "rules/resample.smk"
include: "rules/quality.smk"
include: "rules/report.smk"


# A checkpoint has a job's process plan all that its files are made from.
if workflow.is_main_process or makes_segments():

    include: "rules/split.smk"


# The last: the names of all rules are known.
if PLANS and OWNS_SETTINGS:

    include: "rules/wrong_targets.smk"
