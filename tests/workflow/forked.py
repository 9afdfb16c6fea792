"""Snakemake in a process forked from one that has imported all that it needs.

The imports take most of the processor time of a dry run. Each worker of pytest pays for
them once.
"""

import atexit
import multiprocessing
import os
import runpy
import sys
from pathlib import Path

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    [
        *(
            "snakemake.cli",
            "snakemake_executor_plugin_bhds",
            "snakemake.report.html_reporter",
        ),
        *("docutils.parsers.rst.directives.images", "pandas", "smart_open"),
        *("bhds.plan.summary", "bhds.plan.segment_files", "bhds.plan.quality_tables"),
        *("bhds.stages.backfill", "bhds.stages.phase", "bhds.stages.quality"),
        *("bhds.archive.download.batch", "bhds.archive.download.publication"),
        *("bhds.cleanup.stale_files", "bhds.status.failures", "bhds.report"),
    ]
)


def run(arguments: list[str], *, folder: Path, timeout_s: float) -> tuple[int, str]:
    """Run Snakemake in a folder; return its exit code and what it printed."""
    output = folder / "printed.txt"
    process = _CONTEXT.Process(target=_main, args=(arguments, folder, output))
    process.start()
    process.join(timeout_s)
    if process.exitcode is None:
        process.kill()
        msg = f"Snakemake has not ended after {timeout_s} s:\n{output.read_text()}"
        raise TimeoutError(msg)
    return process.exitcode, output.read_text()


def _main(arguments: list[str], folder: Path, output: Path) -> None:
    with output.open("w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    os.chdir(folder)
    sys.argv = ["snakemake", *arguments]
    try:
        runpy.run_module("snakemake", run_name="__main__", alter_sys=True)
    finally:
        atexit._run_exitfuncs()  # which multiprocessing does not run
