"""The payload: what the store keeps, Redis serves and dashboards read. JSON, `schema` 1.

Money is a decimal string with two decimals, always inside one currency: amounts of different
currencies are never added. Percentages are JSON numbers made from exact values, rounded half away
from zero, and null where the divisor is zero. "Counted" expenses are those that are not deleted and
whose status is not excluded; every figure is about counted expenses unless it says otherwise.
"""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer

from metrics_pipeline.periods import Grain

SCHEMA = 1
CODE_VERSION = "1"
"""The version of the metric definitions. Raise it when any rule of this file changes meaning."""

Money = Annotated[Decimal, PlainSerializer(str, return_type=str)]
ComputedBy = Literal["schedule", "refresh", "backfill", "manual", "on_demand"]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Change(_Model):
    """A period against an earlier one of the same grain and currency."""

    previous_total: Money
    previous_count: int
    absolute_amount_change: Money
    absolute_count_change: int
    amount_change_pct: float | None = Field(description="2 decimals; null when the previous total is zero.")
    count_change_pct: float | None = Field(description="2 decimals; null when the previous count is zero.")
    average_change_pct: float | None = Field(
        description="2 decimals, of exact averages; null when either period has no expenses."
    )
    is_increase: bool = Field(description="Whether the total is above the previous total.")


class Trend(Change):
    """The period against the one before it, whole."""

    to_date: Change | None = Field(
        description="Current periods only: the first n local days of both, n counting today. "
        "All of the previous period where it is shorter."
    )


class CategoryTotal(_Model):
    """One category's part of the period. Categories are told apart by id."""

    id: int | None = Field(description="null: the expenses without a category.")
    name: str | None = Field(description="null for the expenses without a category.")
    total: Money
    count: int
    average: Money
    min: Money
    max: Money
    share_pct: float | None = Field(description="Of the currency's total; 2 decimals.")


class DayTotal(_Model):
    date: date
    total: Money


class MonthTotal(_Model):
    month: str = Field(description="YYYY-MM")
    total: Money


class Sparkline(_Model):
    """Seven daily totals, oldest first, the last of them on `ends_on`."""

    ends_on: date = Field(description="Today, or the period's last day once it has closed.")
    days: list[Money]
    min: Money
    max: Money
    average: Money
    total: Money


class BudgetCategory(_Model):
    id: int
    name: str


class BudgetUse(_Model):
    """One budget against the spend of the period, in the budget's currency."""

    id: int
    name: str
    categories: list[BudgetCategory] = Field(description="By name, then id. Empty: a general budget.")
    amount: Money
    spent: Money
    remaining: Money = Field(description="Negative once exceeded.")
    usage_pct: float | None = Field(description="1 decimal; null when the amount is zero.")
    status: Literal["good", "warning", "critical", "exceeded"] = Field(
        description="From exact usage: exceeded from 100 %, critical and warning from the budget's own "
        "thresholds. A budget of zero is exceeded by any spend and good without."
    )
    on_track: bool = Field(
        description="Exact usage is at most the elapsed share plus 10 points, or under 50 %. "
        "A budget of zero is on track while nothing is spent."
    )
    elapsed_pct: float = Field(description="Days elapsed, today included, of the period's days; 1 decimal.")


class Adherence(_Model):
    """How the budgets of the six periods before were kept, each by the budgets valid in it."""

    periods_analyzed: int = Field(description="Those of the six that had a budget above zero.")
    times_exceeded: int = Field(description="Those whose exact overall usage was 100 % or more.")
    average_usage_pct: float | None = Field(description="Mean of exact overall usages; 1 decimal; null when none.")
    trend: Literal["improving", "steady", "worsening", "unknown"] = Field(
        description="Mean usage of the newer half of the analysed periods against the older half (the middle "
        "one of an odd number is in neither): more than 5 points lower is improving, more than 5 "
        "points higher is worsening. Unknown with fewer than two."
    )


class Budgets(_Model):
    """The budgets of this grain and currency, active and overlapping the period by their dates."""

    general: BudgetUse | None = Field(
        description="The budget without categories; of several, the one that started last (then highest id)."
    )
    by_category: list[BudgetUse] = Field(description="By name, then id. Overlapping budgets each count.")
    total_budget: Money = Field(description="The general budget's amount, else the sum of category budgets.")
    overall_usage_pct: float | None = Field(
        description="The general budget's usage, else the sum of spend over the sum of category budgets; "
        "1 decimal; null when that amount is zero."
    )
    adherence: Adherence


class CurrencyMetrics(_Model):
    """All figures of one currency.

    A currency is listed when it has a counted expense in the period, in the previous period or in
    the sparkline's seven days, or a budget valid in the period.
    """

    total: Money
    count: int
    average: Money | None = Field(description="null without expenses, as median, min and max.")
    median: Money | None
    min: Money | None
    max: Money | None
    trend: Trend
    categories: list[CategoryTotal] = Field(
        description="Largest total first; equal totals by name (code point order), then id, uncategorised last."
    )
    daily: list[DayTotal] = Field(description="Week and month: every day, zeros included. Else empty.")
    monthly: list[MonthTotal] = Field(description="Year: every month, zeros included. Else empty.")
    sparkline: Sparkline
    budgets: Budgets | None = Field(description="null when no budget of this grain is valid in the period.")


class PeriodMetrics(_Model):
    """The metrics of one account in one period."""

    schema_: int = Field(alias="schema")
    version: int = Field(description="Grows with every change of this account and period; never goes back.")
    calculated_at: datetime
    background_calculated: bool = Field(description="False when computed on demand, for one read.")
    computed_by: ComputedBy
    code_version: str
    account_id: int
    currency: str = Field(description="The account's own currency: the one to show first.")
    grain: Grain
    period_start: date
    period_end: date = Field(description="The first day after the period.")
    timezone: str
    as_of: date = Field(description="Today for a current period, else the period's last day.")
    is_current: bool
    transaction_count: int
    unique_merchants: int = Field(description="Exact names; expenses without a merchant name have none.")
    unique_categories: int
    uncategorized_count: int
    by_status: dict[str, int] = Field(description="Undeleted expenses of every status, excluded ones too.")
    currencies: dict[str, CurrencyMetrics] = Field(description="By code; the account's own first, then A to Z.")
