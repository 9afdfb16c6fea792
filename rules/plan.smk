"""The plan, made once from the listings, the ledger and the disk.

The main process refreshes listings that are older than `listing.max_age_hours`, so that
a dry run plans with the server's present files. For jobs elsewhere it writes the plan
snapshot, which they follow, without later changes.
--lint, --unlock and the like need no plan.
"""

STARTED = datetime.now(UTC)
IS_BY_COMMAND = runs.PARENT in os.environ
IS_DRY_RUN = workflow.output_settings.dryrun
PLANS = not command_line.asks_nothing(sys.argv)
RUN = failures.RunRecords()
PLAN_SNAPSHOT = Path(".snakemake/bhds-plan.parquet")

if PLANS and workflow.is_main_process:
    begin_run()

with one_line_errors():
    if not workflow.is_main_process:
        PLAN, STARTED = follow_plan()
    elif PLANS:
        if not IS_DRY_RUN:
            refusal.forget(Path())
        PLAN = prepare.plan(
            SETTINGS,
            targets=sys.argv[1:],
            data_dir=Path(),
            now=STARTED,
            online=True,
            record=not IS_DRY_RUN,
            lists_files=command_line.lists_files(sys.argv),
        )
    else:
        PLAN = Plan([])

if PLANS and workflow.is_main_process:
    repair_times()
    keep_outdated_partitions()
    begin_module()

INCOMPLETE = Path(".snakemake/bhds-incomplete")
LEFT_INCOMPLETE = left_incomplete()

QUALITY = QualityTables(PLAN)
SEGMENTS = SegmentFiles(PLAN)

if PLANS and workflow.is_main_process:
    summary.show(PLAN.datasets, file=sys.stderr)


onstart:
    with one_line_errors():
        clean_after_killed_runs()
        publication.forget_notes(Path())
        ledger.compact(Path())
        revisions.compact(Path())
        supplements.compact(Path())
        unusable_zips.compact(Path())
        unanswered.compact(Path())
        api_use.compact(Path())
        unknown_fields.forget(Path())
        keep_partitions_due()
    announce_downloads()
    prepare_jobs_elsewhere()


onsuccess:
    fail_if_incomplete(print_incomplete())


onerror:
    publication.publish_noted(Path())
    print_incomplete()
    print_failures()


snakemake_hooks.spare_input_sizes()
