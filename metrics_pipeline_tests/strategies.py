"""Hypothesis strategies: small expense data sets that sit on the edges of days, weeks, months and years.

An example is a zone, the local day that it is, a data set and the settings that matter. Its rows
gather around an anchor: a local day on which that zone's clocks, or the calendar, do something hard.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from metrics_pipeline_tests.reference import Account, Budget, Category, Data, Expense
from metrics_pipeline_tests.reference.periods import GRAINS, day_of, end_of, midnight, start_of

Row = TypeVar("Row")

CALENDAR_EDGES = [
    date(2024, 2, 29),  # leap day
    date(2023, 3, 1),  # after a February without one
    date(2024, 12, 30),  # Monday of ISO week 2025-W01
    date(2021, 1, 3),  # Sunday of ISO week 2020-W53
    date(2026, 1, 1),
    date(2026, 3, 31),  # further into the month than February went
    date(1970, 1, 1),  # where timestamps turn negative
]
CLOCK_CHANGES = {
    "UTC": [],
    "America/Costa_Rica": [date(1992, 3, 15)],  # its last change
    "America/New_York": [date(2024, 3, 10), date(2024, 11, 3), date(2041, 11, 3)],
    "Pacific/Apia": [date(2011, 12, 30), date(2011, 12, 31), date(2012, 4, 1)],  # the 30th never was
    "America/Havana": [date(2024, 3, 10), date(2024, 11, 3)],  # no midnight, then two
    "Atlantic/Azores": [date(2024, 3, 31), date(2024, 10, 27)],  # the same, at a month's end
    "America/St_Johns": [date(2006, 4, 2), date(2006, 10, 29), date(2010, 11, 7)],  # changes at 00:01
}

CURRENCIES = st.sampled_from(["USD", "USD", "USD", "CRC", "CRC", "EUR"])
STATUSES = ["processed", "processed", "processed", "processed", "pending", "failed", "duplicate"]
EXCLUSIONS = [("failed", "duplicate"), ("failed", "duplicate"), (), ("pending",), ("processed",)]
MERCHANTS = [None, None, "Amazon", "amazon", "Amazon ", "Café", "Cafe\u0301", "商店", "🍕", "x" * 300]
CATEGORY_NAMES = [
    "Food",
    "Food",
    "food",
    "Uncategorized",
    "Éclairs",
    "Zürich",
    "日本",
    "\uffee",
    "🍕",
    "A",
    "a b",
]
ACCOUNT_IDS = [1, 2, 3, 40, 10**12, 2**62]
CATEGORY_IDS = [1, 2, 5, 9, 10**6, 2**61]

# Sums and quotients of these meet halves of a cent, of 0.01 % and of 0.1 %, and thresholds, exactly.
ROUND_AMOUNTS = [
    "0.01",
    "0.02",
    "0.03",
    "10.00",
    "10.01",
    "20.00",
    "70.00",
    "99.99",
    "100.00",
    "200.00",
    "200.01",
]
AMOUNTS = st.one_of(
    st.sampled_from([Decimal(text) for text in ROUND_AMOUNTS]),
    st.integers(1, 999).map(lambda cents: Decimal(cents) / 100),
    st.integers(1, 9_999_999_999).map(lambda cents: Decimal(cents) / 100),
    st.just(Decimal("99999999.99")),
)
THRESHOLDS = st.sampled_from(["70", "90", "0", "50.05", "99.99", "100", "33.33"]).map(Decimal)
BEYOND = st.sampled_from([0, 0, 0, 1, 2, 5, 6, 7, 13, 30])


@dataclass(frozen=True)
class Example:
    """A data set, and the circumstances in which it is computed."""

    zone: ZoneInfo
    today: date
    excluded_statuses: tuple[str, ...]
    default_currency: str
    data: Data

    def __repr__(self) -> str:
        rows = "\n  ".join(
            str(row)
            for rows in (self.data.accounts, self.data.categories, self.data.expenses, self.data.budgets)
            for row in rows
        )
        return (
            f"{self.zone.key}, today {self.today}, excluded {self.excluded_statuses}, "
            f"default {self.default_currency}\n  {rows}\n"
        )


@st.composite
def examples(draw: st.DrawFn) -> Example:
    """Any zone, any anchor, any data set."""
    name = draw(st.sampled_from(sorted(CLOCK_CHANGES)))
    zone = ZoneInfo(name)
    # A zone's own clock changes are what it is here for: they come up more often than the rest.
    anchor = draw(st.sampled_from(CLOCK_CHANGES[name] * 4 + CALENDAR_EDGES))
    return Example(
        zone=zone,
        today=anchor + timedelta(days=draw(st.sampled_from([-1, 0, 0, 0, 1, 2, 6, 27, 31, 60, 366]))),
        excluded_statuses=draw(st.sampled_from(EXCLUSIONS)),
        default_currency=draw(st.sampled_from(["USD", "CRC"])),
        data=draw(data_sets(anchor, zone)),
    )


@st.composite
def data_sets(draw: st.DrawFn, anchor: date, zone: ZoneInfo) -> Data:
    """Some accounts, of which a few have nothing, with expenses and budgets around an anchor."""
    accounts = [
        Account(
            id=account_id,
            currency=draw(st.sampled_from(["USD", "CRC", "EUR", "crc", None])),
            active=draw(st.sampled_from([True, True, True, False])),
        )
        for account_id in draw(st.lists(st.sampled_from(ACCOUNT_IDS), min_size=1, max_size=4, unique=True))
    ]
    categories = [
        Category(id=category_id, name=draw(st.sampled_from(CATEGORY_NAMES)))
        for category_id in draw(st.lists(st.sampled_from(CATEGORY_IDS), max_size=5, unique=True))
    ]
    account_ids = [account.id for account in accounts]
    category_ids = [category.id for category in categories]
    expense = expenses(anchor, zone, account_ids, category_ids)
    budget = budgets(anchor, account_ids, category_ids)
    return Data(
        accounts,
        categories,
        draw(lists_up_to(40, expense)),
        draw(lists_up_to(12, budget, unique_by=lambda b: b.id)),
    )


def lists_up_to(most: int, elements: st.SearchStrategy[Row], **options: Any) -> st.SearchStrategy[list[Row]]:
    """Lists of all lengths alike; left to itself, hypothesis makes few of more than five elements."""
    lengths = st.sampled_from([0, 1, most // 4, most // 2, most])
    return lengths.flatmap(lambda n: st.lists(elements, min_size=n, max_size=n, **options))


@st.composite
def expenses(draw: st.DrawFn, anchor: date, zone: ZoneInfo, account_ids: list[int], category_ids: list[int]) -> Expense:
    """Mostly of the first account, so that its periods fill; now and then of nobody."""
    return Expense(
        account_id=draw(st.sampled_from(account_ids[:1] * 4 + account_ids + [None])),
        amount=draw(AMOUNTS),
        at=draw(instants(anchor, zone)),
        currency=draw(st.one_of(CURRENCIES, st.sampled_from(["usd", " Crc "]))),
        status=draw(st.sampled_from(STATUSES)),
        category_id=draw(st.sampled_from([None, *category_ids])),
        merchant=draw(st.sampled_from(MERCHANTS)),
        deleted=draw(st.sampled_from([False] * 7 + [True])),
    )


@st.composite
def instants(draw: st.DrawFn, anchor: date, zone: ZoneInfo) -> datetime:
    """Near the anchor or some periods away from it, on or beside the beginning of a day or period."""
    day = anchor
    grain = draw(st.sampled_from(["day", "day", *GRAINS]))
    for _ in range(draw(st.integers(0, 8))):
        day = start_of(grain, day) - timedelta(days=1)
    day += timedelta(days=draw(st.sampled_from([0, 0, 0, 1, 2, 7])))
    edge = midnight(draw(st.sampled_from([day, *(end_of(grain, start_of(grain, day)) for grain in GRAINS)])), zone)
    return edge + draw(
        st.one_of(
            st.sampled_from([timedelta(0), timedelta(microseconds=1), timedelta(microseconds=-1)]),
            st.sampled_from([-3600, -3599, -60, -1, 1, 59, 60, 3599, 3600]).map(lambda s: timedelta(seconds=s)),
            st.integers(-90_000, 90_000).map(lambda s: timedelta(seconds=s)),
        )
    )


@st.composite
def budgets(draw: st.DrawFn, anchor: date, account_ids: list[int], category_ids: list[int]) -> Budget:
    """Around the anchor, of any grain, general or not; several may cover the same period."""
    first = anchor - timedelta(days=draw(st.sampled_from([0, 1, 3, 7, 40, 200, 800, 3000])))
    last = draw(st.one_of(st.none(), BEYOND.map(lambda days: anchor + timedelta(days=days))))
    return Budget(
        id=draw(st.integers(1, 50)),
        account_id=draw(st.sampled_from(account_ids[:1] * 4 + account_ids)),
        name=draw(st.sampled_from(CATEGORY_NAMES)),
        grain=draw(st.sampled_from(GRAINS)),
        amount=draw(st.one_of(AMOUNTS, st.just(Decimal(0)))),
        currency=draw(st.one_of(CURRENCIES, st.just("usd"))),
        start_date=first,
        end_date=last,
        active=draw(st.sampled_from([True] * 6 + [False])),
        warning=draw(THRESHOLDS),
        critical=draw(THRESHOLDS),
        category_ids=tuple(draw(st.lists(st.sampled_from(category_ids), unique=True)) if category_ids else ()),
    )


def interesting_periods(example: Example) -> list[tuple[str, date]]:
    """Periods up to today that hold expenses, come right after some, or hold today or precede it."""
    days = {day_of(expense.at, example.zone) for expense in example.data.expenses} | {example.today}
    found = set()
    for grain in GRAINS:
        for day in days:
            start = start_of(grain, day)
            found |= {(grain, start), (grain, end_of(grain, start))}
        found.add((grain, start_of(grain, start_of(grain, example.today) - timedelta(days=1))))
    return sorted((grain, start) for grain, start in found if start <= example.today)
