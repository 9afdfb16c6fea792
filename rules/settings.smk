"""The settings, checked before Snakemake reads the file that the workflow names.

Needs `workflow`; defines SETTINGS where this workflow is the main one, in the main
process. Files of `--configfile` have been read by Snakemake before: what it could not
read, it has refused in its own words.
"""

import os
import sys
from pathlib import Path

# One thread a job: Snakemake runs as many jobs as there are cores, and sums do not
# depend on how many threads took part. To be set before Polars is imported.
os.environ.setdefault("POLARS_MAX_THREADS", "1")

try:
    from bhds import config as settings
    from bhds.io.job_log import one_line_errors
    from bhds.stages import backfill  # imports all packages that planning needs
except ModuleNotFoundError as error:
    if error.name.startswith("bhds."):
        raise
    sys.exit(
        f"bhds: error: {error.name}: not installed for {sys.executable}; install BHDS "
        "where Snakemake is: `pip install ADDRESS`, with the folder or the address of "
        "its repository, or `make setup` in a checkout and `. .venv/bin/activate`"
    )

OWNS_SETTINGS = workflow.is_main_process and workflow.modifier.is_main_snakefile()

if OWNS_SETTINGS:
    with one_line_errors():
        SETTINGS = settings.read(
            settings.files_to_read(
                Path(f"{workflow.current_basedir}").parent / "config" / "config.yaml",
                workflow.config_settings.configfiles,
                replaces_default=workflow.config_settings.replace_workflow_config,
            ),
            command_line=workflow.config_settings.config,
            environment=os.environ,
        )
