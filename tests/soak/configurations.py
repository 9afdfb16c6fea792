"""Wrong configurations, each answered in one line."""

import os
import re
import subprocess
import sys

from tests.soak.part import HANG_S
from tests.workflow.conftest import ROOT

SOUND = (ROOT / "config" / "config.yaml").read_text()
LAUGHS = [f"a{n}: &a{n} [{f'*a{n - 1},' * 9}]\n" for n in range(1, 9)]
FILES = {
    "empty": "",
    "words": "just words",
    "list": "- a\n- b\n",
    "number": "42",
    "tabs": SOUND.replace("  ", "\t"),
    "tag": f"{SOUND}\nas_of: !!python/object:os.system x\n",
    "anchor": f"{SOUND}\nas_of: &a [*a]\n",
    "laughs": f"a0: &a0 [x]\n{''.join(LAUGHS)}",
    "NUL": f"{SOUND}\nas_of: \0\n",
    "UTF-16": SOUND.encode("utf-16"),
    "latin-1": f"{SOUND}\n# \xe9\xff".encode("latin-1"),
    "deep": f"as_of: {'[' * 5_000}{']' * 5_000}\n",
    "twice": f"{SOUND}\ndatasets: []\n",
    "unknown": f"{SOUND}\nunknown: 1\n",
    "binary": os.urandom(300),
}
PLACES = (
    *("data_dir: {}", "as_of: {}", "endpoints: {}", "listing: {}", "datasets: {}"),
    *("endpoints: {{archive_download: {}}}", "http: {{proxy: {}}}"),
    *(
        "http: {{timeout_s: {}}}",
        "listing: {{max_age_hours: {}}}",
        "api: {{enabled: {}}}",
    ),
    "datasets: [{{trade_type: {}}}]",
    "datasets: [{{trade_type: spot, symbols: [{}]}}]",
    "datasets: [{{trade_type: spot, start: {}}}]",
    "datasets: [{{trade_type: spot, interval: {}}}]",
    "datasets: [{{trade_type: spot, results: {{split: {{min_days: {}}}}}}}]",
)
VALUES = (
    *("2025-02-31", "2025-W09", "true", "-1", "1e400", ".inf", "null", "[]", "{}"),
    *("''", "../..", "J*USDT", "~nouser/data", "http://127.0.0.1:99999", "0x10"),
    *("'http://a b'", '"\\0"', '"http://a\\nout=b"', "9" * 5_000, "x" * 300),
)


def run(part, *, folder):
    """Plan by wrong settings until the time is over."""
    folder.mkdir()
    path, chance = folder / "config.yaml", part.random
    while part.goes_on:
        what = chance.choice([*FILES])
        content = FILES[what]
        if chance.random() < 0.7:
            what = chance.choice(PLACES).format(chance.choice(VALUES))
            content = f"offline: true\n{what}\n"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        command = chance.choice(["bhds", "bhds", "bhds", "snakemake"])
        fault = fault_of(command, path, folder)
        part.count(command, fault and f"{what[:80]}: {fault}")


def fault_of(command, path, folder):
    """Plan offline with these settings; return what is wrong with how that ends."""
    arguments = {
        "bhds": ["plan"],
        "snakemake": ["-s", str(ROOT / "Snakefile"), "-n", "all", "--cores", "1"],
    }
    both = ["--configfile", str(path), "--config", "offline=true"]
    try:
        done = subprocess.run(
            [sys.executable, "-m", command, *arguments[command], *both],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=HANG_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"hangs: more than {HANG_S} s"
    text = done.stdout.decode(errors="replace")
    # What Snakemake itself cannot read, it reports in its own words.
    errors = re.findall("error:" if command == "bhds" else "(?i)error", text)
    is_ours = command == "bhds" or re.search(rf"{ROOT}/(bhds|rules|Snakefile)", text)
    has_traceback = "Traceback (most recent call last)" in text
    if (has_traceback and is_ours) or done.returncode > 1:
        return f"exit code {done.returncode}: {text[-300:]}"
    if done.returncode and (not errors or (command == "bhds" and len(errors) > 1)):
        return f"{len(errors)} errors: {text[-300:]}"
    return None
