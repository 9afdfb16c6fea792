"""Read from Snakemake's command line what was requested.

While Snakemake reads a Snakefile it has nothing that says so. Options are its public
interface. What it writes after `--target-jobs` for a job elsewhere is not: if that
cannot be read, the job is taken to need everything, which costs time only.
"""

import re
from collections.abc import Iterable, Sequence
from itertools import takewhile

from bhds.bars import split

_ASKS_NOTHING = {
    *("--lint", "--unlock", "--version"),
    *("--list", "--list-rules", "-l", "--list-target-rules", "--lt"),
}
_LISTS_FILES = {
    *("--summary", "-S", "--detailed-summary", "-D"),
    *("--delete-all-output", "--list-untracked", "--lu"),
}
_TARGET_JOBS = "--target-jobs"
_WILDCARD = re.compile(r'[:,](\w+)=("[^"]*"|[^,]*)')


def asks_nothing(arguments: Iterable[str]) -> bool:
    """Return whether a command line neither plans nor builds anything."""
    return not _ASKS_NOTHING.isdisjoint(arguments)


def lists_files(arguments: Iterable[str]) -> bool:
    """Return whether a command line lists or deletes all outputs."""
    return not _LISTS_FILES.isdisjoint(arguments)


def rules_of_job(arguments: Sequence[str]) -> set[str] | None:
    """Return the rules that a job's process runs; None: it may run any.

    Parameters
    ----------
    arguments
        The command line by which Snakemake starts a job: after `--target-jobs`, each
        file to be made as `rule:wildcard=value,wildcard=value`.
    """
    return {job.partition(":")[0] for job in _jobs(arguments)} or None


def symbols_of_job(arguments: Sequence[str]) -> set[str] | None:
    """Return the symbols that a job's process makes files of; None: it needs all.

    Parameters
    ----------
    arguments
        As `rules_of_job` takes them.
    """
    found = set()
    for job in _jobs(arguments):
        wildcards = {name: value.strip('"') for name, value in _WILDCARD.findall(job)}
        if "symbol" in wildcards:
            found.add(wildcards["symbol"])
        elif "segment" in wildcards:
            found.add(split.symbol_of(wildcards["segment"]))
        else:
            return None
    return found or None


def _jobs(arguments: Sequence[str]) -> list[str]:
    if _TARGET_JOBS not in arguments:
        return []
    following = arguments[arguments.index(_TARGET_JOBS) + 1 :]
    return list(takewhile(lambda argument: not argument.startswith("--"), following))
