"""The names that rules take from the plan.

Needs `config` and rules/settings.smk; defines DATA_DIR and the input and parameter
functions.
"""

import atexit
import gc
import os
import re
import sys
from datetime import UTC, datetime
from pathlib import Path

from bhds.status import failures, incomplete
from bhds.io import finished_jobs, job_log, places, runs, unknown_fields
from bhds import layout
from bhds import snakemake_hooks
from bhds import report as quality_report
from bhds.archive.download import aria2, ledger, progress, publication, unreachable
from bhds.archive.download import batch as download
from bhds.schemas.datatypes import BAR_TYPES, DATA_TYPES, FUNDING, RECORD_TYPES
from bhds.stages import fetch, phase
from bhds.backfill import refusal, unanswered, api_use
from bhds.core.errors import ConfigError
from bhds.parse import revisions, supplements, unusable_zips
from bhds.plan import command_line, plan_snapshot, prepare, space, summary
from bhds.plan import file_times, wrong_targets
from bhds.cleanup import stale_files
from bhds.plan.files import MISSING, PRESENT, REPLACED
from bhds.plan.plan import Plan
from bhds.plan.quality_tables import QualityTables
from bhds.plan.segment_files import SegmentFiles
from bhds.plan.series import Series
from bhds.quality import reconciliation
from bhds.stages import quality
from bhds.bars import build, funding, resample, split
from bhds.io.storage import read_parquet

# Building the graph makes millions of objects that all stay: collecting garbage among
# them was a sixth of the planning time (docs/performance.md).
gc.set_threshold(200_000, 50, 100)

if not OWNS_SETTINGS:
    with one_line_errors():
        SETTINGS = settings.load(config, environment=os.environ)
DATA_DIR = str(SETTINGS.data_dir)
with one_line_errors():
    places.make_data_dir(DATA_DIR)


def for_rules(function):
    """Let an error of a function of wildcards, which rules call, be one line.

    A plain function: Snakemake inspects it for each job (docs/performance.md).
    """

    def guarded(wildcards):
        try:
            return function(wildcards)
        except Exception:
            with one_line_errors():
                raise

    return guarded


NEEDS = {
    "parse_klines": (1600, 2),
    "parse_records": (1300, 10),
    "build_results": (2000, 2),
    "classify_gaps": (1500, 5),
    "collect_conflicts": (1500, 5),
    "classify_days": (2000, 5),
    "classify_record_days": (2000, 5),
}
"""Memory (MB) and time (minutes) of a job of a rule, where they differ from those of
the others; measured in docs/hpc.md. 400 MB are for Snakemake itself on a cluster."""
USUAL_NEEDS = (1500, 2)
HEAD_NODE_MB = 600
"""Memory of a job that downloads, sends requests or verifies. It runs on the head node of
a cluster, and its time is that of the network and the disk."""


def needs(rule):
    """Return the resources of a rule's jobs, which grow with each attempt on a cluster.

    On this machine they are numbers: Snakemake would call and inspect two functions for
    each job (docs/performance.md).
    """
    mem_mb, minutes = NEEDS.get(rule, USUAL_NEEDS)
    # The executor is not known yet, but how many jobs may be submitted is.
    if workflow.is_main_process and workflow.resource_settings.nodes is None:
        return {"mem_mb": mem_mb, "runtime": minutes}
    return {
        "mem_mb": lambda wildcards, attempt: mem_mb * attempt,
        "runtime": lambda wildcards, attempt: minutes * attempt,
    }


wildcard_constraints:
    **layout.FIELDS | {"data_type": "|".join(DATA_TYPES)},


def follow_plan():
    """Load the plan snapshot of the main process, in a job on another machine.

    Members of a group run one after another, because a group has the cores and memory
    of one. A failed member does not stop the others.
    """
    workflow.register_resource("members", 1)
    snakemake_hooks.keep_going()
    os.environ.update(finished_jobs.environment(Path()))
    return plan_snapshot.load(
        PLAN_SNAPSHOT, symbols=command_line.symbols_of_job(sys.argv)
    )


@one_line_errors()
def begin_run():
    """Record the run, and end with the command that started it, if any."""
    runs.end_with_parent(os.environ)
    if not IS_DRY_RUN:
        RUN.follow()
        asked = workflow.resource_settings
        if asked.cores is None and asked.nodes is None:
            msg = "cores: not given; expected how many jobs may run at once, as in "
            msg += "`snakemake -j 4 results_all`, or a profile that says so"
            raise ConfigError(msg)
        if message := runs.explain_lock(Path()):
            print(f"bhds: {message}", file=sys.stderr)
        atexit.register(runs.begin(Path(), scratch=str(workflow.snakemake_tmp_dir)))


def clean_after_killed_runs():
    """Remove stale temporary files of killed runs; make local jobs end with this one."""
    if runs.killed(Path()):
        found = stale_files.killed_writes(Path(), now=STARTED)
        stale_files.remove(found, data_dir=Path())
    runs.sweep(Path())
    os.environ.pop(runs.PARENT, None)
    if workflow.local_exec:
        os.environ.update(runs.with_parent({}))


@one_line_errors()
def repair_times():
    """Set the times of files from the future; a dry run only warns of them."""
    future = file_times.find(
        PLAN.datasets,
        listings=PLAN.listings,
        data_dir=Path(),
        now=file_times.present(Path()),
    )
    if future.message:
        end = "a run sets their times, and builds these again"
        print(f"bhds: warning: {future.message}; {end}", file=sys.stderr)
        if not IS_DRY_RUN:
            file_times.repair(future, data_dir=Path())


@one_line_errors()
def keep_outdated_partitions():
    """Keep partitions that are built again, to compare what the exchange replaced."""
    if not IS_DRY_RUN:
        for partition in PLAN.outdated_partitions:
            revisions.keep(partition, sources_path=layout.sources_of(partition))


def makes_segments():
    """Check whether this process, of a job elsewhere, may build files of segments."""
    rules_of_job = command_line.rules_of_job(sys.argv)
    # A workflow that uses this one as a module may have put something before the name.
    makers = ("collect_segments", "split_klines", "split_resampled_klines")
    return rules_of_job is None or any(name.endswith(makers) for name in rules_of_job)


def prepare_jobs_elsewhere():
    """Write the plan snapshot for jobs elsewhere, and forget which have finished."""
    if workflow.non_local_exec:
        plan_snapshot.dump(PLAN, PLAN_SNAPSHOT, made_at=STARTED)
        finished_jobs.forget(Path())
        snakemake_hooks.keep_groups_together(workflow.executor_plugin)


def listing_files(wildcards):
    """Locate the listings that the plan was made from."""
    return PLAN.listings


def raw_files(wildcards):
    """Locate every zip and CHECKSUM."""
    return PLAN.raw


def parsed_files(wildcards):
    """Locate every partition and its sources."""
    return PLAN.parsed


def api_files(wildcards):
    """Locate every backfill and its sources."""
    return PLAN.api


def result_files(wildcards):
    """Locate every result, its gaps, resampled files, and partitions without results."""
    return PLAN.results + PLAN.resampled + PLAN.funding + PLAN.without_results


def verification_files(wildcards):
    """Locate the tables of `verify_all`."""
    return PLAN.verifications


def resampled_files(wildcards):
    """Locate every resampled file."""
    return PLAN.resampled


def series_of(wildcards):
    """Return the series of a path; a path without a data type is of klines."""
    return Series(
        wildcards.trade_type,
        wildcards.get("data_type", "klines"),
        wildcards.symbol,
        wildcards.get("interval"),
    )


def funding_series_of(wildcards):
    """Return the series of funding events of a path."""
    return Series(wildcards.trade_type, FUNDING, wildcards.symbol, None)


@for_rules
def partition_archives(wildcards):
    """Locate the zips of one partition, unless they may be discarded."""
    zips = partition_zips(wildcards)
    return [] if zips.discards else zips.paths


@for_rules
def partition_zips(wildcards):
    """Return the zips of one partition, and whether its job fetches and discards them."""
    series = series_of(wildcards)
    paths = PLAN.partition(series, wildcards.partition).archives
    return fetch.PartitionZips(paths, PLAN.dataset(series).discards)


@for_rules
def partition_downloads(wildcards):
    """Return how many downloads a job runs that makes one partition."""
    return int(PLAN.dataset(series_of(wildcards)).discards)


@for_rules
def wanted_days(wildcards):
    """Return the first and last possible UTC day of one partition."""
    partition = PLAN.partition(series_of(wildcards), wildcards.partition)
    return {"first_day": partition.first_day, "last_day": partition.last_day}


@for_rules
def is_supplemented(wildcards):
    """Return whether daily zips supply the days that monthly zips miss."""
    return PLAN.dataset(series_of(wildcards)).is_supplemented


@for_rules
def parse_revision(wildcards):
    """Return what changes when zips yield another partition.

    That is the parser's number and, of zips that are no inputs, also their digest.
    """
    revision = DATA_TYPES[wildcards.data_type].revision
    digest = PLAN.partition(series_of(wildcards), wildcards.partition).digest
    return revision if digest is None else f"{revision} of {digest}"


@for_rules
def archived_partitions(wildcards):
    """Locate the partitions that a backfill completes; their sources are next to them."""
    return PLAN.archived_tables(series_of(wildcards))


@for_rules
def backfill_bounds(wildcards):
    """Return the bounds of a backfill: days, and whether the symbol may begin within.

    `requested_at` makes the parameters of a refused backfill differ, so that it is built
    again.
    """
    series = series_of(wildcards)
    requested_at = PLAN.requested_at.get(layout.backfill(*series))
    return {**PLAN.backfill(series)._asdict(), "requested_at": requested_at}


@for_rules
def phase_first_day(wildcards):
    """Return the first UTC day of a symbol whose 3d bar is requested."""
    return PLAN.phase_first_day(wildcards.trade_type, wildcards.symbol)


@for_rules
def phase_asked_at(wildcards):
    """Return the value that repeats a refused request for a 3d bar."""
    return PLAN.requested_at.get(
        PLAN.phase_path(wildcards.trade_type, wildcards.symbol)
    )


@for_rules
def kline_partitions(wildcards):
    """Locate the partitions and backfills of one series, in time order."""
    return PLAN.sources_of_result(series_of(wildcards))


@for_rules
def last_day(wildcards):
    """Return the last UTC day possible in the result of one series."""
    return PLAN.last_day(series_of(wildcards))


@for_rules
def funding_of_result(wildcards):
    """Locate the funding that is joined into a result, if it has any, in time order."""
    return PLAN.funding_sources(series_of(wildcards))


def funding_of_results(trade_type, interval):
    """Return a function that locates the funding of a symbol's result, if it has any."""

    @for_rules
    def funding(wildcards):
        return PLAN.funding_of(Series(trade_type, "klines", wildcards.symbol, interval))

    return funding


@for_rules
def funding_partitions(wildcards):
    """Locate the partitions and backfills of the funding of one symbol, in time order."""
    return PLAN.sources_of_result(funding_series_of(wildcards))


@for_rules
def end_of_funding(wildcards):
    """Locate the gaps of the result that shows whether a contract has ended."""
    return PLAN.end_of_funding(funding_series_of(wildcards))


@for_rules
def funding_last_day(wildcards):
    """Return the last UTC day possible in the funding of one symbol."""
    return PLAN.last_day(funding_series_of(wildcards))


@for_rules
def funding_unlisted(wildcards):
    """Return the periods in which a contract of funding was not listed."""
    return PLAN.unlisted(funding_series_of(wildcards))


@for_rules
def result_settings(wildcards):
    """Select the settings of one series that shape its result."""
    series = series_of(wildcards)
    results = PLAN.dataset(series).results
    return {
        "vwap": results.vwap,
        "fill": results.fill,
        "split": PLAN.split_rule(series),
        "has_ended": PLAN.has_ended(series),
        "is_trading": PLAN.is_trading(series),
        "unlisted": PLAN.unlisted(series),
        "contract_usd": PLAN.contract_usd(series.trade_type, series.symbol),
    }


def contract_usd_in(trade_type):
    """Return a function for the contract size of a symbol, if it is a contract."""

    @for_rules
    def contract_usd(wildcards):
        return PLAN.contract_usd(trade_type, wildcards.symbol)

    return contract_usd


def phase_of_3d_bars(group):
    """Return a function that locates the source of the phase of a symbol's 3d bars."""

    @for_rules
    def phase_of(wildcards):
        return PLAN.phase_of(group, wildcards.symbol)

    return phase_of


def quality_files(wildcards):
    """Locate the quality tables of every market."""
    return QUALITY.paths


def tables_of_symbols(what):
    """Return a function that locates a file next to the result of each symbol."""

    @for_rules
    def tables(wildcards):
        return QUALITY.of_symbols(what, wildcards.trade_type, wildcards.interval)

    return tables


@for_rules
def compared_days(wildcards):
    """Locate the days that differ from published bars, of symbols with such bars."""
    return QUALITY.not_reconciled(wildcards.trade_type, wildcards.interval)


@for_rules
def longer_published(wildcards):
    """Locate the partitions of bars that a result is compared with."""
    found = QUALITY.published(series_of(wildcards))
    return [path for paths in found.values() for path in paths]


@for_rules
def longer_intervals(wildcards):
    """Count these partitions by interval."""
    found = QUALITY.published(series_of(wildcards))
    return {interval: len(paths) for interval, paths in found.items()}


@for_rules
def record_partitions(wildcards):
    """Locate the partitions and backfills of one series without results, by symbol."""
    return QUALITY.record_partitions(wildcards.trade_type, wildcards.series)


@for_rules
def records_ended(wildcards):
    """Name the symbols of one series without results that are known to have ended."""
    return QUALITY.records_ended(wildcards.trade_type, wildcards.series)


@for_rules
def conditions_of_trades(wildcards):
    """Locate the sources with the days of trades."""
    return QUALITY.conditions_of_trades(wildcards.trade_type)


@for_rules
def conditions_of_bars(wildcards):
    """Locate the days of the bars that trades are compared with."""
    return QUALITY.conditions_of_bars(wildcards.trade_type)


def as_of(wildcards):
    """Return the last requested UTC day that has begun."""
    return min(SETTINGS.last_day(STARTED), STARTED.date())


@for_rules
def ends_of_klines(wildcards):
    """Return the last days of symbols whose results end before the others."""
    series = f"klines-{wildcards.interval}"
    return QUALITY.ends(wildcards.trade_type, series, as_of=as_of(wildcards))


@for_rules
def ends_of_records(wildcards):
    """Return the last days of symbols whose records end before the others."""
    series = wildcards.series
    return QUALITY.ends(wildcards.trade_type, series, as_of=as_of(wildcards))


@for_rules
def split_results(wildcards):
    """Locate the results that are split into files."""
    return SEGMENTS.results(wildcards.trade_type, wildcards.interval)


def split_files(wildcards):
    """Locate every segment file, after the checkpoint that lists them."""
    paths = []
    for trade_type, interval in SEGMENTS.series:
        table = checkpoints.collect_segments.get(
            trade_type=trade_type, interval=interval
        )
        segments = read_parquet(table.output.segments, columns=["name", "symbol"])
        paths += SEGMENTS.paths(trade_type, interval, dict(segments.rows()))
    return paths


def segment_folders(wildcards):
    """Locate the folders that segment files are written to."""
    return SEGMENTS.folders(wildcards.trade_type, wildcards.interval)


def result_of_segment(wildcards):
    """Locate the result that a segment file is cut from."""
    symbol = split.symbol_of(wildcards.segment)
    return layout.result(wildcards.trade_type, wildcards.interval, symbol)


def resampled_of_segment(wildcards):
    """Locate the resampled file that a segment file is cut from."""
    symbol = split.symbol_of(wildcards.segment)
    return layout.resampled(wildcards.trade_type, wildcards.rule, symbol)


@for_rules
def segments_of_rule(wildcards):
    """Locate the table of the segments that a rule's files are cut by."""
    symbol = split.symbol_of(wildcards.segment)
    interval = PLAN.base_interval(wildcards.trade_type, wildcards.rule, symbol)
    return layout.segments(wildcards.trade_type, interval)


def listings_of(batch):
    """Locate the listings that revealed a new revision of a batch's files."""
    return PLAN.listings if batch.state == REPLACED else []


def kept_until_replaced(batch, paths):
    """Flag files on disk, so that the old revision outlives a download that fails."""
    return paths if batch.state == MISSING else update(paths)


def requested_at(batch):
    """Return what puts files out of date that were there before.

    Their partitions may be up to date: then Snakemake would not miss them.
    """
    return STARTED.isoformat() if batch.is_repeated else None


def fetch_options(batch):
    """Return how a job downloads its files."""
    return fetch.FetchOptions(
        SETTINGS.endpoints.archive_download,
        SETTINGS.download_http,
        offline=SETTINGS.offline,
        keeps_sound=batch.state == PRESENT,
    )


def begin_downloads(due):
    """Record the total of some batches for the progress of the jobs.

    Where nothing may be downloaded, record for the jobs that they cannot be done.
    """
    files = sum(len(batch.zips) + len(batch.checksums) for batch in due)
    progress.begin_run(Path(), files=files, size_bytes=bytes_of(due))
    missing = [path for batch in due if batch.state != PRESENT for path in batch.zips]
    if missing and SETTINGS.offline:
        unreachable.forbid(Path(), missing=missing)


def bytes_of(batches):
    """Sum what some batches download."""
    return sum(batch.size_bytes for batch in batches if batch.state != PRESENT)


@one_line_errors()
def begin_module():
    """Begin the downloads of a module: its handlers may not be called."""
    if not OWNS_SETTINGS and not IS_DRY_RUN and not runs.explain_lock(Path()):
        begin_downloads(PLAN.batches)


@one_line_errors()
def announce_downloads():
    """Check for aria2c and disk space, and begin the downloads that are due."""
    # A workflow that uses this one as a module may have put something before the name.
    rules_due = {name[name.rfind("fetch_archives_") :] for name in RUN.rules}
    due = [
        b for n, b in enumerate(PLAN.batches) if f"fetch_archives_{n:05d}" in rules_due
    ]
    if due and not SETTINGS.offline:
        aria2.find_executable()
    space.check_room(Path(), due_bytes=0 if SETTINGS.offline else bytes_of(due))
    begin_downloads(due)


def keep_partitions_due():
    """Keep partitions that are built again: their rows may stand for discarded zips."""
    for job in workflow.dag.needrun_jobs():
        if job.rule.name.endswith(("parse_klines", "parse_records")):
            partition = job.output.partition
            revisions.keep(partition, sources_path=layout.sources_of(partition))


def print_failures():
    """Print the failed jobs, and failed members of groups, at the end of a run."""
    if RUN.is_interrupted:
        if not IS_BY_COMMAND:  # which prints it itself
            print(failures.CONTINUE, file=sys.stderr)
        return
    failed = failures.unmade(RUN.failed, data_dir=Path())
    if failed and not job_log.is_quiet():  # or else they were shown as they failed
        print(failures.message(failed), file=sys.stderr)


def report_incomplete():
    """Return one line per kind of incomplete files, of this run or an earlier one."""
    return incomplete.report(
        Path(), since=STARTED, selects=lambda path: path in PLAN.selected
    )


def print_incomplete():
    """Print at the end of a run what it leaves incomplete; return whether it does."""
    if message := refusal.message(Path()):
        print(message, file=sys.stderr)
    lines = report_incomplete()
    print(*lines, sep="\n", end="\n" * bool(lines), file=sys.stderr)
    return bool(lines)


def fail_if_incomplete(is_incomplete):
    """End with exit code 1 and one line if the settings say so."""
    if is_incomplete and SETTINGS.fail_on_incomplete:
        sys.exit("bhds: error: not complete, see above; fail_on_incomplete is true")


@for_rules
def refuse_target(wildcards):
    """End with one line that names the nearest target."""
    raise ConfigError(WRONG_TARGETS[wildcards.target])


def left_incomplete():
    """Name a file that is never there if earlier runs left something incomplete.

    Targets need it: where nothing is to be done, Snakemake would end without a word,
    and with exit code 0.
    """
    if not PLANS or IS_DRY_RUN or not workflow.is_main_process:
        return []
    if not report_incomplete():
        return []
    INCOMPLETE.unlink(missing_ok=True)
    return [str(INCOMPLETE)]
