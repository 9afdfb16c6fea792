"""The stages of a run, as people call them, and what a job of each usually takes."""

import re
from typing import NamedTuple


class Stage(NamedTuple):
    """One stage: its name, and how long a job of it takes until that was measured."""

    name: str
    usual_s: float
    """Wall seconds of one job on one core (docs/performance.md); 0 of a download,
    whose time depends on the network."""


DOWNLOAD = Stage("download", 0.0)
STAGES = (
    DOWNLOAD,
    Stage("verify", 1.0),
    Stage("parse", 1.0),
    Stage("backfill", 2.0),
    Stage("results", 3.0),
    Stage("resample", 2.0),
    Stage("split", 0.5),
    Stage("quality", 1.0),
    Stage("report", 3.0),
)
"""In the order in which files pass through them."""

_VERBS = {
    "fetch_archives_[0-9]+": "download",
    "verify_archives": "verify",
    "parse_(?:klines|records)": "parse",
    "backfill": "backfill",
    "build": "results",
    "resample_klines_[a-z]+": "resample",
    "(?:split(?:_resampled)?_klines|collect_segments)": "split",
    "(?:classify|reconcile|collect)": "quality",
    "write_report": "report",
}
# A workflow that uses this one as a module may have put something before the name.
_NAMED = [(re.compile(rf"(?:^|_){verb}(?:_|$)"), name) for verb, name in _VERBS.items()]
_BY_NAME = {stage.name: stage for stage in STAGES}


_TARGET = re.compile("(?:.*_)?(?:all|listings|report|fetch_archives|resample_klines)")


def is_target(rule: str) -> bool:
    """Check whether a rule only stands for others, by its name."""
    return stage_of(rule) is None and _TARGET.fullmatch(rule) is not None


def stage_of(rule: str) -> Stage | None:
    """Return the stage of a rule by the rule's name; None for targets."""
    for pattern, name in _NAMED:
        if pattern.search(rule):
            return _BY_NAME[name]
    return None
