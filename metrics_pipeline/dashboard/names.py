"""What accounts are called: for headings, never needed to show numbers."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

import anyio
import anyio.to_thread
from cachetools import TTLCache
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from metrics_pipeline.sql import query

_KEPT_SECONDS, _MOST_KEPT = 300, 10_000
_PATIENCE_SECONDS = 0.3  # a heading is not worth a longer wait


class AccountName(NamedTuple):
    id: int
    email: str
    bank: str | None


class AccountNames:
    """Names from PostgreSQL, kept for five minutes; without it, no names."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._known: TTLCache[int, AccountName | None] = TTLCache(_MOST_KEPT, _KEPT_SECONDS)

    async def of(self, account_id: int) -> AccountName | None:
        if account_id not in self._known:
            with anyio.move_on_after(_PATIENCE_SECONDS):
                found = await anyio.to_thread.run_sync(self._read, [account_id], 0, 1, abandon_on_cancel=True)
                self._known[account_id] = found[0] if found else None
        return self._known.get(account_id)

    async def listed(self, account_ids: Collection[int] | None, after: int, count: int) -> list[AccountName]:
        """By id, above `after`; of these accounts, or of all when None. Empty when PostgreSQL is away."""
        ids = None if account_ids is None else sorted(account_ids)
        return await anyio.to_thread.run_sync(self._read, ids, after, count)

    def _read(self, account_ids: list[int] | None, after: int, count: int) -> list[AccountName]:
        parameters = {"account_ids": account_ids, "after": after, "count": count}
        try:
            with self._engine.connect() as connection:
                rows = connection.execute(query("account_names"), parameters).all()
        except SQLAlchemyError:
            return []
        return [AccountName(row.id, row.email, row.bank_name) for row in rows]
