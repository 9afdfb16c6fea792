"""The files that a build makes of its inputs alone, to compare one with another."""

from pathlib import Path

STAGES = ("parsed_data", "api_data", "results_data", "reports")
"""Folders of what is built; below `aws_data` is what was fetched, and when."""


def built_files(data_dir: Path) -> dict[str, bytes]:
    """Return the bytes of every file that was built, by its path."""
    return {
        str(path.relative_to(data_dir)): path.read_bytes()
        for stage in STAGES
        for path in (data_dir / stage).rglob("*")
        if path.is_file() and not _records_requests(path.relative_to(data_dir))
    }


def differing(files: dict[str, bytes], others: dict[str, bytes]) -> set[str]:
    """Name the files that only one build has, or that are not the same bytes."""
    return {path for path in files | others if files.get(path) != others.get(path)}


def _records_requests(path: Path) -> bool:
    """Check whether a file records when the API was asked, and how often."""
    is_record = path.parts[1].startswith(("usage", "unanswered", ".refused"))
    is_answer = path.name.endswith((".answers.jsonl", "exchangeInfo.json"))
    return path.parts[0] == "api_data" and (is_record or is_answer)
