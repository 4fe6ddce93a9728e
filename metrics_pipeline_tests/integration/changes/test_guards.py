"""Which rule guards against what: each is taken out, and the test that it makes pass must then fail."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from metrics_pipeline import pipeline, work
from metrics_pipeline.cache import canary, checked, reader
from metrics_pipeline.changes import missed
from metrics_pipeline.changes.marks import Marks
from metrics_pipeline.sql import queries
from metrics_pipeline.store.reading import read_stored
from metrics_pipeline_tests.integration.changes import test_cache_interleavings as cached
from metrics_pipeline_tests.integration.changes import test_interleavings as interleavings
from metrics_pipeline_tests.integration.changes import test_missed_changes as missed_changes
from metrics_pipeline_tests.integration.changes import test_year_before as year_before


@dataclass(frozen=True)
class Guard:
    """A rule, how to take it out, and the test that fails without it."""

    rule: str
    take_out: Callable[[pytest.MonkeyPatch], None]
    test: Callable[..., None]


def replaced(owner: Any, name: str, value: Any) -> Callable[[pytest.MonkeyPatch], None]:
    return lambda patch: patch.setattr(owner, name, value)


def edited(name: str, old: str, new: str) -> Callable[[pytest.MonkeyPatch], None]:
    """A named query with a part of it replaced."""

    def take_out(patch: pytest.MonkeyPatch) -> None:
        assert old in queries()[name]
        patch.setitem(queries(), name, queries()[name].replace(old, new))

    return take_out


WITHOUT_TOKENS = edited("clear_marks", "mark = ANY(CAST(:marks AS bigint[]))", "CAST(:marks AS bigint[]) IS NOT NULL")


def in_two_statements(connection: Any, account_ids: Any, period: Any) -> Any:
    """The stored payload by one look, whether it is stale by another."""
    stored = read_stored(connection, account_ids, period)
    again = read_stored(connection, account_ids, period)
    return {id: replace(each, stale=again[id].stale) for id, each in stored.items()}


GUARDS = [
    Guard(
        "a marked row is really updated, even when nothing in it changed",
        replaced(Marks, "cover", lambda *_: False),
        interleavings.test_an_undone_edit_is_not_restored_by_an_older_snapshot,
    ),
    Guard(
        "an emptied period keeps a row, so that an older snapshot meets it",
        replaced(work, "accounts_with_rows", lambda _, periods, __: dict.fromkeys(periods, np.zeros(0, np.int64))),
        interleavings.test_a_truncated_table_leaves_nothing_of_it,
    ),
    Guard(
        "marks are cleared by token",
        WITHOUT_TOKENS,
        interleavings.test_a_change_that_commits_between_reading_and_storing_stays_to_be_refreshed,
    ),
    Guard(
        "a wildcard is cleared by token",
        WITHOUT_TOKENS,
        interleavings.test_a_wildcard_renewed_during_the_run_survives_it,
    ),
    Guard(
        "after publishing, marks are looked for",
        replaced(checked, "overtaken", lambda *_: set()),
        cached.test_an_entry_set_after_its_drop_is_dropped_again,
    ),
    Guard(
        "after publishing, versions are looked for",
        edited("versions_between", "stored.grain = published.grain", "false"),
        cached.test_an_older_publisher_does_not_win_after_the_cache_was_flushed,
    ),
    Guard(
        "drops are ordered in the transaction that marks",
        edited("order_drops", "CAST(:starts AS date[]))", "CAST(:starts AS date[])) WHERE false"),
        cached.test_dying_between_absorbing_and_dropping_loses_no_drop,
    ),
    Guard(
        "both servers keep one counter",
        replaced(canary, "purge", lambda *_: 0),
        cached.test_a_redis_restored_from_an_older_dump_is_emptied_and_warmed,
    ),
    Guard(
        "a version is made of the clock",
        edited("upsert_payloads", "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint", "1"),
        interleavings.test_versions_do_not_start_again_after_a_row_was_lost,
    ),
    Guard(
        "what could not be logged is looked for",
        replaced(pipeline, "absorb_misses", lambda *_, **__: False),
        missed_changes.test_a_change_that_could_not_be_logged_makes_everything_stale_at_once,
    ),
    Guard(
        "and once more when it has committed",
        replaced(missed, "misses_in_flight", lambda *_: True),
        missed_changes.test_a_change_that_could_not_be_logged_and_commits_late_is_looked_for_again,
    ),
    Guard(
        "a reader sees a row and what makes it stale in one statement",
        replaced(reader, "read_stored", in_two_statements),
        cached.test_a_refresh_that_fits_between_two_looks_of_a_reader,
    ),
    Guard(
        "the year before is believed only when no change of it is logged",
        edited("payloads_of_period", "change.account_id IN (0, stored.account_id)", "false"),
        year_before.test_a_change_of_the_year_before_that_is_only_logged_is_seen,
    ),
]


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: guard.rule)
def test_without_the_rule_its_test_fails(request, monkeypatch, guard: Guard):
    fixtures = {name: request.getfixturevalue(name) for name in inspect.signature(guard.test).parameters}
    guard.take_out(monkeypatch)
    with pytest.raises(AssertionError):
        guard.test(**fixtures)
