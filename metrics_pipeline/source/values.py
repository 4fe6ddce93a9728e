"""Reading one cell of a CSV file: each function returns what COPY is given, or raises BadValue."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from functools import lru_cache

STATUSES = ("pending", "processed", "failed", "duplicate")
BUDGET_PERIODS = ("daily", "weekly", "monthly", "yearly")
LARGEST_AMOUNT = Decimal("9999999999.99")
LARGEST_THRESHOLD = Decimal("999.99")

_PLAIN_AMOUNT = re.compile(r"[0-9]{1,10}(?:\.[0-9]{1,2})?")
_CURRENCY = re.compile(r"[A-Za-z0-9]{3,12}")
_BOOLEANS = {
    **dict.fromkeys(("true", "t", "1", "yes", "y", "on"), "t"),
    **dict.fromkeys(("false", "f", "0", "no", "n", "off"), "f"),
}


class BadValue(ValueError):
    """Why a cell cannot be loaded; worded to follow the name of its column."""


def shown(cell: str) -> str:
    """The cell as a reason quotes it: on one line, printable, and not too long."""
    return repr(cell if len(cell) <= 60 else cell[:57] + "...")


def text(cell: str) -> str:
    """Any text that PostgreSQL can hold, kept exactly. Bytes that are no UTF-8 arrive as surrogates."""
    if not cell.isascii():
        try:
            cell.encode()
        except UnicodeEncodeError:
            raise BadValue(f"{shown(cell)} is not valid UTF-8") from None
    if "\0" in cell:
        raise BadValue(f"{shown(cell)} holds a NUL character")
    return cell


def identifier(cell: str) -> int:
    """A positive bigint."""
    if cell.isascii() and cell.isdecimal() and len(cell) <= 19 and 0 < (value := int(cell)) < 2**63:
        return value
    raise BadValue(f"{shown(cell)} is not a whole number from 1 to 9223372036854775807")


def positive_amount(cell: str) -> str:
    """Money above zero with at most two decimals. Nothing is rounded."""
    amount = amount_or_zero(cell)
    if not amount.strip("0."):
        raise BadValue(f"{shown(cell)} is not above zero")
    return amount


def amount_or_zero(cell: str) -> str:
    """Money of zero or more with at most two decimals. Nothing is rounded."""
    return cell if _PLAIN_AMOUNT.fullmatch(cell) else _decimal(cell, LARGEST_AMOUNT)


def threshold(cell: str) -> str:
    """A percentage above zero with at most two decimals."""
    percentage = _decimal(cell, LARGEST_THRESHOLD)
    if not percentage.strip("0."):
        raise BadValue(f"{shown(cell)} is not above zero")
    return percentage


def _decimal(cell: str, largest: Decimal) -> str:
    """The number in plain notation. Three decimals are refused even as zeros: 1.000 may mean a thousand."""
    try:
        # Decimal reads digits of every script, and underscores between them.
        number = Decimal(cell if cell.isascii() and "_" not in cell else "?")
    except InvalidOperation:
        raise BadValue(f"{shown(cell)} is not a number such as 1234.50") from None
    exponent = number.as_tuple().exponent
    if not isinstance(exponent, int):
        raise BadValue(f"{shown(cell)} is not a finite number")
    if number.is_signed():
        raise BadValue(f"{shown(cell)} is negative")
    if exponent < -2:
        raise BadValue(f"{shown(cell)} has more than 2 decimals")
    if number > largest:
        raise BadValue(f"{shown(cell)} is above {largest}")
    return f"{number:f}"


@lru_cache(maxsize=1024)
def currency(cell: str) -> str:
    if not _CURRENCY.fullmatch(cell):
        raise BadValue(f"{shown(cell)} is not a currency code of 3 to 12 letters or digits")
    return cell.upper()


@lru_cache(maxsize=1024)
def status(cell: str) -> str:
    return _one_of(STATUSES, cell)


def budget_period(cell: str) -> str:
    return _one_of(BUDGET_PERIODS, cell)


def boolean(cell: str) -> str:
    try:
        return _BOOLEANS[cell.lower()]
    except KeyError:
        raise BadValue(f"{shown(cell)} is neither true nor false") from None


def _one_of(words: tuple[str, ...], cell: str) -> str:
    word = cell.lower()
    if word not in words:
        raise BadValue(f"{shown(cell)} is none of {', '.join(words)}")
    return word
