"""Computing the payloads of periods × accounts from one snapshot."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
from sqlalchemy import Connection

from metrics_pipeline.metrics.assemble import Content, PeriodAssembler
from metrics_pipeline.metrics.budgets import BudgetBook
from metrics_pipeline.metrics.checksum import HASHED_BY
from metrics_pipeline.metrics.dimensions import read_dimensions
from metrics_pipeline.metrics.exact import Ints
from metrics_pipeline.metrics.facts import encode
from metrics_pipeline.metrics.figures import compute_figures
from metrics_pipeline.metrics.payload import CODE_VERSION, SCHEMA
from metrics_pipeline.metrics.pull import read_expenses
from metrics_pipeline.metrics.scope import scope_of
from metrics_pipeline.periods import Grain, Period
from metrics_pipeline.settings import Settings

FINGERPRINT_WIDTH = 16
"""Characters of a fingerprint: 64 bits in hexadecimal."""


@dataclass
class Timer:
    """Seconds by phase, added up over many short stretches."""

    seconds: dict[str, float]

    def add(self, phase: str, since: float) -> float:
        now = time.perf_counter()
        self.seconds[phase] = self.seconds.get(phase, 0.0) + now - since
        return now


class Computation:
    """All periods of a request, computed from what one snapshot holds.

    Reads everything when made; `contents` then needs no database.
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
    ) -> None:
        """
        Args:
            connection: in the transaction whose snapshot counts.
            account_ids: None for every active account; else these, as far as they exist.
            traced: accounts to compute as well, even if inactive or gone: they have a stored row or a mark.
            everybody: whether every active account was asked for, of whom `account_ids` may be a portion.
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

    def contents(
        self, period: Period, *, only: Collection[int] | None = None, also: Collection[int] = ()
    ) -> Iterator[Content]:
        """The payloads of a period: its figures are computed at once, its payloads written as they are taken.

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
            positions = _positions(ids, only)
        elif self._everybody:
            needed = assembler.accounts_with_expenses()
            if period.is_current(self._today):
                needed = np.union1d(needed, np.flatnonzero(self._dimensions.active))
            positions = np.union1d(needed, _positions(ids, also))
        self._timer.add("compute", started)
        return self._written(assembler.blocks(positions))

    def _written(self, blocks: Iterator[list[Content]]) -> Iterator[Content]:
        started = time.perf_counter()
        for block in blocks:
            self._timer.add("assemble", started)
            yield from block
            started = time.perf_counter()


def _positions(ids: Ints, wanted: Collection[int]) -> Ints:
    return np.flatnonzero(np.isin(ids, np.array(sorted(wanted), np.int64)))


def fingerprint(settings: Settings) -> str:
    """What a stored payload was computed under: another fingerprint means it is outdated."""
    parts = (SCHEMA, CODE_VERSION, HASHED_BY, settings.timezone, settings.excluded_statuses, settings.default_currency)
    return hashlib.blake2b(repr(parts).encode(), digest_size=FINGERPRINT_WIDTH // 2).hexdigest()
