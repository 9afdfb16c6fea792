"""Refuse targets that cannot be built.

Of those that are no target, the command line has options and their values too; they do no
harm, because nobody requests them as files.
"""

WRONG_TARGETS = wrong_targets.find(
    sys.argv[1:],
    names={rule.name for rule in workflow.rules},
    data_dir=SETTINGS.data_dir,
    is_archived=PLAN.is_in_archive,
)

if WRONG_TARGETS:

    rule no_such_target:
        """Say which target is the nearest."""
        input:
            refuse_target,
        output:
            "{target}",
        wildcard_constraints:
            target="|".join(map(re.escape, WRONG_TARGETS)),
        localrule: True
