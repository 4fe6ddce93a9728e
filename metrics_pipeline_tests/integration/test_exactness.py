"""Every field of every payload against the reference, over generated data in a real PostgreSQL.

HYPOTHESIS_PROFILE=thorough tries many more examples than a normal run, and others each time.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import date, datetime, time

import pytest
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st
from redis import Redis

from metrics_pipeline.periods import Grain, Period
from metrics_pipeline.pipeline import Pipeline
from metrics_pipeline.planning.request import RefreshRequest
from metrics_pipeline.settings import load_settings
from metrics_pipeline_tests.modes import OTHER_MODES, SINGLE_SHOT, Mode
from metrics_pipeline_tests.reference import differences, empty_tables, expected_payload, expected_periods, insert
from metrics_pipeline_tests.strategies import Example, examples, interesting_periods
from metrics_pipeline_tests.world import mark_stale

THOROUGH = os.environ.get("HYPOTHESIS_PROFILE") == "thorough"
START_DATE = date(1900, 1, 1)

pytestmark = pytest.mark.timeout(4 * 3600 if THOROUGH else 240)


def tried(quickly: int, thoroughly: int) -> settings:
    """How many examples. A normal run takes the same ones every time, so that it passes or fails for good."""
    return settings(
        max_examples=thoroughly if THOROUGH else quickly,
        derandomize=not THOROUGH,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
        phases=[phase for phase in Phase if phase is not Phase.explain],
    )


@dataclass
class Subject:
    """The product on this test's servers; made anew for each example, which differ in settings."""

    database: object
    redis: Redis
    redis_url: str

    def load(self, example: Example, **overrides: object) -> Pipeline:
        """An example's rows in place of whatever is there, and a pipeline with its settings."""
        self.redis.flushdb()
        with self.database.engine.begin() as connection:
            empty_tables(connection)
            insert(connection, example.data)
        return Pipeline(
            load_settings(
                database_url=self.database.url,
                redis_url=self.redis_url,
                timezone=example.zone.key,
                start_date=START_DATE,
                excluded_statuses=example.excluded_statuses,
                default_currency=example.default_currency,
                **overrides,
            )
        )


modes = st.sampled_from([SINGLE_SHOT, *OTHER_MODES])


@pytest.fixture
def subject(database, redis_client, redis_url) -> Subject:
    return Subject(database, redis_client, redis_url)


def expected(example: Example, account_id: int, grain: str, start: date) -> dict:
    return expected_payload(
        example.data,
        account_id,
        grain,
        start,
        today=example.today,
        zone=example.zone,
        excluded_statuses=example.excluded_statuses,
        default_currency=example.default_currency,
    )


def check(example: Example, payload: dict, source: str) -> None:
    """Fail, naming each field, when a payload is not what the reference says."""
    account_id, grain, start = (
        payload["account_id"],
        payload["grain"],
        date.fromisoformat(payload["period_start"]),
    )
    found = differences(expected(example, account_id, grain, start), payload)
    assert not found, f"account {account_id}, {grain} {start}, {source}:\n" + "\n".join(found)


@tried(quickly=40, thoroughly=2000)
@given(example=examples(), mode=modes)
def test_accounts_asked_for_get_exact_payloads_of_every_period(subject: Subject, example: Example, mode: Mode):
    """Inactive accounts and periods without any expense too; from the store and from the cache."""
    account_ids = [account.id for account in example.data.accounts]
    periods = [Period(Grain(grain), start) for grain, start in interesting_periods(example)]
    asked = {(account_id, p.grain.value, p.start) for account_id in account_ids for p in periods}
    note(f"{len(asked)} payloads")

    with subject.load(example, **mode.settings) as pipeline:
        mode.refresh(pipeline, RefreshRequest(periods, example.today, account_ids))

        stored = {}
        for payload in pipeline.export(include_empty=True):
            stored[payload.account_id, payload.grain.value, payload.period_start] = payload
            check(example, payload.model_dump(mode="json", by_alias=True), "stored")
        assert set(stored) == asked

        for (account_id, grain, start), payload in stored.items():
            reading = pipeline.reader.get(account_id, Grain(grain), on=start, today=example.today)
            assert reading.source == "cache"
            assert reading.payload == payload


@tried(quickly=25, thoroughly=1000)
@given(example=examples(), mode=modes)
def test_a_run_over_all_accounts_makes_just_the_payloads_that_are_needed(
    subject: Subject, example: Example, mode: Mode
):
    """Active accounts: every period with an expense of any status, and the current ones always."""
    periods = [Period(Grain(grain), start) for grain, start in interesting_periods(example)]
    active = {account.id for account in example.data.accounts if account.active}
    with_expenses = {
        key
        for key in expected_periods(example.data, today=example.today, zone=example.zone, start_date=START_DATE)
        if key[0] in active
    }
    current = {
        (account_id, p.grain.value, p.start)
        for account_id in active
        for p in periods
        if p.start <= example.today < p.end
    }

    with subject.load(example, **mode.settings) as pipeline:
        mode.refresh(pipeline, RefreshRequest(periods, example.today))

        stored = list(pipeline.export(include_empty=True))
        assert {(p.account_id, p.grain.value, p.period_start) for p in stored} == with_expenses | current
        for payload in stored:
            check(example, payload.model_dump(mode="json", by_alias=True), "stored")

        exported = list(pipeline.export())
        assert {(p.account_id, p.grain.value, p.period_start) for p in exported} == with_expenses


@tried(quickly=15, thoroughly=500)
@given(before=examples(), after=examples(), mode=modes)
def test_payloads_follow_the_rows_when_those_are_replaced(
    subject: Subject, before: Example, after: Example, mode: Mode
):
    """Computed over one data set, then again over another in its place: nothing of the first is left."""
    after = Example(before.zone, before.today, before.excluded_statuses, before.default_currency, after.data)
    periods = [
        Period(Grain(grain), start)
        for grain, start in sorted({*interesting_periods(before), *interesting_periods(after)})
    ]
    with subject.load(before, **mode.settings) as pipeline:
        asked = [account.id for account in before.data.accounts]
        mode.refresh(pipeline, RefreshRequest(periods, before.today, asked))
        with pipeline.engine.begin() as connection:
            # Not TRUNCATE: rows that go one by one are what an application's users delete.
            for table in ("budget_categories", "budgets", "expenses", "categories", "email_accounts"):
                connection.exec_driver_sql(f"DELETE FROM {table}")
            insert(connection, after.data)

        # What tells the mode that only computes what is outdated; the others need no telling.
        pipeline.absorb_changes(datetime.combine(after.today, time(12), after.zone))
        account_ids = [account.id for account in after.data.accounts]
        mode.refresh(pipeline, RefreshRequest(periods, after.today, account_ids))
        for account_id in account_ids:
            for period in periods:
                reading = pipeline.reader.get(account_id, period.grain, on=period.start, today=after.today)
                payload = reading.payload.model_dump(mode="json", by_alias=True)
                check(after, payload, reading.source)


@tried(quickly=20, thoroughly=1000)
@given(example=examples(), apart=st.booleans(), budget=st.sampled_from([1500, 0.0001]))
def test_what_is_stale_comes_out_the_same_with_the_stored_year_before(
    subject: Subject, example: Example, apart: bool, budget: float
):
    """Everything is marked, but what lies before the periods of a run; accounts together or one by one."""
    periods = [Period(Grain(grain), start) for grain, start in interesting_periods(example)]
    years = sorted({Period.holding(Grain.YEAR, period.start) for period in periods})
    account_ids = [account.id for account in example.data.accounts]
    with subject.load(example, memory_budget_mb=budget) as pipeline:
        with pipeline.engine.begin() as connection:  # what is loaded is computed at once, and no change any more
            connection.exec_driver_sql("TRUNCATE metrics.expense_changes, metrics.stale_periods")
        pipeline.refresh(RefreshRequest(sorted({*periods, *years}), example.today, account_ids))
        before = stored_texts(pipeline)
        for year in years:
            of_year = [year, *(p for p in periods if p.grain is not Grain.YEAR and p.start.year == year.start.year)]
            for asked in [[period] for period in of_year] if apart else [of_year]:
                mark_stale(pipeline, asked, account_ids)
                outcome = pipeline.refresh(RefreshRequest(asked, example.today, only_stale=True))
                assert outcome.rewritten == outcome.marks_cleared == len(asked) * len(account_ids)
                assert stored_texts(pipeline) == before, asked


def stored_texts(pipeline: Pipeline) -> dict[tuple[object, ...], str]:
    """Without version and times, which are columns of their own."""
    with pipeline.engine.connect() as connection:
        rows = connection.exec_driver_sql("SELECT account_id, grain, period_start, payload FROM metrics.period_metrics")
        return {tuple(key): payload for *key, payload in rows}


@tried(quickly=12, thoroughly=500)
@given(example=examples())
def test_every_mode_gives_the_same_bytes(subject: Subject, example: Example):
    """Of everybody's payloads, in store and cache; version and times aside, which stand in front of the rest."""
    periods = [Period(Grain(grain), start) for grain, start in interesting_periods(example)]
    found = {}
    for mode in (SINGLE_SHOT, *OTHER_MODES):
        with subject.load(example, **mode.settings) as pipeline:
            mode.refresh(pipeline, RefreshRequest(periods, example.today))
            stored = {(p.account_id, p.grain, p.period_start) for p in pipeline.export(include_empty=True)}
        entries = {key: subject.redis.get(key) for key in subject.redis.scan_iter("metrics:{*}:*:*")}
        found[mode.name] = stored, {key: value.split(b'"schema"', 1)[1] for key, value in entries.items()}
    for mode in OTHER_MODES:
        assert found[mode.name] == found[SINGLE_SHOT.name], mode.name
