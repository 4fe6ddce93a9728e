"""`metrics-pipeline detach`, and `migrate` after it."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from metrics_pipeline.cli import app
from metrics_pipeline.settings import Settings
from metrics_pipeline_tests.ledger import Ledger


@pytest.fixture
def command(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    monkeypatch.setenv("METRICS_DATABASE_URL", str(settings.database_url))
    monkeypatch.setenv("METRICS_REDIS_URL", str(settings.redis_url))
    monkeypatch.setenv("METRICS_HOME", str(settings.home))
    return CliRunner()


def test_detach_removes_the_triggers_and_migrate_attaches_them_again(ledger: Ledger, command: CliRunner) -> None:
    detached = command.invoke(app, ["detach"])
    assert detached.exit_code == 0
    assert "noticed again after `metrics-pipeline migrate`" in detached.stdout
    ledger.run("UPDATE expenses SET amount = 77")
    assert ledger.logged() == []
    assert command.invoke(app, ["migrate"]).exit_code == 0
    ledger.run("UPDATE expenses SET amount = 78")
    assert len(ledger.logged()) == 2
