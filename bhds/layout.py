"""The paths of the data directory, relative to it."""

QUARANTINE = "aws_data/.quarantine"
"""Where damaged files go, below the data directory: by their path below `aws_data`,
and behind the name the first digits of the SHA-256 that was found."""
