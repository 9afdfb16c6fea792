"""Whole builds that are killed and badly served, and end as an undisturbed one does."""

import itertools
import os
import re
import shutil
import signal
import subprocess
import time
from contextlib import suppress

import psutil

from bhds.sandbox.endpoints import SandboxEndpoints
from bhds.sandbox.exchange import Exchange
from bhds.sandbox.server import serving
from tests.built import built_files, differing
from tests.soak.part import HANG_S, MEMORY_BOUND
from tests.soak.proxy import between
from tests.workflow.conftest import ROOT, UNIVERSE, Workspace, settings_for

LOST_DAY = "data/futures/um/daily/klines/龙虾USDT/1m/龙虾USDT-1m-2025-03-08.zip"
"""A day that the archive lacks, so that the API is asked."""
STAGE_OF = {
    script: rules.stem
    for rules in (ROOT / "rules").glob("*.smk")
    for script in re.findall(r"scripts/(\w+)\.py", rules.read_text())
}
"""The stage of each script: the file of its rule."""
STAGES = sorted(set(STAGE_OF.values()))
OF_JOB = re.compile(rf"\.({'|'.join(STAGE_OF)})\.py$")
"""How the command line of a job ends, if it has a process of its own."""
OF_WORKER = {script[:15]: stage for script, stage in STAGE_OF.items()}
"""The stage of a process that runs many scripts, by its name meanwhile."""
EXECUTORS = ("bhds", "local")
STAGES_KILLED = 5
"""In how many stages one build is killed at most."""
KILLS = ("group", "group", "main", "main", "job", "terminate")
SHARES = (0.05, 0.2, 0.5, 1.0)
"""How many answers of a badly served run are wrong."""
ATTEMPTS = 3
"""Undisturbed runs after which all has to be there."""


def run(parts, *, folder):
    """Kill and badly serve builds until the time is over, as `parts` ask for."""
    with (
        Exchange(UNIVERSE) as exchange,
        serving(exchange) as running,
        between(running.endpoints.api_um, parts[0].seed) as proxy,
    ):
        exchange.withhold(LOST_DAY)
        undisturbed = new_workspace(folder / "undisturbed", proxy)
        status, text = Run(undisturbed, "all").finish()
        if status:
            raise RuntimeError(text)
        expected = built_files(undisturbed.data)
        by_name = {part.name: part for part in parts}
        for part in parts:
            part.begin()
        for number in itertools.count():
            workspace = new_workspace(folder / str(number), proxy)
            chain = Chain(workspace, proxy, by_name.get("kills"), by_name.get("faults"))
            fault = chain.fault(expected)
            parts[-1].count("build", fault and f"build {number}: {fault}")
            if fault is None:
                shutil.rmtree(workspace.folder, ignore_errors=True)
            if not [part for part in parts if part.goes_on]:
                return


def new_workspace(folder, proxy):
    """Return settings with which every stage has something to do for one symbol."""
    (folder / "tmp").mkdir(parents=True)
    endpoints = SandboxEndpoints.at(proxy.root)
    settings = settings_for(endpoints, with_api=True, symbols=["龙虾USDT"])
    (minutes,) = settings["datasets"]
    days = {**minutes, "interval": "1d", "results": {"funding": False}}
    minutes["results"] |= {"resample": [{"interval": "1h"}], "split": {"files": True}}
    settings |= {"datasets": [minutes, days]}
    return Workspace(folder, settings | {"as_of": "2025-03-09"})


class Chain:
    """One build in many runs, which are killed, or badly served, or both."""

    def __init__(self, workspace, proxy, kills, faults):
        self.workspace, self.proxy = workspace, proxy
        self.kills, self.faults = kills, faults
        self.part = kills or faults
        stages = self.part.random.sample(STAGES, len(STAGES)) if kills else []
        # Short stages are easily missed: those killed least come first.
        stages.sort(key=self.part.tried.__getitem__)
        self.due = set(stages[:STAGES_KILLED])
        """Stages that are still to be killed."""

    def fault(self, expected):
        """Run until all is there, and return in what it is not as expected."""
        targets = ("all", "verify_all") if "verify" in self.due else ("all",)
        for target in targets:
            if found := self._fault_of(target):
                return found
        if other := sorted(differing(built_files(self.workspace.data), expected)):
            return f"{len(other)} files differ: {', '.join(other[:3])}"
        return None

    def _fault_of(self, target):
        is_bad, undisturbed = self.faults is not None, 0
        while undisturbed < ATTEMPTS:
            goes_on = self.part.left_s > 0
            stage, (status, text) = self._one_run(
                target, goes_on=goes_on, is_bad=is_bad
            )
            if "Traceback (most recent call last)" in text:
                return text[text.index("Traceback") :][-2_000:]
            if text.startswith("hangs") or "MiB at once" in text[:20]:
                return text
            if status == 0 and stage is None:
                return None
            undisturbed += not is_bad and stage is None
            is_bad = (
                self.faults is not None and goes_on and self.part.random.random() < 0.5
            )
        return f"{target}: exit code {status} on a sound network: {text[-1_500:]}"

    def _one_run(self, target, *, goes_on, is_bad):
        """Run once; return the stage that was killed, if one was, and how it ended."""
        chance = self.part.random
        self.proxy.share = chance.choice(SHARES) if is_bad else 0.0
        before = self.proxy.served.copy()
        patience_s = chance.uniform(10, 60) if is_bad else HANG_S
        due = self.due if goes_on else set()
        run = Run(self.workspace, target, executor=chance.choice(EXECUTORS))
        stage = run.struck(due, chance, patience_s=patience_s)
        if stage is not None and self.kills is not None:
            self.kills.count(stage)
        self.due.discard(stage)
        ended = run.finish()
        for name, times in (self.proxy.served - before).items():
            self.faults.count(name, times=times)
        return stage, ended


class Run:
    """One run of Snakemake, which is watched while it lasts."""

    def __init__(self, workspace, target, *, executor="bhds"):
        self.fault = None
        self._said = workspace.folder / "said.txt"
        self._began = time.monotonic()
        # As Snakemake's --unlock does, without its three seconds.
        shutil.rmtree(workspace.data / ".snakemake" / "locks", ignore_errors=True)
        with self._said.open("w") as output:
            self._main = psutil.Popen(
                workspace.command(target, executor=executor),
                cwd=workspace.folder,
                # The budget of requests is kept there.
                env={**os.environ, "TMPDIR": str(workspace.folder / "tmp")},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def struck(self, due, chance, *, patience_s):
        """Kill the run in a stage that is due, which is returned, or if it is late."""
        while self._main.poll() is None:
            jobs = self._jobs()
            is_late = time.monotonic() - self._began > patience_s
            if not is_late and not due & jobs.keys():
                time.sleep(0.05)
                continue
            if patience_s == HANG_S and is_late:
                self.fault = f"hangs: more than {HANG_S} s"
            stage = chance.choice(sorted(due & jobs.keys()) or ["late"])
            job = jobs.get(stage)
            if job is not None:  # at some moment of it, or just as it has ended
                with suppress(psutil.TimeoutExpired):
                    job.wait(chance.random() * 1.5)
            self._kill(job, chance.choice(KILLS))
            return stage
        return None

    def finish(self):
        """Wait for the end; return the exit code, and what is wrong or was said."""
        try:
            status = self._main.wait(HANG_S)
        except psutil.TimeoutExpired:
            self.fault = f"hangs: more than {HANG_S} s"
            self._kill(None, "group")
            status = self._main.wait()
        # Jobs that outlive the main process meet those of the next run.
        return status, self.fault or self._said.read_text(errors="replace")

    def _kill(self, job, how):
        with suppress(psutil.NoSuchProcess, ProcessLookupError):
            if how == "job" and job is not None and job.is_running():
                job.kill()
            elif how == "main":
                self._main.kill()
            elif how == "terminate":
                self._main.terminate()
            else:
                os.killpg(self._main.pid, signal.SIGKILL)

    def _jobs(self):
        """Return a process of each stage that runs, and see what memory they take."""
        jobs = {}
        with suppress(psutil.NoSuchProcess):
            for process in self._main.children(recursive=True):
                with suppress(psutil.Error):
                    command = " ".join(process.cmdline())
                    used = process.memory_info().rss
                    if used > MEMORY_BOUND:
                        self.fault = f"{used >> 20} MiB at once: {command[-80:]}"
                    stage = OF_WORKER.get(process.name())
                    if found := OF_JOB.search(command):
                        stage = STAGE_OF[found[1]]
                    if stage is not None:
                        jobs[stage] = process
        return jobs
