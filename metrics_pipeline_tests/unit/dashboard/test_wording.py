from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from metrics_pipeline.dashboard.wording import Wording
from metrics_pipeline.periods import Grain, Period


def wording(language: str = "en-US", configured: str | None = None) -> Wording:
    return Wording.for_visitor(configured, language)


@pytest.mark.parametrize(
    ("language", "amount", "currency", "written"),
    [
        ("en-US", "1234.50", "USD", "$1,234.50"),
        ("de-DE", "1234.50", "EUR", "1.234,50\xa0€"),
        ("en-US", "1500.00", "JPY", "¥1,500"),
        ("en-US", "1500.25", "JPY", "¥1,500.25"),
        ("en-US", "18.00", "CRC", "CRC\xa018.00"),
        ("en-US", "-3.10", "USD", "-$3.10"),
        ("en-US", "7.00", "POINTS", "POINTS\xa07.00"),
    ],
)
def test_money_is_written_as_its_readers_do_and_hides_no_cents(language, amount, currency, written):
    assert wording(language).money(Decimal(amount), currency) == written


@pytest.mark.parametrize(
    ("configured", "language", "written"),
    [
        (None, "", "12,345.50"),
        (None, "*", "12,345.50"),
        (None, "fr;q=0.3, de;q=0.8", "12.345,50"),
        (None, "tlh, ../../etc, de", "12.345,50"),
        (None, "de;q=zero, en", "12,345.50"),
        ("es_ES", "en-US", "12.345,50"),
    ],
)
def test_the_locale_is_the_configured_or_the_visitors_best_known(configured, language, written):
    assert written in wording(language, configured).money(Decimal("12345.50"), "EUR")


def test_percentages_keep_the_payloads_digits():
    assert wording().percent(12.45) == "12.45\u202f%"
    assert wording().percent(100.0) == "100\u202f%"
    assert wording("de").percent(0.5) == "0,5\u202f%"


@pytest.mark.parametrize(
    ("grain", "day", "title", "before"),
    [
        (Grain.DAY, date(2026, 3, 11), "Today", "yesterday"),
        (Grain.DAY, date(2026, 3, 9), "Monday, March 9, 2026", "Sun, Mar 8"),
        (Grain.WEEK, date(2026, 3, 11), "This week", "last week"),
        (Grain.WEEK, date(2026, 1, 1), "Week 1, 2026", "the week before"),
        (Grain.MONTH, date(2026, 3, 11), "This month", "February"),
        (Grain.MONTH, date(2026, 1, 5), "January 2026", "December 2025"),
        (Grain.YEAR, date(2025, 3, 11), "2025", "2024"),
    ],
)
def test_periods_have_names(grain, day, title, before):
    period, today = Period.holding(grain, day), date(2026, 3, 11)
    assert wording().title(period, today) == title
    assert wording().before(period, today) == before


def test_days_come_before_months_outside_america():
    assert wording("en-GB").day(date(2026, 3, 9), "EEEE d MMMM y") == "Monday 9 March 2026"
