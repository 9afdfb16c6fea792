"""The profiles for clusters say of runs what the default one says, and name what is."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
RULES = "\n".join(path.read_text() for path in sorted(ROOT.glob("rules/*.smk")))
CLUSTER_PROFILES = ["slurm", "cluster-generic"]


def profile(name):
    return yaml.safe_load((ROOT / "profiles" / name / "config.yaml").read_text())


def test_profiles_have_options_of_snakemake_or_of_their_executor():
    command = [sys.executable, "-m", "snakemake", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    options = set(re.findall(r"--([a-z-]+)", done.stdout))

    for path in (ROOT / "profiles").glob("*/config.yaml"):
        settings = profile(path.parent.name)
        plugin = f"{settings.get('executor')}-"
        unknown = [each for each in settings if not each.startswith(plugin)]
        assert set(unknown) <= options, path


def test_each_profile_is_described():
    page = (ROOT / "profiles" / "README.md").read_text("utf-8")
    described = re.findall(r"^## `(\S+)`$", page, re.MULTILINE)

    folders = {path.parent.name for path in ROOT.glob("profiles/*/config.yaml")}
    assert sorted(described) == sorted(folders)


def test_the_quiet_profile_adds_the_display_to_the_default_one():
    quiet = profile("quiet")

    assert quiet.pop("logger") == ["bhds"]
    assert quiet.pop("executor") == "bhds"
    assert quiet == profile("default")


@pytest.mark.parametrize("name", CLUSTER_PROFILES)
def test_a_profile_for_clusters_has_all_that_the_default_one_says(name):
    default, cluster = profile("default"), profile(name)

    assert set(default.pop("resources")) <= set(cluster["resources"])
    assert default == {key: cluster[key] for key in default}


def test_the_profiles_for_clusters_differ_in_their_scheduler_alone():
    slurm, generic = map(profile, CLUSTER_PROFILES)

    different = {key for key in slurm | generic if slurm.get(key) != generic.get(key)}

    assert all(
        key == "executor" or key.startswith(("slurm-", "cluster-generic-"))
        for key in different
    ), different


@pytest.mark.parametrize("name", CLUSTER_PROFILES)
def test_components_are_counted_of_the_groups_that_rules_are_in(name):
    groups = set(re.findall(r'^ +group:\n +"(\w+)"', RULES, re.MULTILINE))

    counted = {entry.partition("=")[0] for entry in profile(name)["group-components"]}

    assert counted == groups


@pytest.mark.parametrize("name", CLUSTER_PROFILES)
def test_resources_of_a_profile_for_clusters_grow(name):
    needs = dict(each.split("=") for each in profile(name)["default-resources"])

    assert needs.pop("members") == "1"
    assert all(need.endswith(" * attempt") for need in needs.values()), needs


def test_a_job_of_every_rule_that_computes_needs_memory_and_time():
    names = re.findall(r'^ +\*\*needs\("(\w+)"\),$', RULES, re.MULTILINE)
    listed = RULES.partition("\nNEEDS = {\n")[2].partition("\n}\n")[0]

    assert set(re.findall(r'"(\w+)":', listed)) <= set(names)
    scripts = re.findall(r"^ +script:\n +\S+/(\w+)\.py", RULES, re.MULTILINE)
    local = re.findall(
        r"^ +localrule: True\n(?:.+\n)*? +script:\n +\S+/(\w+)\.py", RULES, re.MULTILINE
    )
    assert sorted(names) == sorted(set(scripts) - set(local))
