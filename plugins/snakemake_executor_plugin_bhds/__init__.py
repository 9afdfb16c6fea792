"""Snakemake's local executor, with processes that run one script after another.

`snakemake --executor bhds`. What is no plain script runs as it does locally.
"""

import queue
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from snakemake.exceptions import SpawnedJobError
from snakemake.executors import local
from snakemake_interface_executor_plugins.settings import CommonSettings

from bhds.io.script_worker import ScriptWorker

common_settings = CommonSettings(
    non_local_exec=False,
    implies_no_shared_fs=False,
    job_deploy_sources=False,
    pass_envvar_declarations_to_cmd=True,
    auto_deploy_default_storage_provider=False,
)


class Executor(local.Executor):
    """Runs jobs on this machine."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._idle: queue.LifoQueue[ScriptWorker] = queue.LifoQueue()
        self._workers: list[ScriptWorker] = []

    def run_single_job(self, job: Any) -> Future[None]:
        """Start a job; return what is done when it has ended."""
        script = self._plain_script(job)
        if script is None:
            return super().run_single_job(job)
        self.workflow.async_run(job.prepare())
        described = SimpleNamespace(
            input=job.input._plainstrings(),
            output=job.output._plainstrings(),
            params=job.params,
            wildcards=job.wildcards,
            threads=job.threads,
            log=job.log._plainstrings(),
            config=job.rule.run_func.__globals__["config"],
        )
        return self.pool.submit(self._run_script, script, described)

    def shutdown(self) -> None:
        """Wait for the jobs that run; end all processes."""
        super().shutdown()
        self._end_workers()

    def cancel(self) -> None:
        """End all processes, and the jobs that they run."""
        self._end_workers()
        super().cancel()

    def _plain_script(self, job: Any) -> Path | None:
        rule = job.rule
        needs_more = (
            job.is_shadow
            or rule.benchmark
            or self.workflow.deployment_settings.deployment_method
            or not str(rule.script or "").endswith(".py")
        )
        if needs_more:
            return None
        folder = rule.basedir.get_path_or_uri(secret_free=True)
        script = Path(folder, rule.script)
        return script if script.is_file() else None

    def _run_script(self, script: Path, described: object) -> None:
        try:
            worker = self._idle.get_nowait()
        except queue.Empty:
            worker = ScriptWorker()
            self._workers.append(worker)
        code = worker.run(script, described)
        if worker.is_reusable:
            self._idle.put(worker)
        else:
            worker.end()
            self._workers.remove(worker)
        if code:
            raise SpawnedJobError

    def _end_workers(self) -> None:
        for worker in [*self._workers]:  # each leaves the list when it has ended
            worker.end()
