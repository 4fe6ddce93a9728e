"""What one of many processes does that want the same period. Imports little: each process imports it again."""

from __future__ import annotations

from datetime import date

from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from sqlalchemy import text

from metrics_pipeline.cache.locks import period_locks
from metrics_pipeline.database import connect_engine
from metrics_pipeline.periods import Grain, Period

MONTH = Period(Grain.MONTH, date(2026, 3, 1))


def hold_often(redis_url: str, database_url: str, number: int, attempts: int) -> None:
    """Each holding is a row of a table that has room for one a period."""
    engine = connect_engine(database_url)
    with Redis.from_url(redis_url, retry=Retry(NoBackoff(), 0)) as redis, engine.connect() as connection:
        for attempt in range(attempts):
            with period_locks(
                redis,
                engine,
                [MONTH],
                holder=f"run {number}",
                policy="skip" if attempt % 20 else "wait",
                patience_seconds=60,
            ) as locks:
                if locks.held:
                    connection.execute(text("INSERT INTO holdings VALUES ('month')"))
                    connection.commit()
                    connection.execute(text("DELETE FROM holdings"))
                    connection.execute(text("INSERT INTO held VALUES (:number)"), {"number": number})
                    connection.commit()
