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


class PairNumbering:
    """Codes of pairs, by which they are numbered once all are known."""

    def __init__(self, dimensions: Dimensions, currencies: list[str], category_ids: Ints) -> None:
        """`category_ids`: those of expenses; budgets' own are among the pairs too."""
        names = dimensions.category_names
        ids = {*category_ids.tolist()} | {id for budget in dimensions.budgets for id in budget.category_ids}
        ids.discard(NO_CATEGORY)
        self._dimensions, self._currencies = dimensions, currencies
        self._categories: list[int | None] = [*sorted(ids, key=lambda id: (names.get(id, ""), id)), None]
        self._end = dimensions.account_ids.size * len(currencies) * len(self._categories)
        self.dtype = smallest_integer(self._end)
        self._position = {NO_CATEGORY if id is None else id: n for n, id in enumerate(self._categories)}
        self._position_of = np.array([self._position[id] for id in category_ids.tolist()], self.dtype)

    def codes(self, account: NDArray[Any], currency: NDArray[Any], category: NDArray[Any]) -> NDArray[Any]:
        """Of expenses: account and currency are positions, and so is the category among the given ids."""
        code = account.astype(self.dtype)
        code *= len(self._currencies)
        code += currency
        code *= len(self._categories)
        code += self._position_of[category]
        return code

    def universe(self, codes: NDArray[Any]) -> tuple[Universe, NDArray[np.int32]]:
        """What is computed, with a pair for every budget and its categories too; and the pair of each code."""
        pair_codes, pair = _numbered(codes, np.array(self._of_budgets(), self.dtype), self._end)
        group_codes, pair_group = np.unique(pair_codes // len(self._categories), return_inverse=True)
        universe = Universe(
            account_ids=self._dimensions.account_ids,
            currencies=self._currencies,
            categories=self._categories,
            category_names=self._dimensions.category_names,
            pair_group=pair_group,
            pair_category=pair_codes % len(self._categories),
            group_account=group_codes // max(len(self._currencies), 1),
            group_currency=group_codes % max(len(self._currencies), 1),
        )
        return universe, pair

    def _of_budgets(self) -> list[int]:
        account = {int(id): n for n, id in enumerate(self._dimensions.account_ids)}
        return [
            (account[budget.account_id] * len(self._currencies) + self._currencies.index(budget.currency))
            * len(self._categories)
            + self._position[id]
            for budget in self._dimensions.budgets
            if budget.account_id in account
            for id in budget.category_ids or (NO_CATEGORY,)
        ]


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
