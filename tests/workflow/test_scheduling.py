"""What Snakemake does between jobs must not grow with the files of all of them."""

import os

import pytest

pytestmark = pytest.mark.workflow

TELL_SIZES = """\
import os.path
import traceback

ask = os.path.getsize

def getsize(path):
    if any(frame.name == "get_size" for frame in traceback.extract_stack()):
        with open({log!r}, "a") as log:
            print(path, file=log)
    return ask(path)

os.path.getsize = getsize
"""
"""Writes down the files whose sizes JobScheduler.update_input_sizes asks for."""


def test_the_sizes_of_inputs_are_no_matter_of_scheduling(workspace, tmp_path):
    workspace.settings["datasets"][0]["symbols"] = ["NEWUSDT"]
    workspace.build("raw_all")
    log = tmp_path / "sizes.txt"
    (tmp_path / "sitecustomize.py").write_text(TELL_SIZES.format(log=str(log)))
    paths = [str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {"PYTHONPATH": os.pathsep.join(paths)}

    outcome = workspace.build("parsed_all", environment=environment)
    asked = log.read_text().splitlines() if log.exists() else []

    assert outcome.jobs["parse_klines"] == 1
    assert asked == []
