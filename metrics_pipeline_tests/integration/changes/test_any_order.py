"""Random interleavings of writes, absorbing, refreshing, publishing, losses and deaths: at rest all is right.

HYPOTHESIS_PROFILE=thorough tries many more, and others each time.
"""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import date, timedelta

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from metrics_pipeline import chunk, pipeline, refresh
from metrics_pipeline.cache import checked
from metrics_pipeline.periods import Grain, Period
from metrics_pipeline.planning.shards import Shard
from metrics_pipeline_tests.reference import differences, empty_tables, read
from metrics_pipeline_tests.world import NOW, TODAY, World, before, between_snapshot_and_store, spend

THOROUGH = os.environ.get("HYPOTHESIS_PROFILE") == "thorough"

ACCOUNTS = st.integers(1, 3)
DAYS = st.sampled_from([0, 0, 1, 6, 7, 20, 45, 80]).map(lambda back: (TODAY - timedelta(days=back)).isoformat())
READABLE_DAYS = DAYS.filter(lambda on: on >= "2026")
AMOUNTS = st.sampled_from(["0.01", "10.00", "33.33", "99999999.99"])
COLUMNS = st.fixed_dictionaries(
    {
        "currency": st.sampled_from(["USD", "USD", "CRC"]),
        "status": st.sampled_from(["processed", "processed", "failed"]),
        "category_id": st.sampled_from([None, 1, 2]),
    }
)
# A statement on one expense or on all; `:id` and `:on` are filled in.
EDITS = st.sampled_from(
    [
        "UPDATE expenses SET amount = amount + 1 WHERE id = :id",
        "UPDATE expenses SET amount = 10 WHERE id = :id",
        "UPDATE expenses SET transaction_date = CAST(:on AS timestamptz) WHERE id = :id",
        "UPDATE expenses SET email_account_id = email_account_id % 3 + 1 WHERE id = :id",
        "UPDATE expenses SET deleted_at = now() WHERE id = :id",
        "UPDATE expenses SET deleted_at = NULL WHERE id = :id",
        "UPDATE expenses SET status = 'failed' WHERE id = :id",
        "DELETE FROM expenses WHERE id = :id",
        "UPDATE expenses SET amount = 20 WHERE :id = :id",
        "UPDATE categories SET name = name || '.' WHERE id = 1 + :id % 2",
        "UPDATE budgets SET amount = amount + 5 WHERE :id = :id",
    ]
)


DEATHS = [
    None,
    (refresh.ChunkWriter, "write"),
    (chunk.CheckedPublisher, "publish"),
    (checked, "overtaken"),
    (chunk, "clear_marks"),
]
"""Before which step of a refresh the process dies."""


LATEST = [
    period
    for grain in Grain
    for period in (Period.holding(grain, TODAY).shift(-1), Period.holding(grain, TODAY))
    if period.start.year == TODAY.year
]


class Died(BaseException):
    """The process is gone."""


def die() -> None:
    raise Died


class Machine(RuleBasedStateMachine):
    world: World
    patch: pytest.MonkeyPatch

    @initialize()
    def begin(self) -> None:
        self.world.redis.flushdb()
        with self.world.pipeline.engine.begin() as connection:
            empty_tables(connection)
        self.world.sql("UPDATE metrics.tick_state SET missed_seen = coalesce(pg_sequence_last_value("
                       "'metrics.missed_changes'), 0), misses_settled = true")  # fmt: skip
        self.world.sql("INSERT INTO email_accounts (id, email) SELECT n, 'a' || n FROM generate_series(1, 3) n")
        self.world.sql("INSERT INTO categories (id, name) VALUES (1, 'Food'), (2, 'Travel')")
        self.world.sql("INSERT INTO budgets (id, email_account_id, name, period, amount, currency, start_date) "
                       "VALUES (1, 1, 'All', 'monthly', 100, 'USD', '2026-01-10')")  # fmt: skip
        self.world.pipeline.tend_cache(NOW)
        self.open = None

    @rule(account=ACCOUNTS, amount=AMOUNTS, on=DAYS, columns=COLUMNS)
    def insert(self, account, amount, on, columns) -> None:
        self.world.spend(account, amount, on, **columns)

    @rule(edit=EDITS, pick=st.integers(0, 50), on=DAYS)
    def edit(self, edit, pick, on) -> None:
        self._edit(edit, pick, on)

    @precondition(lambda self: self.open is None)
    @rule(account=ACCOUNTS, amount=AMOUNTS, on=DAYS)
    def begin_a_slow_transaction(self, account, amount, on) -> None:
        self.open = self.world.pipeline.engine.connect()
        spend(self.open, account, amount, on)

    @precondition(lambda self: self.open is not None)
    @rule(commit=st.booleans())
    def end_the_slow_transaction(self, commit) -> None:
        self.open.commit() if commit else self.open.rollback()
        self.open.close()
        self.open = None

    @rule(dies=st.booleans())
    def absorb(self, dies) -> None:
        if not dies:
            return self.world.absorb()
        with before(self.patch, pipeline, "carry_out_drops", die), suppress(Died):
            self.world.absorb()
        return None

    @rule(where=st.sampled_from(DEATHS))
    def refresh_what_is_stale(self, where) -> None:
        if where is None:
            self.world.refresh_stale()
            return
        with before(self.patch, *where, die), suppress(Died):
            self.world.refresh_stale()

    @rule(
        edit=EDITS,
        pick=st.integers(0, 50),
        on=DAYS,
        then=st.sampled_from(["nothing", "absorb", "settle"]),
        outdated=st.booleans(),
        shard=st.sampled_from([None, Shard(1, 2), Shard(2, 2)]),
    )
    def hourly_run_while_something_changes(self, edit, pick, on, then, outdated, shard) -> None:
        def change() -> None:
            self._edit(edit, pick, on)
            {"nothing": lambda: None, "absorb": self.world.absorb, "settle": self.world.settle}[then]()

        with between_snapshot_and_store(self.patch, change):
            self.world.hourly(LATEST, only_outdated=outdated, shard=shard)

    @rule()
    def lose_the_cache(self) -> None:
        self.world.redis.flushdb()

    @rule()
    def tend_the_cache(self) -> None:
        self.world.pipeline.tend_cache(NOW)

    @rule(account=ACCOUNTS, grain=st.sampled_from(Grain), on=READABLE_DAYS)
    def read_exactly(self, account, grain, on) -> None:
        reading = self.world.pipeline.reader.get(account, grain, date.fromisoformat(on), TODAY, fresh=True)
        with self.world.pipeline.engine.connect() as connection:
            data = read(connection)
        payload = reading.payload
        assert not differences(self.world.expected(data, payload), payload.model_dump(mode="json", by_alias=True))

    @rule(account=ACCOUNTS, on=READABLE_DAYS)
    def read_any(self, account, on) -> None:
        self.world.pipeline.reader.get_many(account, date.fromisoformat(on), TODAY)

    def come_to_rest(self) -> None:
        self.world.pipeline.tend_cache(NOW)
        self.world.settle()
        assert self.world.wrong() == []

    def teardown(self) -> None:
        if self.open is not None:
            self.end_the_slow_transaction(commit=True)
        self.come_to_rest()

    def _edit(self, edit: str, pick: int, on: str) -> None:
        ids = self.world.sql("SELECT coalesce(array_agg(id ORDER BY id), '{}') FROM expenses")
        if ids:
            parameters = {"id": ids[pick % len(ids)]} | ({"on": f"{on} 12:00+00"} if ":on" in edit else {})
            self.world.sql(edit, **parameters)


@pytest.mark.timeout(4 * 3600 if THOROUGH else 240)
def test_whatever_happens_all_is_right_at_rest(world, monkeypatch):
    machine = type("Machine", (Machine,), {"world": world, "patch": monkeypatch})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=600 if THOROUGH else 60,
            stateful_step_count=40 if THOROUGH else 30,
            derandomize=not THOROUGH,
            print_blob=True,
            suppress_health_check=list(HealthCheck),
            phases=[phase for phase in Phase if phase is not Phase.explain],
        ),
    )
