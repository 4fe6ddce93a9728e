"""What a receiver has to be told, from what is so and what it was told last. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from metrics_pipeline.monitor.facts import RunFact
from metrics_pipeline.monitor.status import Status
from metrics_pipeline.monitor.wording import counted
from metrics_pipeline.periods import Grain

_SAMPLE = 5
_LEVELS = ("healthy", "warning", "critical")
_SETTLED = timedelta(seconds=5)  # Dagster records that a run failed, and a moment later whether it is retried


@dataclass(frozen=True)
class Decision:
    """What the receiver knows afterwards, and what it must be sent for that; None: nothing."""

    known: Mapping[str, Any]
    message: Mapping[str, Any] | None


def about_health(status: Status, known: Mapping[str, Any]) -> Decision:
    """Tell a verdict that changed, and a check that got worse.

    A check counts as bad as it was in the better of this look and the one before: a worker that is just
    starting, or did not answer once, is nobody's business. To begin with, all is assumed to be well.
    """
    seen = {check.name: check.level for check in status.health.checks if check.level != "healthy"}
    checks = {
        name: min(level, known["seen"][name], key=_LEVELS.index)
        for name, level in seen.items()
        if name in known.get("seen", {})
    }
    verdict = max(checks.values(), default="healthy", key=_LEVELS.index)
    was, told = known.get("health", "healthy"), known.get("checks", {})
    after = {"health": verdict, "checks": checks, "seen": seen}
    worse = any(_LEVELS.index(level) > _LEVELS.index(told.get(name, "healthy")) for name, level in checks.items())
    if not worse and verdict == was:
        return Decision(after, None)
    found = [check for check in status.health.checks if check.name in checks]
    message = "; ".join(check.said for check in found) + "." if found else "what was wrong is over."
    document = status.as_dict()
    return Decision(
        after,
        {
            "kind": "health",
            "text": f"metrics_pipeline is {verdict.upper()} (was {was}): {message}"
            + "".join(f" To do: {each.command}" for each in status.recommendations[:1] if found),
            "was": was,
            "health": verdict,
            "message": message,
            "checks": [check for check in document["health"]["checks"] if check["name"] in checks],
            "recommendations": document["recommendations"],
        },
    )


def about_failures(runs: Sequence[RunFact], known: Mapping[str, Any], now: datetime) -> Decision:
    """Tell of runs that failed for good since the last time: by their ids, as records may come late."""
    failed = [
        run
        for run in runs
        if run.state == "failed" and not run.will_retry and (run.ended_at or run.created_at) <= now - _SETTLED
    ]
    told = set(known.get("run_ids", ()))
    new = [run for run in failed if run.run_id not in told]
    after = {"run_ids": sorted(run.run_id for run in failed)}
    if not new:
        return Decision(after, None)
    shown = [f"{run.job} {run.kind} {run.partitions} (run {run.run_id})" for run in new[:_SAMPLE]]
    more = [f"{len(new) - _SAMPLE:,} more"] if len(new) > _SAMPLE else []
    return Decision(
        after,
        {
            "kind": "failures",
            "text": f"metrics_pipeline: {counted(len(new), 'run')} failed and will not be retried: "
            f"{'; '.join([*shown, *more])}. To do: metrics-pipeline status",
            "count": len(new),
            "runs": [
                {"run_id": run.run_id, "job": run.job, "kind": run.kind, "partitions": run.partitions}
                for run in new[:_SAMPLE]
            ],
        },
    )


def about_the_hour(runs: Sequence[RunFact], status: Status, known: Mapping[str, Any]) -> Decision:
    """Ping when each grain's latest hourly calculation succeeded, all are newer than those of the last ping,
    and nothing is critical."""
    hours = []
    for grain in Grain:
        scheduled = [run for run in runs if run.job == grain.adverb and run.scheduled_for]
        hour = max((datetime.fromisoformat(str(run.scheduled_for)) for run in scheduled), default=None)
        if hour is None:
            return Decision(known, None)
        latest = [run for run in scheduled if datetime.fromisoformat(str(run.scheduled_for)) == hour]
        if not all(run.state == "succeeded" or run.replaced for run in latest):
            return Decision(known, None)
        hours.append(hour)
    hour = min(hours)
    last = known.get("hour")
    if status.health.status == "critical" or (last and hour <= datetime.fromisoformat(last)):
        return Decision(known, None)
    return Decision({"hour": hour.isoformat()}, {"kind": "heartbeat"})
