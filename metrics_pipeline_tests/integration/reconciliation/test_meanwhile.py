"""What commits while a reconciliation looks is no drift; each rule that sees to it is needed."""

from __future__ import annotations

from contextlib import contextmanager

import pytest
from sqlalchemy import text

from metrics_pipeline.planning.request import RefreshRequest
from metrics_pipeline.reconciliation import compare, reconciler, stored
from metrics_pipeline.reconciliation.findings import ReconcileRequest
from metrics_pipeline.reconciliation.reconciler import Reconciler
from metrics_pipeline_tests.integration.reconciliation.conftest import EVERY_PERIOD, Unwatched
from metrics_pipeline_tests.world import TODAY, before

EDIT = "UPDATE expenses SET amount = amount + 1 WHERE transaction_date < '2026-02-01'"


@contextmanager
def each_statement_for_itself(engine):
    """In place of one snapshot."""
    with engine.begin() as connection:
        yield connection


def write_and_settle_between_reading_source_and_store(world: Unwatched, monkeypatch: pytest.MonkeyPatch) -> None:
    other = world.connect()

    def meanwhile() -> None:
        other.execute(text(EDIT))
        other.commit()
        world.settle()

    with before(monkeypatch, compare, "read_rows", meanwhile):
        first = compare.compare(world.pipeline.engine, world.pipeline.settings, ReconcileRequest(), TODAY)
    assert first.drifts.counts == dict.fromkeys(first.drifts.counts, 0)
    assert world.wrong() == []


def write_between_looking_and_comparing_again(world: Unwatched, monkeypatch: pytest.MonkeyPatch) -> None:
    """Logged, and not absorbed: the account's payloads differ from its expenses, rightly."""
    world.unseen("UPDATE expenses SET amount = amount + 1 WHERE id = 1")
    other = world.connect()

    def meanwhile() -> None:
        other.execute(text(EDIT))
        other.commit()

    with before(monkeypatch, Reconciler, "_remaining", meanwhile):
        assert world.reconcile().verified
    world.settle()
    assert world.wrong() == []


def mended_before_the_second_look(world: Unwatched, monkeypatch: pytest.MonkeyPatch) -> None:
    world.unseen("UPDATE expenses SET amount = amount + 1 WHERE id = 1")
    everything = RefreshRequest(EVERY_PERIOD, TODAY, force=True)
    with before(monkeypatch, Reconciler, "_compare_again", lambda: world.pipeline.refresh(everything)):
        assert world.found() == {}


CASES = [
    write_and_settle_between_reading_source_and_store,
    write_between_looking_and_comparing_again,
    mended_before_the_second_look,
]


@pytest.mark.parametrize("case", CASES)
def test_what_commits_meanwhile_is_no_drift(world: Unwatched, monkeypatch: pytest.MonkeyPatch, case) -> None:
    case(world, monkeypatch)


@pytest.mark.parametrize(
    ("owner", "name", "instead", "case"),
    [
        (compare, "read_transaction", each_statement_for_itself, CASES[0]),
        (stored.Waiting, "covers", lambda _, account, *__: account < 0, CASES[1]),
        (reconciler.Reconciler, "_confirmed", lambda _, first, *__: first.drifts, CASES[2]),
    ],
)
def test_each_rule_is_needed(world: Unwatched, monkeypatch: pytest.MonkeyPatch, owner, name, instead, case) -> None:
    monkeypatch.setattr(owner, name, instead)
    with pytest.raises(AssertionError):
        case(world, monkeypatch)


def test_an_open_transaction_is_no_drift_and_none_when_it_commits_later(world: Unwatched) -> None:
    other = world.connect()
    other.execute(text(EDIT))
    assert world.found() == {}
    other.commit()
    assert world.found() == {}
    world.settle()
    assert world.found() == {}
    assert world.wrong() == []


def test_what_could_not_be_logged_is_deferred_until_everything_was_refreshed(world: Unwatched) -> None:
    world.unseen("UPDATE expenses SET amount = amount + 1 WHERE id = 1")
    world.sql("SELECT nextval('metrics.missed_changes')")
    result = world.reconcile()
    assert (result.total, result.compared) == (0, 0)
    world.settle()
    assert world.wrong() == []
