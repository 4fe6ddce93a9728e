"""What one computation is about, numbered so that figures are arrays.

A *group* is one currency of one account; a *pair* is one category of one group. Both are numbered
densely and in order, so that an account's groups and a group's pairs stand side by side.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metrics_pipeline.metrics.dimensions import NO_CATEGORY, Dimensions
from metrics_pipeline.metrics.exact import Ints
from metrics_pipeline.metrics.expenses import Coded

_SMALL_TABLE = 2**16
"""A table over all codes may have so many entries; more only if there are as many expenses."""


@dataclass(frozen=True)
class Universe:
    """The accounts, currencies, categories, groups and pairs of one computation.

    `categories` is in display order: by name, then id, and the missing category last.
    """

    account_ids: Ints
    currencies: list[str]
    categories: list[int | None]
    category_names: dict[int, str]
    pair_group: Ints
    pair_category: Ints
    group_account: Ints
    group_currency: Ints

    @cached_property
    def first_pair(self) -> Ints:
        """Where each group's pairs begin; one more entry at the end."""
        return np.searchsorted(self.pair_group, np.arange(self.group_account.size + 1))

    @cached_property
    def first_group(self) -> Ints:
        """Where each account's groups begin; one more entry at the end."""
        return np.searchsorted(self.group_account, np.arange(self.account_ids.size + 1))

    @cached_property
    def account_category(self) -> tuple[Ints, Ints]:
        """For each pair, the number of its (account, category), and the account of each such number.

        Pairs without a category have the number of their account's missing category.
        """
        codes = self.group_account[self.pair_group] * len(self.categories) + self.pair_category
        unique, numbers = np.unique(codes, return_inverse=True)
        return numbers, unique // len(self.categories)

    def sum_pairs(self, by_pair: Ints) -> Ints:
        """Figures of pairs added up to their groups."""
        return np.add.reduceat(by_pair, self.first_pair[:-1]) if by_pair.size else by_pair


def number_pairs(
    dimensions: Dimensions, currencies: list[str], account: NDArray[Any], currency: NDArray[Any], category: Coded
) -> tuple[Universe, NDArray[np.int32]]:
    """The universe, with a pair for every budget and its categories too, and the pair of each expense.

    `account` and `currency` are positions.
    """
    names = dimensions.category_names
    ids = {*category.values.tolist()} | {id for budget in dimensions.budgets for id in budget.category_ids}
    ids.discard(NO_CATEGORY)
    categories: list[int | None] = [*sorted(ids, key=lambda id: (names.get(id, ""), id)), None]
    position = {NO_CATEGORY if id is None else id: n for n, id in enumerate(categories)}

    accounts = dimensions.account_ids.size
    account_position = {int(id): n for n, id in enumerate(dimensions.account_ids)}
    wanted = [
        (account_position[budget.account_id] * len(currencies) + currencies.index(budget.currency)) * len(categories)
        + position[id]
        for budget in dimensions.budgets
        if budget.account_id in account_position
        for id in budget.category_ids or (NO_CATEGORY,)
    ]
    end = accounts * len(currencies) * len(categories)
    integer = smallest_integer(end)
    code = account.astype(integer)
    code *= len(currencies)
    code += currency
    code *= len(categories)
    code += np.array([position[id] for id in category.values.tolist()], integer)[category.codes]
    pair_codes, pair = _numbered(code, np.array(wanted, integer), end)
    group_codes, pair_group = np.unique(pair_codes // len(categories), return_inverse=True)
    return (
        Universe(
            account_ids=dimensions.account_ids,
            currencies=currencies,
            categories=categories,
            category_names=names,
            pair_group=pair_group,
            pair_category=pair_codes % len(categories),
            group_account=group_codes // max(len(currencies), 1),
            group_currency=group_codes % max(len(currencies), 1),
        ),
        pair,
    )


def smallest_integer(end: int) -> np.dtype[Any]:
    """What holds codes up to `end`, of which there are as many as expenses."""
    return np.dtype(np.int32 if end <= 2**31 else np.int64)


def _numbered(codes: NDArray[Any], others: NDArray[Any], end: int) -> tuple[Ints, NDArray[np.int32]]:
    """The distinct codes, ascending, and the place of each code among them; all are from 0 up to `end`.

    The `others` are among the distinct ones too.
    """
    if end > max(codes.size, _SMALL_TABLE):
        numbers, distinct = pd.factorize(np.concatenate([codes, others]))
        order = np.argsort(distinct)
        rank = np.empty(order.size, np.int32)
        rank[order] = np.arange(order.size)
        return distinct[order].astype(np.int64), rank[numbers[: codes.size]]
    found = np.zeros(end, bool)  # looking into a table takes a third of the time that hashing takes
    found[codes] = True
    found[others] = True
    distinct = np.flatnonzero(found)
    place = np.empty(end, np.int32)
    place[distinct] = np.arange(distinct.size)
    return distinct, place[codes]
