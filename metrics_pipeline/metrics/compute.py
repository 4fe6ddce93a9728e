"""Computing the payloads of periods × accounts from one snapshot."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from threading import Lock
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from sqlalchemy import Connection

from metrics_pipeline.metrics.assemble import Content, PeriodAssembler
from metrics_pipeline.metrics.budgets import BudgetBook
from metrics_pipeline.metrics.dimensions import read_dimensions
from metrics_pipeline.metrics.encode import encode
from metrics_pipeline.metrics.exact import Ints
from metrics_pipeline.metrics.figures import compute_figures
from metrics_pipeline.metrics.pull import read_expenses
from metrics_pipeline.metrics.scope import scope_of
from metrics_pipeline.metrics.year_before import YearTotals
from metrics_pipeline.periods import Grain, Period
from metrics_pipeline.settings import Settings

_BLOCK = 3000
"""Accounts whose texts are made together, in some 25 MB. With 1000 an hourly run takes Python a twentieth longer."""


@dataclass
class Timer:
    """Seconds by phase, added up over many short stretches of several threads."""

    seconds: dict[str, float]
    _lock: Lock = field(default_factory=Lock, init=False)

    def add(self, phase: str, since: float) -> float:
        now = time.perf_counter()
        with self._lock:
            self.seconds[phase] = self.seconds.get(phase, 0.0) + now - since
        return now


class Block(NamedTuple):
    """Some payloads of one period, so many; `contents` writes them out, on any thread."""

    size: int
    contents: Callable[[], list[Content]]


class Computation:
    """All periods of a request, computed from what one snapshot holds.

    Reads everything when made, and needs no database then.
    """

    def __init__(
        self,
        connection: Connection,
        settings: Settings,
        periods: Sequence[Period],
        today: date,
        account_ids: Collection[int] | None,
        timer: Timer,
        traced: Collection[int] = (),
        everybody: bool | None = None,
        year_totals: YearTotals = MappingProxyType({}),
    ) -> None:
        """
        Args:
            connection: in the transaction whose snapshot counts.
            account_ids: None for every active account; else these, as far as they exist.
            traced: accounts to compute as well, even if inactive or gone: they have a stored row or a mark.
            everybody: whether every active account was asked for, of whom `account_ids` may be a portion.
            year_totals: what accounts spent in the year before the window, as far as that needs no reading.
        """
        started = time.perf_counter()
        self.periods, self._today, self._settings, self._timer = periods, today, settings, timer
        self._everybody = account_ids is None if everybody is None else everybody
        grains: set[Grain] = {period.grain for period in periods}
        wanted = None if account_ids is None else sorted(set(account_ids))
        self._dimensions = read_dimensions(connection, wanted, sorted(traced), grains, settings.default_currency)
        budgets = self._dimensions.budgets
        scope = scope_of(periods, today, {budget.grain for budget in budgets})
        expenses = read_expenses(
            connection,
            scope,
            settings.zone,
            self._dimensions,
            None if wanted is None else self._dimensions.account_ids.tolist(),
            everybody=self._everybody,
            year_totals=year_totals,
        )
        self.rows_read = expenses.rows_read
        started = timer.add("pull", started)
        self._facts = encode(expenses, self._dimensions, scope, settings.excluded_statuses)
        self._book = BudgetBook(self._facts, budgets)
        timer.add("sort", started)

    @property
    def account_ids(self) -> list[int]:
        """The accounts that are computed; unknown ids that were asked for are not among them."""
        ids: list[int] = self._dimensions.account_ids.tolist()
        return ids

    def contents(self, period: Period, *, only: Collection[int] | None = None) -> list[Content]:
        """The payloads of a period. `only` as in `blocks`."""
        return [content for block in self.blocks(period, only=only) for content in block.contents()]

    def blocks(self, period: Period, *, only: Collection[int] | None = None, also: ArrayLike = ()) -> list[Block]:
        """The payloads of a period, whose figures are computed at once: their texts are most of the work.

        Those of the accounts in `only`; without it, when everybody was asked for: of the accounts
        with expenses in the period, of every active one while it is current, and of those in
        `also`. Else of each account asked for.
        """
        started = time.perf_counter()
        figures = compute_figures(self._facts, period, self._today)
        budgets = self._book.of_period(period, self._today)
        assembler = PeriodAssembler(
            self._facts.universe,
            self._dimensions.account_currencies,
            self._facts.statuses,
            figures,
            budgets,
            self._today,
            self._settings.timezone,
        )
        ids = self._dimensions.account_ids
        positions = np.arange(ids.size)
        if only is not None:
            positions = np.flatnonzero(np.isin(ids, [*only]))
        elif self._everybody:
            needed = assembler.accounts_with_expenses()
            if period.is_current(self._today):
                needed = np.union1d(needed, np.flatnonzero(self._dimensions.active))
            positions = np.union1d(needed, np.flatnonzero(np.isin(ids, also)))
        self._timer.add("compute", started)
        parts = [positions[first : first + _BLOCK] for first in range(0, positions.size, _BLOCK)]
        return [Block(part.size, partial(_assemble, assembler, part, self._timer)) for part in parts]


def _assemble(assembler: PeriodAssembler, positions: Ints, timer: Timer) -> list[Content]:
    """No method of the computation: blocks that wait to be written would keep all of its expenses in memory."""
    started = time.perf_counter()
    contents = assembler.contents(positions)
    timer.add("assemble", started)
    return contents
