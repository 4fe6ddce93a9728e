"""Who asked for a run: a tag says so, and every payload that the run writes repeats it."""

from collections.abc import Mapping
from typing import get_args

from metrics_pipeline.errors import BadRequest
from metrics_pipeline.metrics.payload import ComputedBy

TRIGGER_TAG = "metrics/trigger"
ONLY_STALE_TAG = "metrics/only_stale"
"""On the runs of a backfill of stale periods, which no run config reaches."""

SHARD_TAG = "metrics/shard"
"""On the runs that divide the accounts of one tick: tells them apart in the UI."""

_BACKFILL_TAG = "dagster/backfill"


def computed_by(tags: Mapping[str, str]) -> ComputedBy:
    """From a run's tags: what the trigger tag names; else a backfill, or a person."""
    trigger = tags.get(TRIGGER_TAG) or ("backfill" if _BACKFILL_TAG in tags else "manual")
    for known in get_args(ComputedBy):
        if trigger == known:
            return known  # type: ignore[no-any-return]
    raise BadRequest(f"The run's tag {TRIGGER_TAG} is {trigger!r}; use one of {', '.join(get_args(ComputedBy))}.")
