"""Change Snakemake from within, at the three places for which it has no option.

- `spare_input_sizes`: whenever a job ends, Snakemake requests the size of each input of
  all jobs that are ready, even if the profile orders jobs without sizes. That takes
  seconds for each job of a year of daily zips (docs/performance.md).
- `keep_going`: a job on another machine is a Snakemake of its own, which does not get
  the option `--keep-going`. So a failed member of a group would stop the others.
- `keep_groups_together`: Slurm's executor does not pass on how many components make a
  group, and starts a Snakemake for each member (docs/hpc.md).

Tried with Snakemake 9.27.0 and 9.27.1, and Slurm's executor 2.8.0.
`tests/unit/test_snakemake_hooks.py` fails where Snakemake has changed. A run then warns
and goes on: it takes longer, or leaves members of a group to the next run.
"""

import inspect
import logging
from importlib import import_module
from importlib.metadata import version
from typing import Any

logger = logging.getLogger(__name__)


def spare_input_sizes() -> bool:
    """Keep the scheduler from requesting file sizes that it does not use.

    Returns
    -------
    bool
        Whether this version of Snakemake could be changed.
    """
    found = _find("scheduling.job_scheduler", "JobScheduler", "update_input_sizes")
    ask = getattr(found, "update_input_sizes", None)
    if not inspect.iscoroutinefunction(ask):
        return _warn("scheduling jobs with many inputs takes longer")

    async def update_input_sizes(scheduler: Any, *arguments: Any) -> None:
        plugin = getattr(scheduler, "_scheduler", None)
        settings = getattr(plugin, "settings", None)
        if not getattr(settings, "omit_prioritize_by_temp_and_input", False):
            await ask(scheduler, *arguments)

    found.update_input_sizes = update_input_sizes
    return True


def keep_going() -> bool:
    """Make this process go on when one of its jobs fails.

    Returns
    -------
    bool
        Whether this version of Snakemake could be changed.
    """
    found = _find("settings.types", "ExecutionSettings", "keep_going")
    if found is None:
        return _warn("a failed member of a group stops the others")
    found.keep_going = property(lambda _: True, lambda *_: None)
    return True


def keep_groups_together(executor_plugin: Any) -> bool:
    """Make an executor for jobs elsewhere pass on how groups are formed.

    Returns
    -------
    bool
        Whether this version of Snakemake could be changed.
    """
    settings: Any = getattr(executor_plugin, "common_settings", None)
    if not hasattr(settings, "pass_group_args"):
        return _warn("each member of a group may start a Snakemake of its own")
    settings.pass_group_args = True
    return True


def _find(module: str, name: str, attribute: str) -> Any:
    """Return a class of Snakemake; None if it is not there, or lacks an attribute."""
    try:
        found = getattr(import_module(f"snakemake.{module}"), name)
    except (ImportError, AttributeError):
        return None
    return found if hasattr(found, attribute) else None


def _warn(consequence: str) -> bool:
    logger.warning(
        "Snakemake %s differs from those that BHDS was tried with: %s",
        *(version("snakemake"), consequence),
    )
    return False
