"""What a CSV file of each expense table may hold: its columns, how to read them, what they refer to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from metrics_pipeline.source import values
from metrics_pipeline.source.moments import day, instant

REFUSED = object()
"""An empty cell of such a column rejects its row."""


@dataclass(frozen=True)
class Column:
    """A column that a file may have.

    Args:
        read: turns a cell that is not empty into what COPY is given; raises BadValue.
        required: whether every file must have the column.
        empty: what an empty cell means: NULL, REFUSED, or a default.
        refers_to: the table that must hold the value as an id.
        verbatim: keep blanks around the value.
        kept_when_empty: an empty cell leaves a stored value alone; a new row gets the time of the load.
    """

    name: str
    read: Callable[[str], Any]
    required: bool = False
    empty: object = None
    refers_to: str | None = None
    verbatim: bool = False
    kept_when_empty: bool = False


@dataclass(frozen=True)
class Table:
    """A table, its key, and a rule over several columns (returns the reason to reject the row)."""

    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...] = ("id",)
    objection: Callable[[dict[str, Any]], str | None] | None = None

    @property
    def required(self) -> list[str]:
        return [column.name for column in self.columns if column.required]


def expense_tables(zone: ZoneInfo) -> tuple[Table, ...]:
    """The tables in the order in which they refer to each other. Times without an offset are of `zone`."""
    time = partial(instant, zone=zone)
    return (
        Table(
            "email_accounts",
            (
                _id("id"),
                _text("email", required=True),
                _text("bank_name"),
                Column("currency", values.currency),
                Column("active", values.boolean, empty="t"),
            ),
        ),
        Table("categories", (_id("id"), _text("name", required=True), Column("parent_id", values.identifier))),
        Table(
            "expenses",
            (
                _id("id"),
                _id("email_account_id", "email_accounts"),
                Column("category_id", values.identifier, refers_to="categories"),
                Column("amount", values.positive_amount, required=True, empty=REFUSED),
                Column("currency", values.currency, required=True, empty=REFUSED),
                Column("status", values.status, empty="processed"),
                _text("merchant_name"),
                _text("description"),
                Column("transaction_date", time, required=True, empty=REFUSED),
                Column("deleted_at", time),
                Column("created_at", time, kept_when_empty=True),
                Column("updated_at", time, kept_when_empty=True),
            ),
        ),
        Table(
            "budgets",
            (
                _id("id"),
                _id("email_account_id", "email_accounts"),
                _text("name", required=True),
                Column("period", values.budget_period, required=True, empty=REFUSED),
                Column("amount", values.amount_or_zero, required=True, empty=REFUSED),
                Column("currency", values.currency, required=True, empty=REFUSED),
                Column("start_date", day, required=True, empty=REFUSED),
                Column("end_date", day),
                Column("active", values.boolean, empty="t"),
                Column("warning_threshold", values.threshold, empty="70"),
                Column("critical_threshold", values.threshold, empty="90"),
            ),
            objection=_budget_objection,
        ),
        Table(
            "budget_categories",
            (_id("budget_id", "budgets"), _id("category_id", "categories")),
            key=("budget_id", "category_id"),
        ),
    )


def _id(name: str, refers_to: str | None = None) -> Column:
    return Column(name, values.identifier, required=True, empty=REFUSED, refers_to=refers_to)


def _text(name: str, *, required: bool = False) -> Column:
    return Column(name, values.text, required=required, empty=REFUSED if required else None, verbatim=True)


def _budget_objection(budget: dict[str, Any]) -> str | None:
    start, end = budget["start_date"], budget.get("end_date")
    if end is not None and date.fromisoformat(end) < date.fromisoformat(start):
        return f"end_date {end} is before start_date {start}"
    warning = Decimal(budget.get("warning_threshold") or "70")
    critical = Decimal(budget.get("critical_threshold") or "90")
    if warning > critical:
        return f"warning_threshold {warning} is above critical_threshold {critical}"
    return None
