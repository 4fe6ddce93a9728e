"""What a refresh takes from the stored payload of the year before, and when it looks at the expenses instead."""

from __future__ import annotations

from datetime import date

import pytest

from metrics_pipeline.periods import Grain, Period
from metrics_pipeline.pipeline import Pipeline
from metrics_pipeline.planning.affected import EVERYBODY
from metrics_pipeline.planning.request import Outcome, RefreshRequest
from metrics_pipeline_tests.world import TODAY, World, mark_stale

THIS_YEAR = Period(Grain.YEAR, date(2026, 1, 1))
LAST_YEAR = THIS_YEAR.shift(-1)
KEY = "account_id = 1 AND grain = 'year' AND period_start = '2025-01-01'"


def refresh_this_year(two_years: World, **options: object) -> Outcome:
    """Of the account that spent, after it has spent more."""
    two_years.spend(1, 5)
    two_years.absorb()
    request = {"only_stale": True, **options}
    return two_years.pipeline.refresh(RefreshRequest([THIS_YEAR], TODAY, [1], "refresh", **request))


def falsify(two_years: World) -> None:
    """So that it shows who looks at the stored payload."""
    two_years.sql(
        f"UPDATE metrics.period_metrics SET payload = replace(payload, '\"800.00\"', '\"900.00\"') WHERE {KEY}"
    )


def previous_total(two_years: World) -> str:
    payloads = {(p.account_id, p.grain, p.period_start): p for p in two_years.pipeline.export()}
    return str(payloads[1, Grain.YEAR, THIS_YEAR.start].currencies["USD"].trend.previous_total)


def test_a_refresh_reads_of_the_year_before_only_what_the_trend_to_date_needs(two_years):
    outcome = refresh_this_year(two_years)
    two_years.settle()
    assert two_years.wrong() == []
    assert outcome.payloads == outcome.rewritten == 1
    # This year's two; last year's sum so far, which is taken off the total too; the total.
    assert outcome.rows_read == 2 + 1 + 1 + 1


def test_it_is_the_stored_payload_that_is_looked_at(two_years):
    falsify(two_years)
    refresh_this_year(two_years)
    assert previous_total(two_years) == "900.00"


@pytest.mark.parametrize("account_id", [1, EVERYBODY])
def test_a_stored_payload_that_is_marked_is_not_looked_at(two_years, account_id):
    falsify(two_years)
    mark_stale(two_years.pipeline, [LAST_YEAR], [account_id])
    refresh_this_year(two_years)
    assert previous_total(two_years) == "800.00"


@pytest.mark.parametrize(
    "statement",
    [
        f"UPDATE metrics.period_metrics SET {column} WHERE {KEY}"
        for column in ("as_of = '2025-12-30'", "is_current = true", "fingerprint = 'another'")
    ]
    + [f"DELETE FROM metrics.period_metrics WHERE {KEY}"],
    ids=["too early", "still current", "other rules", "not there"],
)
def test_a_stored_payload_that_is_outdated_is_not_looked_at(two_years, statement):
    falsify(two_years)
    two_years.sql(statement)
    refresh_this_year(two_years)
    assert previous_total(two_years) == "800.00"


def test_a_change_of_the_year_before_that_is_only_logged_is_seen(two_years):
    two_years.spend(1, 5)
    two_years.absorb()
    two_years.spend(1, 1, "2025-06-01")
    two_years.pipeline.refresh(RefreshRequest([THIS_YEAR], TODAY, [1], "refresh", only_stale=True))
    assert previous_total(two_years) == "801.00"
    two_years.settle()
    assert two_years.wrong() == []


def test_changes_that_could_not_be_logged_are_seen(two_years):
    two_years.spend(1, 5)
    two_years.absorb()
    two_years.sql("ALTER TABLE expenses DISABLE TRIGGER USER")
    two_years.spend(1, 1, "2025-06-01")
    two_years.sql("SELECT nextval('metrics.missed_changes')")
    two_years.pipeline.refresh(RefreshRequest([THIS_YEAR], TODAY, [1], "refresh", only_stale=True))
    assert previous_total(two_years) == "801.00"


def test_a_year_of_which_changes_are_not_followed_any_more_is_not_looked_at(two_years):
    falsify(two_years)
    settings = two_years.pipeline.settings.model_copy(update={"start_date": date(2026, 1, 1)})
    with Pipeline(settings) as later:
        refresh_this_year(World(later, two_years.redis, two_years.connect))
    assert previous_total(two_years) == "800.00"


@pytest.mark.parametrize("options", [{}, {"only_outdated": True}, {"force": True}], ids=["all", "hourly", "forced"])
def test_whoever_is_not_told_what_changed_looks_at_the_expenses(two_years, options):
    falsify(two_years)
    refresh_this_year(two_years, only_stale=False, **options)
    assert previous_total(two_years) == "800.00"


def test_a_reader_who_wants_exact_figures_looks_at_the_expenses(two_years):
    falsify(two_years)
    two_years.spend(1, 5)
    reading = two_years.pipeline.reader.get(1, Grain.YEAR, TODAY, TODAY, fresh=True)
    assert reading.source == "computed"
    assert str(reading.payload.currencies["USD"].trend.previous_total) == "800.00"


def test_budgets_of_a_year_look_at_the_expenses(two_years):
    """By category, which the total does not tell."""
    two_years.sql("INSERT INTO categories (id, name) VALUES (1, 'Food')")
    two_years.sql("UPDATE expenses SET category_id = 1 WHERE id % 3 = 0")
    two_years.sql("INSERT INTO budgets (id, email_account_id, name, period, amount, currency, start_date) "
              "VALUES (1, 1, 'Food', 'yearly', 100, 'USD', '2025-01-01')")  # fmt: skip
    two_years.sql("INSERT INTO budget_categories (budget_id, category_id) VALUES (1, 1)")
    two_years.settle()
    two_years.spend(1, 1, category_id=1)
    two_years.settle()
    assert two_years.wrong() == []


@pytest.mark.parametrize("today", [date(2026, 1, 4), date(2026, 7, 2), date(2026, 12, 31)])
def test_all_currencies_and_statuses_come_out_right_on_any_day(two_years, today):
    """Early in the year the sparkline reaches into the one before; at its end, all of that but a day is to date."""
    for n, (currency, status) in enumerate([("usd", "processed"), ("CRC", "failed"), ("EUR", "pending"), ("", "")]):
        for month in (1, 6, 12):
            two_years.spend(1, 7 + n, f"2025-{month:02d}-28", currency=currency, status=status)
            two_years.spend(2, 3 + n, f"2025-{month:02d}-03", currency=currency, status=status)
    two_years.settle()
    years = [THIS_YEAR, LAST_YEAR]
    two_years.pipeline.refresh(RefreshRequest(years, today))
    before = contents(two_years)
    mark_stale(two_years.pipeline, [THIS_YEAR], [1, 2, 3])
    outcome = two_years.pipeline.refresh(RefreshRequest([THIS_YEAR], today, only_stale=True))
    assert outcome.rewritten == 3
    assert contents(two_years) == before


def contents(two_years: World) -> list[str]:
    with two_years.pipeline.engine.connect() as connection:
        rows = connection.exec_driver_sql(
            "SELECT payload FROM metrics.period_metrics ORDER BY account_id, period_start, grain"
        )
        return list(rows.scalars())
