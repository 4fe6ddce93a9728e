"""`calculate` and `refresh` leave their work to a running `up`, and do it themselves when told to."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import text

from metrics_pipeline.periods import Grain
from metrics_pipeline_tests.command import run_command
from metrics_pipeline_tests.end_to_end.conftest import FIRST_DAY
from metrics_pipeline_tests.end_to_end.running import RunningUp, wait_until

pytestmark = pytest.mark.timeout(240)

COMMAND = [sys.executable, "-c", "from metrics_pipeline.cli import app; app()"]
DAY = FIRST_DAY + timedelta(days=40)
TAGS = "SELECT value FROM dagster.run_tags WHERE run_id = :run AND key = :key"


@pytest.fixture(autouse=True)
def undisturbed(ui: RunningUp) -> None:
    """What earlier tests began is over."""
    wait_until(ui.at_rest, "what earlier tests began", seconds=180)


@pytest.fixture
def start(ui: RunningUp) -> Callable[..., subprocess.Popen[str]]:
    """Start a command with the environment of `up`, as a process of its own."""

    def run(*words: object) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*COMMAND, *(str(word) for word in words)],
            env=ui.process.environ(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return run


@pytest.fixture
def run(ui: RunningUp) -> Callable[..., tuple[str, str]]:
    """A command's output and remarks; its exit code must be the expected one."""

    def done(*words: object, expect: int = 0) -> tuple[str, str]:
        result = run_command(ui.process.environ(), *words)
        assert result.exit_code == expect, result.output
        return result.stdout, result.stderr

    return done


def submitted_runs(ui: RunningUp) -> list[str]:
    """Runs that a command asked for, newest first; others are schedules' and the sensor's."""
    submitted = (
        "SELECT run_id FROM dagster.run_tags WHERE (key, value) = ('metrics/trigger', 'manual') ORDER BY id DESC"
    )
    with ui.engine.connect() as connection:
        return list(connection.execute(text(submitted)).scalars())


def held(ui: RunningUp, before: list[str]) -> str:
    """The run submitted since, which waits in the middle of its work, with `store_locked`."""
    wait_until(lambda: submitted_runs(ui) != before, "the run to be submitted")
    run_id, *_ = submitted_runs(ui)
    ui.wait_in_the_middle(run_id)
    return run_id


def version(ui: RunningUp, grain: Grain, start: date) -> int | None:
    payload = ui.cached(1, grain, start)
    return payload.version if payload else None


def test_a_calculation_is_done_by_the_workers_and_its_outcome_told(ui: RunningUp, run) -> None:
    words = ("calculate", "--account", 1, "--grain", "day", "--date", DAY, "--date", DAY - timedelta(days=1), "--force")
    said, remarked = run(*words, "--json")
    outcome = json.loads(said)
    assert (outcome["accounts"], outcome["payloads"], outcome["published"]) == (1, 2, 2)
    assert [of["period_start"] for of in outcome["periods"]] == [f"{DAY - timedelta(days=1)}", f"{DAY}"]
    assert "1 runs of the running instance took" in remarked
    assert f"http://127.0.0.1:{ui.port}/runs" in remarked
    payload = ui.cached(1, Grain.DAY, DAY)
    assert payload is not None
    assert (payload.currencies["USD"].total, payload.computed_by) == (Decimal(10), "manual")


def test_force_publishes_anew_what_is_cached_and_unchanged(ui: RunningUp, run) -> None:
    words = ("--account", 1, "--grain", "day", "--date", DAY)
    run("calculate", *words)
    first = version(ui, Grain.DAY, DAY)
    run("calculate", *words)
    assert version(ui, Grain.DAY, DAY) == first
    said, _ = run("refresh", *words, "--force", "--json")
    assert json.loads(said)["rewritten"] == 1
    assert version(ui, Grain.DAY, DAY) > first
    assert ui.cached(1, Grain.DAY, DAY).computed_by == "refresh"


def test_here_computes_without_a_run(ui: RunningUp, run) -> None:
    before = submitted_runs(ui)
    words = ("calculate", "--account", 1, "--grain", "day", "--date", DAY, "--force", "--json")
    said, _ = run(*words, "--here")
    assert json.loads(said)["rewritten"] == 1
    assert submitted_runs(ui) == before
    run(*words)
    assert submitted_runs(ui)[1:] == before


def test_without_waiting_the_runs_ids_are_printed(ui: RunningUp, run) -> None:
    said, _ = run("calculate", "--account", 1, "--grain", "month", "--date", DAY, "--no-wait", "--json")
    (run_id,) = json.loads(said)["runs"]
    assert ui.wait_for(run_id) == "SUCCESS"
    with ui.engine.connect() as connection:
        tags = {
            key: connection.execute(text(TAGS), {"run": run_id, "key": key}).scalar()
            for key in ("metrics/trigger", "dagster/asset_partition_range_start")
        }
    assert tags == {"metrics/trigger": "manual", "dagster/asset_partition_range_start": f"{DAY.replace(day=1)}"}


def test_interrupted_it_leaves_the_run_running_and_says_so(ui: RunningUp, start) -> None:
    before = submitted_runs(ui)
    with ui.store_locked():
        command = start("calculate", "--account", 1, "--grain", "day", "--date", DAY, "--force")
        held(ui, before)
        command.send_signal(signal.SIGINT)
        _, remarked = command.communicate(timeout=30)
        assert command.returncode == 130
        assert "1 runs go on without this command" in remarked
        assert ui.has_runs_under_way()
    wait_until(lambda: not ui.has_runs_under_way(), "the run to go on to its end")


def test_a_failed_run_is_told_with_its_reason_and_code_1(ui: RunningUp, start) -> None:
    before = submitted_runs(ui)
    with ui.store_locked():
        command = start("calculate", "--account", 1, "--grain", "year", "--date", DAY, "--force")
        run_id = held(ui, before)
        ui.terminate(run_id)
        _, remarked = command.communicate(timeout=60)
    assert command.returncode == 1
    assert f"Run {run_id} (yearly_metrics_job) was cancelled" in remarked


@pytest.mark.parametrize("words", [("--here", "--no-wait"), ("--date", "1999-01-01")])
def test_what_cannot_be_done_is_said_before_anything_is_submitted(ui: RunningUp, run, words) -> None:
    before = submitted_runs(ui)
    run("calculate", "--grain", "day", *words, expect=2)
    assert submitted_runs(ui) == before
