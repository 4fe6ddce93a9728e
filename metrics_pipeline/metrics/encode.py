"""From expenses as they were read to facts: pairs and visits numbered, everything in the order of days."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metrics_pipeline.metrics.dimensions import Dimensions
from metrics_pipeline.metrics.exact import Ints
from metrics_pipeline.metrics.expenses import Expenses
from metrics_pipeline.metrics.facts import Facts
from metrics_pipeline.metrics.scope import Scope
from metrics_pipeline.metrics.universe import PairNumbering, smallest_integer

_FEW = 8
"""Blocks that are not worth a thread."""


def encode(expenses: Expenses, dimensions: Dimensions, scope: Scope, excluded_statuses: Collection[str]) -> Facts:
    """The facts. Block by block, as one fits into the processor's cache; its columns are given up then."""
    blocks, kind = expenses.blocks, expenses.places("kind")
    category, merchant = expenses.places("category"), expenses.places("merchant")
    labels = [expenses.kinds[value] for value in kind.values.tolist()]
    currencies = sorted({code for code, _ in labels} | {budget.currency for budget in dimensions.budgets})
    currency = np.array([currencies.index(code) for code, _ in labels], np.int32)
    statuses = sorted({status for _, status in labels})
    counts = np.array([status.lower() not in excluded_statuses for _, status in labels], bool)
    pairs = PairNumbering(dimensions, currencies, category.values)
    visits = VisitNumbering(dimensions.account_ids.size, merchant.values)

    counted = [counts[own][block.coded["kind"].codes] for block, own in zip(blocks, kind.of_blocks, strict=True)]
    sum_counts = expenses.sum_counts[counted[0]]
    everything = _Columns(
        [0, *(each.size for each in counted[1:])], day=np.int32, account=np.int32, kind=np.int32, checksum=np.int64
    )
    what_counts = _Columns(
        [int(each.sum()) for each in counted], day=np.int32, pair=pairs.dtype, cents=np.int64, visit=visits.dtype
    )
    first_day = np.int32(scope.first_day.toordinal())

    def fill(n: int) -> None:
        block, some = blocks[n], counted[n]
        account, day = block.columns["account"], block.columns["day"] - first_day
        kinds = kind.of_blocks[n][block.coded["kind"].codes]
        if n:
            everything.fill(n, day=day, account=account, kind=kinds, checksum=block.columns["checksum"])
        account = account[some]
        categories = category.of_blocks[n][block.coded["category"].codes[some]]
        merchants = merchant.of_blocks[n][block.coded["merchant"].codes[some]]
        what_counts.fill(
            n,
            day=day[some],
            pair=pairs.codes(account, currency[kinds[some]], categories),
            cents=block.columns["cents"][some],
            visit=visits.codes(account, merchants),
        )
        block.columns.clear()
        block.coded.clear()

    if len(blocks) > _FEW:
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(fill, range(len(blocks))))
    else:
        for n in range(len(blocks)):
            fill(n)
    any_rows, rows = everything.by_day(), what_counts.by_day()
    universe, pair = pairs.universe(rows.pop("pair"))
    return Facts(
        universe=universe,
        first_day=scope.first_day,
        pair=pair,
        **rows,
        merchants=visits.merchants,
        sum_counts=sum_counts,
        **{f"any_{name}": column for name, column in any_rows.items()},
        status_of=np.array([statuses.index(status) for _, status in labels], np.int64),
        statuses=statuses,
    )


class VisitNumbering:
    """Numbers of the (account, merchant) of expenses."""

    def __init__(self, accounts: int, merchants: Ints) -> None:
        """`merchants`: the distinct hashes of expenses; 0 is none."""
        self.merchants = max(merchants.size, 1)
        self.dtype = smallest_integer(accounts * self.merchants)
        self._is_none = merchants == 0

    def codes(self, account: NDArray[Any], merchant: NDArray[Any]) -> NDArray[Any]:
        """The account times `merchants` plus the merchant, both as positions; -1 without one."""
        visit = account.astype(self.dtype)
        visit *= self.merchants
        visit += merchant
        visit[self._is_none[merchant]] = -1
        return visit


class _Columns:
    """Columns of the rows of all blocks, of which some are so many."""

    def __init__(self, sizes: Sequence[int], **types: Any) -> None:
        self._sizes, self._ends = sizes, np.cumsum(sizes).tolist()
        self._columns = {name: np.empty(sum(sizes), dtype) for name, dtype in types.items()}

    def fill(self, block: int, **columns: NDArray[Any]) -> None:
        rows = slice(self._ends[block] - self._sizes[block], self._ends[block])
        for name, column in columns.items():
            self._columns[name][rows] = column

    def by_day(self) -> dict[str, NDArray[Any]]:
        """The columns in the order of days, which most often is theirs: PostgreSQL reads by an index of dates, or what
        came first. They are gone from here then."""
        columns, self._columns = self._columns, {}
        day = columns["day"]
        if (day[1:] >= day[:-1]).all():
            return columns
        order = np.argsort(day.astype(np.uint16) if day.max() < 2**16 else day, kind="stable")  # 16 bits in linear time
        return {name: columns.pop(name)[order] for name in [*columns]}
