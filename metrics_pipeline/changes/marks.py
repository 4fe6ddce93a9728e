"""Marks as one snapshot shows them, and their removal by token once the periods are refreshed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cached_property

from sqlalchemy import Connection, Engine

from metrics_pipeline.changes.keys import Key, array, key_of, period_arrays, period_of
from metrics_pipeline.periods import Period
from metrics_pipeline.planning.affected import EVERYBODY
from metrics_pipeline.planning.refreshing import StalePeriod
from metrics_pipeline.sql import query, rows_of


@dataclass(frozen=True)
class Marks:
    """Tokens by account and period. A wildcard (account EVERYBODY) marks every account of its period."""

    tokens: dict[Key, int] = field(default_factory=dict)

    def cover(self, key: Key) -> bool:
        return bool(self.tokens) and (key in self.tokens or (EVERYBODY, key[1]) in self.tokens)

    def is_wide(self, period: Period) -> bool:
        return (EVERYBODY, period) in self.tokens

    def accounts_of(self, period: Period) -> set[int]:
        """The accounts that have a mark of their own on the period."""
        return self._accounts.get(period, set())

    @cached_property
    def _accounts(self) -> dict[Period, set[int]]:
        found: dict[Period, set[int]] = {}
        for account_id, period in self.tokens:
            if account_id != EVERYBODY:
                found.setdefault(period, set()).add(account_id)
        return found

    def of(self, keys: Iterable[Key]) -> Marks:
        return Marks({key: self.tokens[key] for key in keys if key in self.tokens}) if self.tokens else self

    def wildcards(self) -> Marks:
        return Marks({key: token for key, token in self.tokens.items() if key[0] == EVERYBODY})


def read_marks(connection: Connection, periods: Sequence[Period], account_ids: Collection[int] | None) -> Marks:
    """The marks of these periods: of everybody, or of these accounts and the wildcards."""
    wanted = None if account_ids is None else sorted(account_ids)
    rows = rows_of(connection, "marks_of", {**period_arrays(periods), "account_ids": wanted})
    return Marks({key_of(row): row.mark for row in rows})


def clear_marks(engine: Engine, marks: Marks) -> list[datetime]:
    """Remove these marks where the token is still the same. Returns when the oldest change behind each was made.

    Called after the refreshed payloads are committed and published: a crash before leaves work, never a lie.
    """
    if not marks.tokens:
        return []
    wanted = {
        "account_ids": array({account_id for account_id, _ in marks.tokens}),
        **period_arrays({period for _, period in marks.tokens}),
        "marks": array(marks.tokens.values()),
    }
    # One statement is a transaction anyway; without BEGIN and COMMIT it takes two round trips less.
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        return [row.first_changed_at for row in rows_of(connection, "clear_marks", wanted)]


def read_backlog(connection: Connection, earliest: date, today: date) -> list[StalePeriod]:
    """The periods from `earliest` to `today` that have a mark, by grain and start.

    Others can't be computed: they were marked before the start date was set to a later day, or in a time zone where
    it is tomorrow.
    """
    marked = (
        StalePeriod(period_of(row), row.accounts, row.everybody, row.first_changed_at, row.last_changed_at)
        for row in connection.execute(query("backlog"))
    )
    return [stale for stale in marked if stale.period.end > earliest and stale.period.start <= today]
