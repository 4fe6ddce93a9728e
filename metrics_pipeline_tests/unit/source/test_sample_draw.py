from __future__ import annotations

from datetime import date, datetime, time, timedelta
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from metrics_pipeline.source.sampling.currencies import currencies
from metrics_pipeline.source.sampling.draw import Sample, draw_sample
from metrics_pipeline.source.sampling.events import CATEGORY_ID
from metrics_pipeline.source.sampling.ledger import DUPLICATE, FAILED, NEVER, NO_CATEGORY, PENDING, PROCESSED
from metrics_pipeline.source.sampling.rows import expense_block

TODAY, ZONE = date(2026, 3, 18), ZoneInfo("America/Costa_Rica")


@cache
def sample(accounts: int = 120, **other: Any) -> Sample:
    given = {"months": 24, "seed": 1, "today": TODAY, "zone": ZONE, "default_currency": "USD", **other}
    return draw_sample(accounts=accounts, **given)


def text_of(drawn: Sample) -> str:
    return expense_block(drawn.ledger, 0, drawn.ledger.count, drawn.households, drawn.currencies)


def share(of: Any) -> float:
    return float(np.mean(of))


def test_the_same_seed_and_day_give_the_same_rows_byte_for_byte() -> None:
    given = {"months": 3, "today": TODAY, "zone": ZONE, "default_currency": "USD", "accounts": 20}
    one, again, other = (draw_sample(seed=seed, **given) for seed in (5, 5, 6))
    assert text_of(one) == text_of(again)
    assert (one.budgets, one.households.emails) == (again.budgets, again.households.emails)
    assert text_of(one) != text_of(other)


def test_accounts_spend_about_as_often_as_people_do() -> None:
    drawn = sample()
    assert 1.2 <= drawn.ledger.count / drawn.households.count / len(drawn.days) <= 2


def test_nothing_happens_after_the_noon_of_today_and_nothing_is_recorded_before_it_happened() -> None:
    rows = sample().ledger
    noon = datetime.combine(TODAY, time(12), tzinfo=ZONE).timestamp()
    assert max(rows.occurred.max(), rows.created.max(), rows.updated.max(), rows.deleted.max()) <= noon
    assert rows.occurred.max() > noon - 86_400
    assert (rows.created >= rows.occurred).all()
    assert (rows.updated >= rows.created).all()
    assert (np.diff(rows.created) >= 0).all()


def test_shares_of_what_makes_data_untidy() -> None:
    rows = sample().ledger
    assert 0.08 <= share(rows.category == NO_CATEGORY) <= 0.10
    assert 0.008 <= share(rows.deleted != NEVER) <= 0.012
    assert 0.95 <= share(rows.status == PROCESSED) < 1
    assert all(share(rows.status == status) > 0.001 for status in (PENDING, FAILED, DUPLICATE))
    assert 0.02 <= share(rows.created - rows.occurred > 86_400) <= 0.04
    assert 0.03 <= share(rows.updated > rows.created) <= 0.07
    assert rows.events.cents.min() > 0


def test_duplicates_repeat_an_expense_that_counts() -> None:
    rows = sample().ledger
    columns = (rows.events.account, rows.events.cents, rows.events.day, rows.events.currency)
    keys = [tuple(row) for row in np.stack(columns, axis=1).tolist()]
    originals = {key for key, status in zip(keys, rows.status, strict=True) if status != DUPLICATE}
    assert all(key in originals for key, status in zip(keys, rows.status, strict=True) if status == DUPLICATE)


def test_rent_is_paid_once_a_month() -> None:
    drawn = sample()
    rent = drawn.ledger.events.category == CATEGORY_ID["Rent and mortgage"]
    rent &= drawn.ledger.status != DUPLICATE
    account, day = drawn.ledger.events.account[rent], drawn.ledger.events.day[rent]
    paid = [(int(a), drawn.days[d].replace(day=1)) for a, d in zip(account, day, strict=True)]
    assert len(paid) == len(set(paid)) > 20 * drawn.households.count * 0.7


def test_weekends_and_paydays_show() -> None:
    drawn = sample()
    cards = drawn.ledger.events.automatic == 0
    weekday = np.array([drawn.days[day].weekday() for day in drawn.ledger.events.day[cards]])
    assert share(weekday == 5) > 1.3 * share(weekday == 1)
    twice_a_month = drawn.households.payday[drawn.ledger.events.account] == 0
    day_of_month = np.array([drawn.days[day].day for day in drawn.ledger.events.day[cards & twice_a_month]])
    assert share((day_of_month >= 15) & (day_of_month <= 17)) > 1.2 * share((day_of_month >= 11) & (day_of_month <= 13))


def test_currencies_have_plausible_magnitudes_and_some_accounts_use_two() -> None:
    drawn = sample()
    events = drawn.ledger.events
    medians = {
        each.code: float(np.median(events.cents[events.currency == place])) / 100
        for place, each in enumerate(drawn.currencies)
    }
    assert 5 < medians["USD"] < 60
    assert 3000 < medians["CRC"] < 30_000
    foreign = events.currency != drawn.households.currency[events.account]
    assert len(set(events.account[foreign].tolist())) > drawn.households.count * 0.3
    assert 0.005 < share(foreign) < 0.15


@pytest.mark.parametrize("code", ["EUR", "CHF"])
def test_the_default_currency_is_the_most_used(code: str) -> None:
    drawn = sample(60, months=2, default_currency=code)
    counts = np.bincount(drawn.households.currency, minlength=len(drawn.currencies))
    assert drawn.currencies[int(np.argmax(counts))].code == code
    assert sum(each.share for each in currencies(code)) == pytest.approx(1)


def test_budgets_are_of_every_kind_and_near_the_spend() -> None:
    drawn = sample()
    assert {budget.period for budget in drawn.budgets} == {"daily", "weekly", "monthly", "yearly"}
    assert {bool(budget.category_ids) for budget in drawn.budgets} == {True, False}
    assert any(budget.end_date for budget in drawn.budgets)
    assert any(not budget.active for budget in drawn.budgets)
    usages = usages_of_general_budgets(drawn, date(2026, 2, 1))
    assert len(usages) > 40
    assert share([usage >= 1 for usage in usages]) > 0.1
    assert share([usage < 0.7 for usage in usages]) > 0.1
    assert share([0.7 <= usage < 1 for usage in usages]) > 0.1
    assert 0.5 < float(np.median(usages)) < 1.3


def usages_of_general_budgets(drawn: Sample, month: date) -> list[float]:
    rows, last = drawn.ledger, month + timedelta(days=27)
    first = drawn.days.index(month)
    usages = []
    for budget in drawn.budgets:
        valid = budget.start_date <= last and (budget.end_date is None or budget.end_date >= month)
        if budget.period == "monthly" and not budget.category_ids and budget.active and valid:
            home = budget.account_id - 1
            spent = (rows.events.account == home) & (rows.events.currency == drawn.households.currency[home])
            spent &= (rows.events.day >= first) & (rows.events.day < first + 28)
            usages.append(int(rows.events.cents[spent].sum()) / 100 / float(budget.amount))
    return usages


def test_some_accounts_are_inactive_and_stopped_spending() -> None:
    drawn = sample()
    closed = np.flatnonzero(~drawn.households.active)
    assert 0 < len(closed) < drawn.households.count / 5
    for home in closed:
        spent_on = drawn.ledger.events.day[drawn.ledger.events.account == home]
        assert spent_on.max() <= drawn.households.last_day[home] < len(drawn.days) - 1


@pytest.mark.parametrize("today", [date(2024, 2, 29), date(2025, 1, 1), date(2025, 12, 31)])
@pytest.mark.parametrize("zone", ["Pacific/Apia", "America/Havana"])
def test_any_day_and_zone_will_do(today: date, zone: str) -> None:
    drawn = sample(1, months=1, today=today, zone=ZoneInfo(zone))
    assert drawn.days[-1] == today
    assert drawn.days[0].day == 1
    local = [datetime.fromtimestamp(each, ZoneInfo(zone)).date() for each in drawn.ledger.occurred.tolist()]
    assert drawn.days[0] <= min(local)
    assert max(local) <= today
