"""Payloads as cards, made by the reference computation so that they are whole."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from io import StringIO
from zoneinfo import ZoneInfo

import pytest
from rich.console import Console

from metrics_pipeline.cli.cards import cards
from metrics_pipeline.metrics.payload import PeriodMetrics
from metrics_pipeline_tests.reference import Account, Budget, Category, Data, Expense, expected_payload
from metrics_pipeline_tests.reference.periods import start_of

TODAY = date(2026, 11, 24)
HEADER = {
    "schema": 1,
    "version": 1,
    "calculated_at": "2026-11-24T12:00:00Z",
    "background_calculated": True,
    "computed_by": "manual",
    "code_version": "1",
}


def spend(amount: str, day: date, currency: str = "USD", category: int | None = 1) -> Expense:
    at = datetime(day.year, day.month, day.day, 12, tzinfo=timezone.utc)
    return Expense(1, Decimal(amount), at, currency=currency, category_id=category)


def payload(grain: str, *expenses: Expense, budgets: list[Budget] | None = None, on: date = TODAY) -> PeriodMetrics:
    data = Data([Account(1, "USD")], [Category(1, "Rent"), Category(2, "Food")], list(expenses), budgets or [])
    made = expected_payload(data, 1, grain, start_of(grain, on), today=TODAY, zone=ZoneInfo("UTC"))
    return PeriodMetrics.model_validate(HEADER | made)


@pytest.fixture
def draw() -> Callable[..., list[str]]:
    def drawn(*payloads: PeriodMetrics, width: int = 120) -> list[str]:
        console = Console(file=StringIO(), width=width, color_system=None)
        console.print(cards(payloads, width))
        return [line.rstrip() for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]

    return drawn


def test_a_current_month_is_compared_with_the_same_days_of_the_month_before(draw) -> None:
    november, then, later = spend("300", TODAY), spend("200", date(2026, 10, 24)), spend("999", date(2026, 10, 25))
    text = "\n".join(draw(payload("month", november, then, later)))
    assert "▲ 50.0% more than 1–24 Oct (200.00)" in text


def test_a_closed_month_is_compared_with_all_of_the_month_before(draw) -> None:
    october, september = spend("150", date(2026, 10, 24)), spend("200", date(2026, 9, 30))
    text = "\n".join(draw(payload("month", october, september, on=date(2026, 10, 1))))
    assert "▼ 25.0% less than September 2026 (200.00)" in text


def test_a_closed_month_is_not_compared_with_part_of_a_longer_one(draw) -> None:
    february, january = spend("50", date(2026, 2, 3)), spend("100", date(2026, 1, 31))
    assert "▼ 50.0% less than January 2026" in "\n".join(draw(payload("month", february, january, on=date(2026, 2, 1))))


def test_without_an_earlier_expense_there_is_no_percentage(draw) -> None:
    assert "● nothing in 23 Nov" in "\n".join(draw(payload("day", spend("5", TODAY))))


def test_of_a_total_that_refunds_make_zero_no_category_has_a_share(draw) -> None:
    text = "\n".join(draw(payload("day", spend("5", TODAY), spend("-5", TODAY, category=2))))
    assert "USD 0.00  2 expenses" in text
    assert "Rent · Food" in text


def test_the_accounts_own_currency_is_shown_first_however_the_payload_is_ordered(draw) -> None:
    made = payload("month", spend("900", TODAY, "EUR"), spend("5", TODAY))
    made = made.model_copy(update={"currencies": dict(sorted(made.currencies.items()))})
    lines = draw(made)
    assert lines[1].startswith("│ USD 5.00  1 expense")
    assert any("and EUR 900.00  1 expense" in line for line in lines)


def test_a_general_budget_is_shown_with_status_and_pace(draw) -> None:
    budget = Budget(1, 1, "All", "month", Decimal(1000), "USD", date(2026, 1, 1))
    text = "\n".join(draw(payload("month", spend("950", TODAY), budgets=[budget])))
    assert "███████████████████░ 95% of 1,000" in text
    assert "critical · ahead of pace · 80% of the time gone" in text


def test_category_budgets_are_summed_up_and_the_worst_status_shown(draw) -> None:
    budgets = [
        Budget(1, 1, "Rent", "month", Decimal(100), "USD", date(2026, 1, 1), category_ids=(1,)),
        Budget(2, 1, "Food", "month", Decimal(100), "USD", date(2026, 1, 1), category_ids=(2,)),
    ]
    text = "\n".join(draw(payload("month", spend("120", TODAY), spend("30", TODAY, category=2), budgets=budgets)))
    assert "75% of 200" in text
    assert "exceeded · 1 of 2 on track" in text


def test_a_whole_month_at_eighty_columns_is_drawn_rather_than_told_what_it_is(draw) -> None:
    days = [spend("8", date(2026, 10, day)) for day in range(1, 32)]
    (line,) = [line for line in draw(*[payload("month", *days, on=date(2026, 10, 1))] * 2, width=80) if "██" in line]
    assert f"│ {'█' * 31}      ││" in line


def test_the_days_to_come_are_not_drawn(draw) -> None:
    (line,) = [line for line in draw(payload("week", spend("8", TODAY))) if "by day" in line]
    assert line.startswith("│ ·█ by day")  # Monday and Tuesday


@pytest.mark.parametrize("width", [50, 76, 80, 120, 200])
def test_cards_stay_within_the_width_and_cut_no_line(draw, width: int) -> None:
    days = [TODAY - timedelta(days=n) for n in range(400)]
    expenses = [spend("1234567.89", day, category=category) for day in days for category in (1, 2, None)]
    budget = Budget(1, 1, "All", "month", Decimal(99_000_000), "USD", date(2026, 1, 1))
    lines = draw(
        *(payload(grain, *expenses, budgets=[budget]) for grain in ("day", "week", "month", "year")), width=width
    )
    assert max(map(len, lines)) <= width
    assert "…" not in "".join(lines)
    assert len({len(line) for line in lines}) == 1


def test_an_empty_period_has_a_card_too(draw) -> None:
    assert any("no expenses" in line for line in draw(payload("day")))
