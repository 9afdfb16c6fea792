"""The changes of Snakemake from within fit the installed version, or warn."""

import asyncio
import dataclasses
import inspect
from types import SimpleNamespace

import pytest
from snakemake.scheduling.greedy import Scheduler, SchedulerSettings
from snakemake.scheduling.job_scheduler import JobScheduler
from snakemake.settings.types import ExecutionSettings
from snakemake_interface_executor_plugins.registry import ExecutorPluginRegistry

from bhds import snakemake_hooks


@pytest.fixture(autouse=True)
def unchanged(monkeypatch):
    """Snakemake as it is after each test."""
    for changed, name in (
        (JobScheduler, "update_input_sizes"),
        (ExecutionSettings, "keep_going"),
    ):
        monkeypatch.setattr(changed, name, inspect.getattr_static(changed, name))


@pytest.fixture
def scheduler(monkeypatch):
    """Return a function that makes a scheduler, which counts requests for sizes."""

    async def ask(scheduler, jobs):
        scheduler.requested += list(jobs)

    monkeypatch.setattr(JobScheduler, "update_input_sizes", ask)

    def make(*, omits):
        settings = SchedulerSettings(omit_prioritize_by_temp_and_input=omits)
        made = object.__new__(JobScheduler)
        made._scheduler = Scheduler(None, settings, None)
        made.requested = []
        return made

    return make


@pytest.mark.parametrize(("omits", "requested"), [(True, []), (False, ["job"])])
def test_sizes_are_requested_only_where_the_order_depends_on_them(
    scheduler, omits, requested
):
    made = scheduler(omits=omits)

    assert snakemake_hooks.spare_input_sizes()
    asyncio.run(made.update_input_sizes(["job"]))

    assert made.requested == requested


def test_the_scheduler_still_requests_sizes_in_the_function_that_is_replaced():
    assert list(inspect.signature(JobScheduler.update_input_sizes).parameters) == [
        "self",
        "jobs",
    ]
    source = inspect.getsource(JobScheduler)
    assert "self.update_input_sizes(" in source
    assert "self._scheduler = scheduler" in source


def test_settings_of_a_job_elsewhere_are_to_go_on_after_a_failure():
    assert not ExecutionSettings().keep_going

    assert snakemake_hooks.keep_going()

    assert ExecutionSettings(keep_going=False).keep_going


def test_an_executor_passes_on_how_groups_are_formed():
    plugin = ExecutorPluginRegistry().get_plugin("local")
    settings = dataclasses.replace(plugin.common_settings)
    assert not settings.pass_group_args

    assert snakemake_hooks.keep_groups_together(
        SimpleNamespace(common_settings=settings)
    )

    assert settings.pass_group_args


@pytest.mark.parametrize(
    ("hook", "consequence"),
    [
        (snakemake_hooks.spare_input_sizes, "takes longer"),
        (snakemake_hooks.keep_going, "stops the others"),
        (lambda: snakemake_hooks.keep_groups_together(object()), "of its own"),
    ],
)
@pytest.mark.parametrize(
    "classes",
    [{}, {"JobScheduler": object, "ExecutionSettings": object}],
    ids=["without the class", "without the attribute"],
)
def test_another_snakemake_is_left_as_it_is_with_a_warning(
    monkeypatch, caplog, hook, consequence, classes
):
    monkeypatch.setattr(
        snakemake_hooks, "import_module", lambda _: SimpleNamespace(**classes)
    )

    assert not hook()

    (record,) = caplog.records
    assert consequence in record.getMessage()
