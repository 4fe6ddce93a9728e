"""Exact numbers to the form in which a payload shows them."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction
from math import floor

from metrics_pipeline_tests.reference.rows import Expense


def rounded(value: Fraction | Decimal, places: int) -> Decimal:
    """The nearest decimal with so many places; halves go away from zero."""
    exact = Fraction(value)
    steps = floor(abs(exact) * 10**places + Fraction(1, 2))
    return Decimal(steps if exact >= 0 else -steps) / 10**places


def money(value: Fraction | Decimal) -> str:
    return f"{rounded(value, 2):.2f}"


def percent(part: Decimal | Fraction | int, whole: Decimal | Fraction | int, places: int) -> float | None:
    """`part` in percent of `whole`; None when that is nothing."""
    if whole == 0:
        return None
    return number(Fraction(part) * 100 / Fraction(whole), places)


def number(value: Fraction, places: int) -> float:
    # Adding 0.0 turns the minus zero that a tiny negative number rounds to into a plain zero.
    return float(rounded(value, places)) + 0.0


def total(expenses: Iterable[Expense]) -> Decimal:
    return sum((expense.amount for expense in expenses), Decimal(0))
