#!/usr/bin/env bash
# Run the tests on a cluster, where there can be one; else say why there can be none.
#
#   tests/cluster/run.sh [argument of pytest]...

set -euo pipefail

cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.."

status=0
tests/cluster/setup.sh || status=$?
if ((status == 3)); then exit 0; fi # skipped, and it said why
if ((status)); then exit "$status"; fi

# There is one /etc/slurm: two checkouts at once take turns.
exec 9>/run/lock/bhds-test-cluster
flock --wait 900 9 || {
    echo "test cluster: error: another checkout has tested for 15 minutes" >&2
    exit 1
}

# Each start of Snakemake would compile 30 MB of Python.
export PYTHONDONTWRITEBYTECODE=
trap 'build/cluster-venv/bin/python tests/cluster/slurm.py stop' EXIT
timeout --kill-after=30 900 build/cluster-venv/bin/python -m pytest tests/cluster "$@" 9>&-
