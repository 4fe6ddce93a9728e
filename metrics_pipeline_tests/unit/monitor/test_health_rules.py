"""Each rule of health and each recommendation, on both sides of its line."""

from __future__ import annotations

from datetime import timedelta

import pytest

from metrics_pipeline.monitor.facts import CacheFacts, SnapshotHolder, Waiting
from metrics_pipeline.monitor.health import CHECKS
from metrics_pipeline.monitor.limits import WINDOW
from metrics_pipeline.monitor.status import Recommendation, Status
from metrics_pipeline.periods import Grain, Period
from metrics_pipeline.planning.refreshing import StalePeriod
from metrics_pipeline.source.capture import CaptureProblem
from metrics_pipeline_tests.unit.monitor.healthy_day import NOW, a_run, ago, failing, locks, reads

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
