"""Targets that can be requested by name, besides `all`; any file can be, by its path.

Inputs are functions, so that only the target that is requested costs time. Messages
keep Snakemake from listing all inputs, which may be 100,000.
"""


rule check_completeness:
    """Report what earlier runs left incomplete, before a run ends."""
    output:
        touch(str(INCOMPLETE)),
    localrule: True
    message:
        "Check what earlier runs left incomplete"


rule listings:
    """The bucket listings; fetched while planning when they are stale."""
    input:
        listing_files,
        LEFT_INCOMPLETE,
    message:
        "Listings are there"


rule raw_all:
    """Every zip and CHECKSUM."""
    input:
        raw_files,
        LEFT_INCOMPLETE,
    message:
        "Every zip and CHECKSUM is there"


rule fetch_archives:
    """Every zip and CHECKSUM, by the name of their stage: for `--until`."""
    input:
        raw_files,
        LEFT_INCOMPLETE,
    message:
        "Every zip and CHECKSUM is there"


rule verify_all:
    """The integrity of every zip on disk; the next run fetches damaged ones."""
    input:
        verification_files,
        LEFT_INCOMPLETE,
    message:
        "What is on disk was verified"


rule parsed_all:
    """Every typed partition, and its sources."""
    input:
        parsed_files,
        LEFT_INCOMPLETE,
    message:
        "Every partition is there"


rule api_all:
    """Every backfill from the API, and its sources."""
    input:
        api_files,
        LEFT_INCOMPLETE,
    message:
        "What the API has is there"


rule results_all:
    """Every result, its gaps, and resampled bars; partitions of data without results."""
    input:
        result_files,
        LEFT_INCOMPLETE,
    message:
        "Every result is there"


rule resampled_all:
    """Every resampled file."""
    input:
        resampled_files,
        LEFT_INCOMPLETE,
    message:
        "Every resampled file is there"


rule resample_klines:
    """Every resampled file, by the name of their stage: for `--until`."""
    input:
        resampled_files,
        LEFT_INCOMPLETE,
    message:
        "Every resampled file is there"


rule quality_all:
    """Gaps with their class, conflicts, the condition of each day, and reconciliation."""
    input:
        quality_files,
        LEFT_INCOMPLETE,
    message:
        "Every quality table is there"


rule split_all:
    """One file per segment, for datasets with `split.files`."""
    input:
        split_files,
        LEFT_INCOMPLETE,
    message:
        "Every segment has its file"


rule report:
    """The quality report: one page of all tables."""
    input:
        layout.REPORT,
        LEFT_INCOMPLETE,
    message:
        "The report is there"
