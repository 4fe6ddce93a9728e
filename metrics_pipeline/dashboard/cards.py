"""What the four cards and a period's page show, from payloads."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from metrics_pipeline.cache.reader import Reading
from metrics_pipeline.dashboard.budget_views import BudgetView, adherence_words, budget_views, headline_budget
from metrics_pipeline.dashboard.charts import Chart, history, sparkline
from metrics_pipeline.dashboard.parameters import Days
from metrics_pipeline.dashboard.trends import TrendView, trends_of
from metrics_pipeline.dashboard.wording import Wording
from metrics_pipeline.metrics.payload import CurrencyMetrics, PeriodMetrics
from metrics_pipeline.periods import Period


@dataclass(frozen=True)
class CategoryBar:
    name: str
    total: str
    share: str
    count: str
    width: float
    is_missing: bool


@dataclass(frozen=True)
class CurrencyView:
    """One currency's figures. `figures`: (name, value) pairs, none without expenses."""

    code: str
    total: str
    count: str
    trends: list[TrendView]
    sparkline: Chart
    budget: BudgetView | None


@dataclass(frozen=True)
class CurrencyDetail(CurrencyView):
    figures: list[tuple[str, str]]
    history: Chart | None
    categories: list[CategoryBar]
    budgets: list[BudgetView]
    adherence: str | None


@dataclass(frozen=True)
class Card:
    """One period. `currencies` is empty when nothing was spent around it and nothing budgeted."""

    id: str
    title: str
    span: str
    href: str
    version: int
    currencies: list[CurrencyView]
    nothing: str
    transactions: str
    uncategorized: str
    calculated_at: datetime
    calculated: str
    source: str
    outdated: bool


def card_of(reading: Reading, days: Days, wording: Wording) -> Card:
    payload = reading.payload
    period = Period(payload.grain, payload.period_start)
    return _card(
        reading, [_currency(payload, code, days, wording) for code in payload.currencies], period, days, wording
    )


def detail_of(reading: Reading, days: Days, wording: Wording) -> tuple[Card, list[CurrencyDetail]]:
    """The period as a card, and each currency with all there is to say about it."""
    payload = reading.payload
    details = [_detail(payload, code, days, wording) for code in payload.currencies]
    return _card(reading, list(details), Period(payload.grain, payload.period_start), days, wording), details


_SOURCES = {"cache": "from the cache", "store": "from the store", "computed": "checked just now"}


def _card(reading: Reading, currencies: list[CurrencyView], period: Period, days: Days, wording: Wording) -> Card:
    payload, zone = reading.payload, days.zone
    return Card(
        id=f"card-{period.grain.value}",
        title=wording.title(period, days.today),
        span=wording.span(period),
        href=f"/accounts/{payload.account_id}/{period.grain.value}/{period.key}",
        version=reading.version,
        currencies=currencies,
        nothing=wording.money(Decimal(0), payload.currency),
        transactions=wording.count(sum(one.count for one in payload.currencies.values()), "expense", "expenses"),
        uncategorized=f"{wording.count(payload.uncategorized_count, 'uncategorised', 'uncategorised')}"
        if payload.uncategorized_count
        else "",
        calculated_at=payload.calculated_at,
        calculated=wording.moment(payload.calculated_at, zone),
        source=_SOURCES[reading.source],
        outdated=reading.outdated,
    )


def _currency(payload: PeriodMetrics, code: str, days: Days, wording: Wording) -> CurrencyView:
    metrics, period = payload.currencies[code], Period(payload.grain, payload.period_start)
    return CurrencyView(
        code=code,
        total=wording.money(metrics.total, code),
        count=wording.count(metrics.count, "expense", "expenses"),
        trends=trends_of(code, metrics, period, days.today, wording),
        sparkline=sparkline(payload.account_id, code, metrics, period, days, wording),
        budget=headline_budget(code, metrics.budgets, payload.is_current, wording),
    )


def _detail(payload: PeriodMetrics, code: str, days: Days, wording: Wording) -> CurrencyDetail:
    metrics = payload.currencies[code]
    return CurrencyDetail(
        **vars(_currency(payload, code, days, wording)),
        figures=_figures(code, metrics, wording),
        history=history(payload.account_id, code, payload, days, wording),
        categories=_categories(code, metrics, wording),
        budgets=budget_views(code, metrics.budgets, payload.is_current, wording),
        adherence=adherence_words(metrics.budgets, wording),
    )


def _figures(code: str, metrics: CurrencyMetrics, wording: Wording) -> list[tuple[str, str]]:
    named = {"Average": metrics.average, "Median": metrics.median, "Smallest": metrics.min, "Largest": metrics.max}
    return [(name, wording.money(amount, code)) for name, amount in named.items() if amount is not None]


def _categories(code: str, metrics: CurrencyMetrics, wording: Wording) -> list[CategoryBar]:
    largest = max((one.total for one in metrics.categories), default=Decimal(0))
    return [
        CategoryBar(
            name="Uncategorised" if one.id is None else one.name or "",
            total=wording.money(one.total, code),
            share="" if one.share_pct is None else wording.percent(one.share_pct),
            count=wording.count(one.count, "expense", "expenses"),
            width=max(float(one.total / largest) * 100, 0.0) if largest > 0 else 0.0,
            is_missing=one.id is None,
        )
        for one in metrics.categories
    ]
