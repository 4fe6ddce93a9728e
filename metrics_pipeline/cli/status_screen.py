"""The status on one screen of 80 columns."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from metrics_pipeline.cli.words import ago
from metrics_pipeline.monitor.status import Freshness, JobStats, Performance, Recommendation, SlowRun, Status
from metrics_pipeline.monitor.wording import age, counted

_COLOURS = {"healthy": "green", "idle": "cyan", "warning": "yellow", "critical": "bold red"}
_SIGNS = {"healthy": "✓", "warning": "!", "critical": "✗"}
_URGENCY = {"high": "bold red", "medium": "yellow", "low": "cyan"}
_SHOWN_OF_SAMPLE = 2


def screen(status: Status) -> RenderableType:
    """Verdict first, then numbers, then what to do."""
    health = status.health
    verdict = Text.assemble((health.status.upper(), _COLOURS[health.status]), "  ", health.message)
    hours = (status.at - status.window_from_at).total_seconds() / 3600
    since = Text(f"{status.at:%Y-%m-%d %H:%M:%S} UTC, runs and reads of the last {hours:.3g} hours", "dim")
    parts: list[RenderableType] = [verdict, since, "", _jobs(status), "", _facts(status)]
    if status.recommendations:
        parts += ["", Text("To do", "bold"), _recommendations(status.recommendations)]
    return Group(*parts)


def slow_table(runs: Sequence[SlowRun]) -> Table:
    """The runs that took long; ids are as the UI shows them."""
    table = Table(box=None, pad_edge=False)
    for name in ("Run", "Job"):
        table.add_column(name, no_wrap=True)
    for name in ("Seconds", "Accounts", "Rows"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("Why")
    for run in runs:
        table.add_row(
            run.run_id[:8],
            f"{run.job} {run.kind}",
            f"{run.seconds:.1f}" + ("" if run.state != "running" else "+"),
            _number(run.accounts),
            _number(run.rows_read),
            Text(run.why, "red" if run.state == "failed" else "") + (" (failed)" if run.state == "failed" else ""),
        )
    return table


def _jobs(status: Status) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("Runs", no_wrap=True)
    for name in ("ended", "failed", "under way", "average", "p50", "p95", "last"):
        table.add_column(name, justify="right", no_wrap=True)
    for name, stats in (("calculations", status.calculation), ("refreshes", status.refresh)):
        table.add_row(name, *_job_cells(status, stats))
    return table


def _job_cells(status: Status, stats: JobStats) -> list[str | Text]:
    last = "" if stats.last_at is None else ago((status.at - stats.last_at).total_seconds())
    return [
        f"{stats.executions:,}",
        Text(f"{stats.failed:,}", "red" if stats.failed else ""),
        f"{stats.running + stats.queued:,}",
        *(_seconds(value) for value in (stats.average_s, stats.p50_s, stats.p95_s)),
        Text(last, "red" if stats.last_state == "failed" else ""),
    ]


def _facts(status: Status) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("Waiting", _waiting(status.freshness))
    table.add_row("Published", _published(status.freshness))
    table.add_row("Cache", _cache(status.performance))
    stale = sum(lock.stale for lock in status.locks)
    table.add_row("Locks", f"{len(status.locks)} held, {stale} stale" if status.locks else "none held")
    table.add_row("Slow runs", _slow(status))
    checks = [
        Text(f"{_SIGNS[check.level]} {check.name.replace('_', ' ')}".replace(" ", "\u00a0"), _COLOURS[check.level])
        for check in status.health.checks
    ]
    table.add_row("Checks", Text("  ").join(checks))
    return table


def _waiting(freshness: Freshness) -> str:
    if freshness.oldest_s is None:
        return "nothing: every change is published"
    return (
        f"{counted(freshness.log_changes, 'logged change')}, {counted(freshness.stale_periods, 'stale period')}; "
        f"oldest {age(freshness.oldest_s)}"
    )


def _published(freshness: Freshness) -> str:
    if freshness.published_last_s is None:
        return "no change yet"
    named = {
        "p50": freshness.published_p50_s,
        "p95": freshness.published_p95_s,
        "worst": freshness.published_worst_s,
        "last": freshness.published_last_s,
    }
    return "after a change: " + ", ".join(f"{name} {_seconds(value)}" for name, value in named.items())


def _cache(performance: Performance) -> str:
    if performance.hit_rate is None:
        return "no reads"
    peak = performance.peak_hour
    busiest = f"; most in an hour: {peak.reads:,} from {peak.hour_at:%H:%M} UTC" if peak else ""
    return f"{performance.hit_rate:.1%} of {counted(performance.reads, 'read')} hit{busiest}"


def _slow(status: Status) -> str:
    performance = status.performance
    if not status.slow_runs and not performance.over_warning:
        return "none"
    return (
        f"{len(status.slow_runs)}; {performance.over_target} over {performance.target_s:.0f} s, "
        f"{performance.over_warning} over {performance.warning_s:.0f} s"
    )


def _recommendations(found: Sequence[Recommendation]) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for each in found:
        said = Text(each.message)
        for line in each.sample[:_SHOWN_OF_SAMPLE]:
            said.append(f"\n{line}", "dim")
        said.append("\n→ ", "dim").append(each.command, "bold")
        table.add_row(Text(each.priority, _URGENCY[each.priority]), said)
    return table


def _seconds(value: float | None) -> str:
    return "" if value is None else age(value)


def _number(value: int | None) -> str:
    return "" if value is None else f"{value:,}"
