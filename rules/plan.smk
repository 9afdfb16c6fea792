"""The plan, made once from the listings, the ledger and the disk.

The main process refreshes listings that are older than `listing.max_age_h`, so that
a dry run plans against what the server has now; a job's own process takes them as
they are. --lint, --unlock and the like need no plan.
"""

STARTED = datetime.now(UTC)
PLANS = not prepare.asks_nothing(sys.argv)

with one_line_errors():
    PLAN = (
        prepare.plan(
            SETTINGS,
            targets=sys.argv[1:],
            data_dir=Path(),
            now=STARTED,
            online=workflow.is_main_process,
        )
        if PLANS
        else Plan([])
    )

QUALITY = QualityTables(PLAN)

if PLANS and workflow.is_main_process:
    summary.show(PLAN.datasets, file=sys.stderr)


onstart:
    ledger.compact(Path())
    revisions.compact(Path())
    unanswered.compact(Path())
    usage.compact(Path())
    refusal.forget(Path())
    for partition in PLAN.outdated_partitions:
        revisions.keep(
            f"{partition}.parquet", sources_path=f"{partition}.sources.json"
        )
    announce_downloads()


onsuccess:
    tell_unanswered()


onerror:
    tell_unanswered()


hand_on_handlers()
