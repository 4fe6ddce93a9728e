"""Rows that an expense table of a looser schema may hold: what becomes of each, and of the accounts beside it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import date

import pytest

from metrics_pipeline.periods import Grain, start_of_day
from metrics_pipeline.pipeline import Pipeline
from metrics_pipeline.planning.request import RefreshRequest
from metrics_pipeline.sql import query
from metrics_pipeline_tests.world import CURRENT, TODAY, World, between_snapshot_and_store, execute

LOOSER = """
ALTER TABLE expenses
    ALTER email_account_id DROP NOT NULL, ALTER amount DROP NOT NULL, ALTER amount TYPE numeric,
    ALTER currency DROP NOT NULL, ALTER transaction_date DROP NOT NULL;
ALTER TABLE budgets ALTER amount TYPE numeric;
"""


@pytest.fixture
def world(settings, database, redis_client) -> Iterator[World]:
    """Accounts 1 and 2 with ten and twenty dollars today, in tables that refuse hardly anything."""
    settings = settings.model_copy(update={"start_date": date(2026, 1, 1)})
    with Pipeline(settings) as pipeline:
        made = World(pipeline, redis_client, database.connect)
        made.sql("DO $$ DECLARE name text; BEGIN FOR name IN SELECT conname FROM pg_constraint WHERE contype = 'c' "
                 "AND conrelid = 'expenses'::regclass LOOP EXECUTE format('ALTER TABLE expenses DROP CONSTRAINT %I', "
                 "name); END LOOP; END $$")  # fmt: skip
        made.sql(LOOSER)
        made.sql("INSERT INTO email_accounts (id, email) SELECT n, 'a' || n FROM generate_series(1, 2) n")
        pipeline.tend_cache()
        made.spend(1, 10)
        made.spend(2, 20)
        yield made


def left_out(world: World) -> dict[str, int]:
    """What `check` counts, by reason."""
    with world.pipeline.engine.connect() as connection:
        earliest = start_of_day(world.pipeline.settings.start_date, world.pipeline.settings.zone)
        found = connection.execute(query("unusual_expenses"), {"earliest": earliest}).one()
    return {reason: count for reason, count in found._asdict().items() if count}


def computed_in_every_way(world: World) -> None:
    """By the marks of the changes, then once more for everybody, as the schedule and a backfill do."""
    world.settle()
    world.hourly()
    world.pipeline.refresh(RefreshRequest(CURRENT, TODAY, force=True))
    assert world.pipeline.backlog() == []


@pytest.mark.parametrize("amount", [None, "NaN", "Infinity", "-Infinity", "1e10", "-1e18", "1e300"])
def test_an_amount_that_is_no_amount_is_left_out_and_told(world, amount):
    world.spend(1, amount)
    computed_in_every_way(world)
    assert (world.total(1), world.total(2)) == (10, 20)
    assert left_out(world) == {"without_cents": 1}


@pytest.mark.parametrize("amount", [None, "NaN", "Infinity", "1e18"])
def test_nor_does_it_count_in_what_lies_further_back(world, amount):
    """The trend's previous period and the budgets' periods are summed by the database."""
    world.sql("INSERT INTO budgets (email_account_id, name, period, amount, currency, start_date) "
              "VALUES (1, 'All', 'monthly', 100, 'USD', '2025-01-01')")  # fmt: skip
    world.spend(1, amount, on="2026-02-10")
    world.spend(1, 5, on="2026-02-10")
    computed_in_every_way(world)
    payloads = {payload.grain: payload for payload in world.pipeline.export(account_ids=[1], first=date(2026, 3, 1))}
    assert payloads[Grain.MONTH].currencies["USD"].trend.previous_total == 5


@pytest.mark.parametrize("amount", ["NaN", "Infinity", "-Infinity", "1e18"])
def test_a_budget_of_no_amount_is_left_out(world, amount):
    world.sql("ALTER TABLE budgets DROP CONSTRAINT IF EXISTS budgets_amount_check")
    world.sql("INSERT INTO budgets (email_account_id, name, period, amount, currency, start_date) "
              "VALUES (1, 'All', 'monthly', CAST(:amount AS numeric), 'USD', '2025-01-01')", amount=amount)  # fmt: skip
    computed_in_every_way(world)
    assert (world.total(1), world.total(2)) == (10, 20)


def test_a_threshold_that_is_no_number_is_the_usual_one(world):
    world.sql("INSERT INTO budgets (email_account_id, name, period, amount, currency, start_date, warning_threshold, "
              "critical_threshold) VALUES (1, 'All', 'daily', 12, 'USD', '2025-01-01', 'NaN', 'NaN')")  # fmt: skip
    computed_in_every_way(world)
    day = next(p for p in world.pipeline.export(grains=[Grain.DAY], account_ids=[1], first=TODAY))
    assert day.currencies["USD"].budgets.general.status == "warning"  # 83 %


def test_an_expense_of_nobody_is_counted_nowhere_and_told(world):
    world.sql("INSERT INTO expenses (amount, currency, transaction_date) VALUES (99, 'USD', '2026-03-18 12:00+00')")
    computed_in_every_way(world)
    assert (world.total(1), world.total(2)) == (10, 20)
    assert left_out(world) == {"without_account": 1}


@pytest.mark.parametrize(
    ("moment", "told"),
    [
        ("0001-01-01 00:00+00", {"before_start": 1}),
        ("0044-03-15 12:00+00 BC", {"before_start": 1}),
        ("9999-12-31 23:59+00", {}),
        ("20000-01-01 00:00+00", {}),
        ("infinity", {"without_date": 1}),
        ("-infinity", {"without_date": 1}),
        (None, {"without_date": 1}),
    ],
)
def test_a_date_out_of_this_world_concerns_no_period(world, moment, told):
    statement = (
        "INSERT INTO expenses (email_account_id, amount, currency, transaction_date) "
        "VALUES (1, 99, 'USD', CAST(:moment AS timestamptz)) RETURNING id"
    )
    expense = world.sql(statement, moment=moment)
    computed_in_every_way(world)
    assert (world.total(1), world.total(2)) == (10, 20)
    assert left_out(world) == told
    world.sql("UPDATE expenses SET transaction_date = '2026-03-18 12:00+00' WHERE id = :id", id=expense)
    world.settle()
    assert world.total(1) == 109  # repaired, it counts


@pytest.mark.parametrize(
    ("currency", "code"),
    [("C" * 40, "C" * 40), ("", "XXX"), ("   ", "XXX"), (None, "XXX"), (" eur ", "EUR"), ("'; DROP--", "'; DROP--")],
)
def test_any_currency_is_a_currency_of_its_own(world, currency, code):
    world.spend(1, 7, currency=currency)
    computed_in_every_way(world)
    day = next(p for p in world.pipeline.export(grains=[Grain.DAY], account_ids=[1], first=TODAY))
    assert {name: str(of.total) for name, of in day.currencies.items()} == {"USD": "10.00", code: "7.00"}


@pytest.mark.parametrize(
    "name",
    ["\x01\x1b[31m\x7f", "\u202eשלום\u202c مرحبا", "x" * 10_240, "\\u0000 \\x00", "'; DROP TABLE expenses; --",
     "{\"a\": 1}", "%s %(x)s :name", "🧾\u200d\ufeff"],
)  # fmt: skip
def test_any_text_names_a_merchant_and_a_category(world, name):
    world.sql("INSERT INTO categories (id, name) VALUES (1, :name)", name=name)
    world.spend(1, 7, merchant_name=name, category_id=1)
    computed_in_every_way(world)
    day = next(p for p in world.pipeline.export(grains=[Grain.DAY], account_ids=[1], first=TODAY))
    assert day.unique_merchants == 1
    assert name in [category.name for category in day.currencies["USD"].categories]
    assert world.pipeline.reader.get(1, Grain.DAY, TODAY, TODAY).payload == day
    assert world.wrong() == []


def test_a_million_expenses_of_one_account_take_seconds(world):
    world.sql(
        "INSERT INTO expenses (email_account_id, amount, currency, merchant_name, transaction_date) "
        "SELECT 1, 1, 'USD', 'm' || n % 1000, timestamptz '2026-03-01 00:00+00' + n * interval '1 second' "
        "FROM generate_series(1, 1000000) n"
    )
    world.absorb()
    began = time.perf_counter()
    world.pipeline.refresh(RefreshRequest([CURRENT[2]], TODAY))
    assert time.perf_counter() - began < 10
    assert world.total(1, Grain.MONTH) == 1_000_010
    assert world.total(2, Grain.MONTH) == 20


def test_an_account_deleted_in_the_middle_of_a_run_stops_nobody(world, monkeypatch):
    other = world.connect()

    def delete() -> None:
        execute(other, "DELETE FROM expenses WHERE email_account_id = 1")
        execute(other, "DELETE FROM email_accounts WHERE id = 1")
        other.commit()

    with between_snapshot_and_store(monkeypatch, delete):
        world.hourly()
    assert world.total(2) == 20
    world.settle()
    assert world.total(1) in (None, 0)
    assert world.total(1, source="store") == 0
    assert world.pipeline.backlog() == []
