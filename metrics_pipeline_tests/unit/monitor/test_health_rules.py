"""Each rule of health and each recommendation, on both sides of its line."""

from __future__ import annotations

from datetime import timedelta

import pytest

from metrics_pipeline.monitor.facts import CacheFacts, Machinery, SnapshotHolder, Undelivered, Waiting
from metrics_pipeline.monitor.health import CHECKS
from metrics_pipeline.monitor.limits import Limits
from metrics_pipeline.monitor.status import Recommendation, Status
from metrics_pipeline.periods import Grain, Period
from metrics_pipeline.planning.refreshing import StalePeriod
from metrics_pipeline.source.capture import CaptureProblem
from metrics_pipeline_tests.unit.monitor.healthy_day import AT_WORK, NOW, a_run, ago, failing, locks, reads

WINDOW = Limits().window
PROBLEM = CaptureProblem("Trigger t on expenses is disabled.", "Run `metrics-pipeline migrate`.")


def stale_for(seconds: float) -> Waiting:
    period = Period.holding(Grain.DAY, NOW.date())
    return Waiting(stale=[StalePeriod(period, 3, False, ago(seconds), ago(1))])


def level(status: Status, check: str) -> str:
    (found,) = [each.level for each in status.health.checks if each.name == check]
    return found


def advice(status: Status) -> dict[str, Recommendation]:
    """By command: what is recommended."""
    return {each.command: each for each in status.recommendations}


def test_a_good_day_is_healthy_and_nothing_is_to_do(assessed):
    status = assessed()
    assert status.health.status == "healthy"
    assert tuple(check.name for check in status.health.checks) == CHECKS
    assert {check.level for check in status.health.checks} == {"healthy"}
    assert status.recommendations == []


@pytest.mark.parametrize(
    ("facts", "check", "expected"),
    [
        ({"runs": failing(1, 20)}, "failures", "healthy"),  # 5 % is not above 5 %
        ({"runs": failing(2, 39)}, "failures", "warning"),
        ({"runs": failing(2, 20)}, "failures", "warning"),  # 10 % is not above 10 %
        ({"runs": failing(3, 29)}, "failures", "critical"),
        ({"runs": [*failing(0, 500, "refresh"), *failing(2, 4)]}, "failures", "critical"),
        ({"runs": [a_run(n, state="canceled") for n in range(9)]}, "failures", "healthy"),
        ({"waiting": stale_for(3600)}, "staleness", "healthy"),
        ({"waiting": stale_for(3601)}, "staleness", "critical"),
        ({"waiting": Waiting(changes=1, oldest_change_at=ago(3600))}, "staleness", "healthy"),
        ({"waiting": Waiting(changes=1, oldest_change_at=ago(3601))}, "staleness", "critical"),
        ({"runs": [a_run(seconds=30.0)]}, "duration", "healthy"),
        ({"runs": [a_run(seconds=30.1)]}, "duration", "warning"),
        ({"runs": [a_run(seconds=31), *(a_run(kind="refresh") for _ in range(99))]}, "duration", "warning"),
        ({"runs": [a_run(n, seconds=31) for n in range(10)]}, "slow_runs", "healthy"),
        ({"runs": [a_run(n, seconds=31) for n in range(11)]}, "slow_runs", "warning"),
        ({"cache": locks(False, False)}, "locks", "healthy"),
        ({"cache": locks(False, True)}, "locks", "warning"),
        ({"cache": reads(1000, 50)}, "hit_rate", "healthy"),
        ({"cache": reads(1000, 51)}, "hit_rate", "warning"),
        ({"cache": reads(999, 999)}, "hit_rate", "healthy"),
        ({"waiting": Waiting(capture_problems=[PROBLEM])}, "capture", "warning"),
        ({"cache": CacheFacts(error="Redis is away")}, "redis", "critical"),
        ({"runs": [], "last_ended_at": NOW - WINDOW}, "activity", "healthy"),
        ({"runs": [], "last_ended_at": NOW - WINDOW - timedelta(seconds=1)}, "activity", "warning"),
        ({"machinery": Machinery(ago(120), True)}, "daemon", "healthy"),
        ({"machinery": Machinery(ago(121), True)}, "daemon", "critical"),
        ({"machinery": Machinery(ago(10), worker_answers=False)}, "workers", "critical"),
        ({"machinery": Machinery(ago(10), True, ["sensor expense_changes"])}, "switches", "warning"),
    ],
)
def test_a_rule_on_both_sides_of_its_line(assessed, facts, check, expected):
    status = assessed(**facts)
    assert level(status, check) == expected
    if expected != "healthy":
        assert status.recommendations
        assert status.health.status in ("warning", "critical")
        (said,) = [each.said for each in status.health.checks if each.name == check]
        assert said in status.health.message


@pytest.mark.parametrize(
    ("facts", "limit", "check", "met", "exceeded"),
    [
        ({"runs": failing(1, 2)}, "failures_warning", "failures", 0.5, 0.49),
        ({"runs": failing(1, 2)}, "failures_critical", "failures", 0.5, 0.49),
        ({"waiting": stale_for(600)}, "stale_seconds", "staleness", 600, 599),
        ({"runs": [a_run(seconds=9)]}, "run_seconds", "duration", 9, 8),
        ({"runs": [a_run(n, seconds=31) for n in range(3)]}, "slow_runs", "slow_runs", 3, 2),
        ({"cache": reads(1000, 300)}, "hit_rate", "hit_rate", 0.7, 0.71),
        ({"cache": reads(10, 9)}, "hit_rate_reads", "hit_rate", 11, 10),
    ],
)
def test_a_limit_that_is_set_is_the_one_that_counts(assessed, facts, limit, check, met, exceeded):
    others = {} if not limit.startswith("failures") else {"failures_warning": 0.1, "failures_critical": 1.0}
    if limit == "failures_critical":
        assert level(assessed(**facts, **others | {limit: met}), check) == "warning"
        assert level(assessed(**facts, **others | {limit: exceeded}), check) == "critical"
    else:
        assert level(assessed(**facts, **others | {limit: met}), check) == "healthy"
        assert level(assessed(**facts, **others | {limit: exceeded}), check) != "healthy"


def test_where_nothing_was_ever_started_nobody_is_missed_and_what_waits_is_said(assessed):
    """After single commands: numbers are as fresh as the last command made them."""
    nowhere = {"machinery": Machinery(), "last_ended_at": NOW - 2 * WINDOW, "runs": []}
    found = assessed(**nowhere, waiting=stale_for(7200))
    assert (found.health.status, found.health.message) == (
        "idle",
        "Nothing is running here, and changes wait: start `metrics-pipeline up`.",
    )
    assert "metrics-pipeline up" in advice(found)
    assert assessed(**nowhere).health.message == "Nothing is running here: start `metrics-pipeline up`."
    # What is wrong beyond that is still wrong.
    assert assessed(**nowhere, cache=CacheFacts(error="Redis is away")).health.status == "critical"


def test_a_daemon_that_stopped_is_named_before_what_follows_from_it(assessed):
    health = assessed(machinery=Machinery(ago(7200), False), waiting=stale_for(7100)).health
    assert health.message == (
        "Dagster's daemon stopped 2 h 0 min ago, so nothing is scheduled or refreshed; "
        "no worker is reachable, so runs are not done; the oldest unpublished change is 118 min old."
    )


def test_nothing_yet_is_idle_unless_something_is_wrong(assessed):
    assert assessed(runs=[], last_ended_at=None).health.status == "idle"
    assert assessed(runs=[], last_ended_at=None, waiting=stale_for(4000)).health.status == "critical"


def test_the_worst_check_gives_the_verdict_and_is_named_first(assessed):
    health = assessed(waiting=stale_for(7200), cache=locks(True)).health
    assert health.status == "critical"
    assert health.message == "the oldest unpublished change is 2 h 0 min old; 1 stale lock."


@pytest.mark.parametrize(
    ("facts", "spared", "command", "priority"),
    [
        ({"runs": failing(1, 30)}, {"runs": failing(0, 30)}, "metrics-pipeline check", "medium"),
        ({"runs": failing(9, 30)}, {"runs": failing(0, 30)}, "metrics-pipeline check", "high"),
        ({"waiting": stale_for(301)}, {"waiting": stale_for(300)}, "metrics-pipeline up", "medium"),
        ({"waiting": stale_for(3601)}, {"waiting": stale_for(300)}, "metrics-pipeline up", "high"),
        ({"cache": locks(True)}, {"cache": locks(False)}, "metrics-pipeline locks clear-stale", "high"),
        (
            {"runs": [a_run(n, seconds=31) for n in range(11)]},
            {"runs": [a_run(n, seconds=29) for n in range(11)]},
            "metrics-pipeline slow-runs",
            "medium",
        ),
        ({"cache": reads(1000, 90)}, {"cache": reads(1000, 9)}, "metrics-pipeline calculate", "low"),
        ({"waiting": Waiting(capture_problems=[PROBLEM])}, {}, "metrics-pipeline migrate", "high"),
        ({"cache": CacheFacts(error="Redis is away")}, {}, "metrics-pipeline check", "high"),
        (
            {"waiting": Waiting(snapshot=SnapshotHolder(4711, 90.0, "psql", "idle in transaction"))},
            {},
            'psql "$METRICS_DATABASE_URL" -c "SELECT pg_terminate_backend(4711)"',
            "medium",
        ),
        ({"machinery": Machinery(ago(121), True)}, {"machinery": AT_WORK}, "metrics-pipeline up", "high"),
        ({"machinery": Machinery(ago(10), False)}, {"machinery": AT_WORK}, "metrics-pipeline worker", "high"),
        (
            {"machinery": Machinery(ago(10), True, ["schedule daily_metrics_hourly"])},
            {"machinery": AT_WORK},
            "metrics-pipeline check",
            "medium",
        ),
        (
            {"waiting": Waiting(undelivered=[Undelivered("health", ago(300), "away")])},
            {},
            "metrics-pipeline check",
            "high",
        ),
        (
            {"runs": [], "last_ended_at": NOW - WINDOW - timedelta(seconds=1)},
            {"runs": [], "last_ended_at": NOW - WINDOW},
            "metrics-pipeline up",
            "high",
        ),
    ],
)
def test_a_recommendation_comes_and_goes(assessed, facts, spared, command, priority):
    assert advice(assessed(**facts))[command].priority == priority
    assert command not in advice(assessed(**spared))


def test_recommendations_are_exact_capped_and_in_order_of_urgency(assessed):
    both = CacheFacts(reads(1000, 900).hours, locks(*[True] * 8).locks)
    status = assessed(runs=failing(1, 30), cache=both)
    assert [each.priority for each in status.recommendations] == ["high", "medium", "low"]
    maintenance = status.recommendations[0]
    assert maintenance.message == "8 locks outlived the run that held them; periods so locked are not computed."
    assert len(maintenance.sample) == 5
    assert status.recommendations[1].sample == ["daily 2026-03-18, run run0"]


def test_a_backlog_that_nobody_reads_is_told_from_one_that_nobody_refreshes(assessed):
    logged = Waiting(changes=7, oldest_change_at=ago(400))
    assert "Not read yet: 7 logged changes." in advice(assessed(waiting=logged))["metrics-pipeline up"].message
    stale = advice(assessed(waiting=stale_for(400)))["metrics-pipeline up"]
    assert "Not refreshed yet: 1 stale period." in stale.message
    assert stale.sample == ["day 2026-03-18, for 6 min"]
