"""The rows of the expense tables, as far as metrics depend on them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal


@dataclass(frozen=True)
class Account:
    id: int
    currency: str | None = "USD"
    active: bool = True


@dataclass(frozen=True)
class Category:
    id: int
    name: str


@dataclass(frozen=True)
class Expense:
    account_id: int | None
    amount: Decimal
    at: datetime
    currency: str = "USD"
    status: str = "processed"
    category_id: int | None = None
    merchant: str | None = None
    deleted: bool = False

    def __post_init__(self) -> None:
        assert self.at.tzinfo is not None, "an expense happens at an instant, so its time needs a zone"


@dataclass(frozen=True)
class Budget:
    """A plan for one grain; general when it names no categories. Thresholds are percentages."""

    id: int
    account_id: int
    name: str
    grain: str
    amount: Decimal
    currency: str
    start_date: date
    end_date: date | None = None
    active: bool = True
    warning: Decimal = Decimal(70)
    critical: Decimal = Decimal(90)
    category_ids: tuple[int, ...] = ()


@dataclass(frozen=True)
class Data:
    accounts: list[Account]
    categories: list[Category] = field(default_factory=list)
    expenses: list[Expense] = field(default_factory=list)
    budgets: list[Budget] = field(default_factory=list)

    def account(self, account_id: int) -> Account:
        return next(account for account in self.accounts if account.id == account_id)

    def category_name(self, category_id: int) -> str:
        return next(category.name for category in self.categories if category.id == category_id)

    def with_expenses(self, *expenses: Expense) -> Data:
        return replace(self, expenses=[*self.expenses, *expenses])


def code(currency: str) -> str:
    """Currency codes are the same whatever their case and surrounding blanks."""
    return currency.strip().upper()
