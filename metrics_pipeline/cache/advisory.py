"""Period locks in PostgreSQL, for while Redis is away: advisory locks of one open transaction.

They end with their transaction, hence with their process or its connection: nothing outlives a run.
Of a transaction and not of a session, so that a pooler between here and the server keeps them apart.
Shards of different counts do not exclude each other here.
"""

from __future__ import annotations

import hashlib
import threading

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from metrics_pipeline.cache.leased import LockLost
from metrics_pipeline.cache.lock_keys import lock_key
from metrics_pipeline.database import domain_errors
from metrics_pipeline.periods import Period
from metrics_pipeline.planning.shards import Shard
from metrics_pipeline.sql import query

HOLDER_PREFIX = "metrics lock: "
"""Before the run's id, as the session's application_name: for others, and for pg_stat_activity."""


class AdvisoryLocks:
    """The locks of one run in PostgreSQL, on a connection of their own. Raises DatabaseUnavailable."""

    def __init__(self, engine: Engine, holder: str, shard: Shard | None) -> None:
        self._engine, self._holder, self._shard = engine, holder, shard
        self._using = threading.Lock()
        self._connection: Connection | None = None

    def take(self, period: Period) -> str | None:
        """Who else holds a period; None when it has become ours. Raises DatabaseUnavailable."""
        whole = advisory_key(period)
        own = advisory_key(period, self._shard)
        with self._using, domain_errors(f"Locking {period} in PostgreSQL, as Redis is away"):
            connection = self._connection = self._connection or self._opened()
            attempt = connection.begin_nested()  # undone, a shard gives the whole period's lock back too
            if not self._shard:
                taken = connection.execute(query("try_lock"), {"key": own}).scalar_one()
            else:
                taken = (
                    connection.execute(query("try_shared_lock"), {"key": whole}).scalar_one()
                    and connection.execute(query("try_lock"), {"key": own}).scalar_one()
                )
            if taken:
                attempt.commit()
                return None
            attempt.rollback()
            holders = connection.execute(query("advisory_holders"), {"keys": [own, whole]}).scalars()
            return next((name.removeprefix(HOLDER_PREFIX) for name in holders), "unknown")

    def check(self) -> None:
        """Raises LockLost if the transaction that holds the locks has ended."""
        with self._using:
            try:
                if self._connection:
                    self._connection.exec_driver_sql("SELECT 1")
            except SQLAlchemyError as error:
                raise LockLost(
                    f"Run {self._holder} lost its locks: its session with PostgreSQL ended. "
                    "What it has not committed by now may be another run's; it will be tried again."
                ) from error

    def release(self) -> None:
        with self._using:
            if self._connection:
                self._connection.close()  # rolls back, or the connection is gone already

    def _opened(self) -> Connection:
        connection = self._engine.connect()
        try:
            connection.execute(query("begin_advisory"), {"application_name": f"{HOLDER_PREFIX}{self._holder}"})
        except BaseException:
            connection.close()
            raise
        return connection


def advisory_key(period: Period, shard: Shard | None = None) -> int:
    """The same 64 bits in every process and version, for the same name."""
    digest = hashlib.sha256(lock_key(period, shard).encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)
