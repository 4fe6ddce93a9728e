"""The sensor that drops what changed from the cache while `expense_changes` is between two ticks."""

import time
from typing import Any

import dagster as dg

from metrics_pipeline.changes.absorb import Absorbed
from metrics_pipeline.pipeline import Pipeline

NAME = "expense_changes_watch"

AT_EVERY_TURN_SECONDS = 4
"""The daemon takes its turns five seconds apart, give or take a few milliseconds: a sensor that may be asked every five
is passed over at every other turn, as it happens."""

# Whoever requests runs must end its tick to do so, and is asked again at the daemon's next turn, up to five seconds
# later. This one requests none, and so pauses only at every other turn. A longer tick would hold up Ctrl-C.
_WATCH_SECONDS = 9.0
_LOOK_EVERY_SECONDS = 0.25
_ABSORB_SECONDS = 1.5


@dg.sensor(
    name=NAME,
    minimum_interval_seconds=AT_EVERY_TURN_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Takes the log of expense changes without a pause, marks the periods that they make stale and drops "
    "their cache entries, also while `expense_changes` has its runs submitted. It requests nothing itself. Turned "
    "off, entries are dropped up to five seconds later, by `expense_changes`.",
)
def expense_changes_watch(context: dg.SensorEvaluationContext, pipeline: dg.ResourceParam[Pipeline]) -> dg.SensorResult:
    """One long tick: absorb and drop, look again, until it is time to let the daemon know that all is well."""
    deadline = time.monotonic() + _WATCH_SECONDS
    absorbed = Absorbed()
    while True:
        absorbed += pipeline.absorb_changes(seconds=_ABSORB_SECONDS)
        if time.monotonic() > deadline:
            break
        if not absorbed.more:
            time.sleep(_LOOK_EVERY_SECONDS)
    seen = dg.AssetObservation("expenses", metadata=absorbed_metadata(absorbed))
    return dg.SensorResult(
        skip_reason=f"{told(absorbed)}.", asset_events=[seen] if absorbed.changes or absorbed.missed else []
    )


def absorbed_metadata(absorbed: Absorbed) -> dict[str, Any]:
    """What absorbing did, for an observation of the expenses."""
    return {
        "changes": absorbed.changes,
        "marked_periods": absorbed.marks,
        "outside_partitions": absorbed.outside,
        "everything_marked": absorbed.missed,
    }


def told(absorbed: Absorbed) -> str:
    """What absorbing did, in words."""
    words = f"absorbed {absorbed.changes} changes, which mark {absorbed.marks} periods of accounts stale"
    if absorbed.outside:
        words += f" ({absorbed.outside} are outside the partitions' range and concern none)"
    if absorbed.missed:
        words += "; changes could not be logged (see `metrics-pipeline check`), so everything counts as stale"
    return words
