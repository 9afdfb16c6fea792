"""What can be asked for by name, besides `all`; any file can be, by its path.

Inputs are functions, so that only the target that is asked for costs time.
"""


rule listings:
    """The bucket listings; fetched while planning when they are stale."""
    input:
        listing_files,


rule raw_all:
    """Every zip and CHECKSUM."""
    input:
        raw_files,


rule verify_all:
    """What is found on disk of every zip: what was damaged is fetched by the next run."""
    input:
        verification_files,


rule parsed_all:
    """Every typed partition, and its sources."""
    input:
        parsed_files,


rule api_all:
    """What the API has of what the archive lacks, and what it has not."""
    input:
        api_files,


rule results_all:
    """Every result, its gaps, and longer bars; partitions of what has no result."""
    input:
        result_files,


rule resampled_all:
    """Every resampled file."""
    input:
        resampled_files,


rule quality_all:
    """Gaps with their class, conflicts, the condition of each day, and agreement."""
    input:
        quality_files,


rule split_all:
    """One file a segment, for datasets with `split.files`."""
    input:
        split_files,
