#!/usr/bin/env bash
# Make what the tests on a cluster need: Slurm from Debian's packages, and an environment
# with Snakemake's executors beside .venv, which is not to have them: where Slurm does not
# answer, the plugin makes every start of Snakemake 11 s longer.
#
# Prints nothing and does nothing when all is there. Where there can be no cluster it says
# why and ends with 3.

set -euo pipefail

cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.."

readonly ENVIRONMENT=build/cluster-venv
readonly PACKAGES=(slurmctld slurmd slurm-client munge)

say() { printf 'test cluster: %s\n' "$*" >&2; }

skip() {
    say "skipped: $*"
    exit 3
}

install_slurm() {
    local package missing=()
    for package in slurmctld slurmd sbatch munged; do
        command -v "$package" >/dev/null || missing+=("$package")
    done
    if ((!${#missing[@]})); then return; fi
    command -v apt-get >/dev/null ||
        skip "${missing[*]} not installed, and no apt-get to install them with"
    [[ ${SYSTEM_INSTALL:-yes} != no ]] ||
        skip "${missing[*]} not installed, and SYSTEM_INSTALL=no"
    say "installing ${PACKAGES[*]} with apt, for the whole machine" \
        "(SYSTEM_INSTALL=no forbids it)"
    local apt=(apt-get -qq -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=120
        -o Acquire::Retries=2 -o Acquire::http::Timeout=20)
    # What Debian would start as services is another cluster than the tests' own.
    local policy=/usr/sbin/policy-rc.d status=0
    if [[ ! -e $policy ]]; then
        # shellcheck disable=SC2064 -- as it is now
        trap "rm -f $policy" EXIT
        printf '#!/bin/sh\nexit 101\n' >$policy
        chmod +x $policy
    fi
    # The index may be stale; one that cannot be refreshed may still do.
    DEBIAN_FRONTEND=noninteractive "${apt[@]}" update >/dev/null || true
    DEBIAN_FRONTEND=noninteractive "${apt[@]}" install --yes \
        --no-install-recommends "${PACKAGES[@]}" >/dev/null || status=$?
    ((status == 0)) || skip "apt-get could not install ${PACKAGES[*]}"
}

make_environment() {
    local fingerprint
    fingerprint=$(cat pyproject.toml tests/cluster/setup.sh | sha256sum)
    if [[ "$(cat "$ENVIRONMENT/stamp" 2>/dev/null)" == "$PWD $fingerprint" ]]; then return; fi
    say "making $ENVIRONMENT"
    rm -rf "$ENVIRONMENT"
    .venv/bin/python -m venv --without-pip "$ENVIRONMENT"
    # All that .venv has is there too, so that only the executors are installed.
    "$ENVIRONMENT/bin/python" - "$PWD" <<'PYTHON'
import sys
import sysconfig
from pathlib import Path

own = Path(sysconfig.get_path("purelib"))
shared = Path(sys.argv[1], ".venv", *own.parts[-3:])
own.joinpath("beside.pth").write_text(f"import site; site.addsitedir({str(shared)!r})\n")
PYTHON
    "$ENVIRONMENT/bin/python" - <<'PYTHON' | xargs "$ENVIRONMENT/bin/python" -m pip \
        install --quiet --no-input --disable-pip-version-check
import tomllib
from pathlib import Path

extras = tomllib.loads(Path("pyproject.toml").read_text())["project"]
for extra in ("slurm", "cluster"):
    print(*extras["optional-dependencies"][extra], sep="\n")
PYTHON
    printf '%s' "$PWD $fingerprint" >"$ENVIRONMENT/stamp"
}

[[ $EUID -eq 0 ]] || skip "not root, and the daemons of Slurm are started as root"
install_slurm
make_environment
