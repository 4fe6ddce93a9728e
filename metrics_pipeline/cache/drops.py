"""Deleting cache entries that were ordered dropped. The order stays in PostgreSQL until it was carried out."""

from __future__ import annotations

from collections.abc import Iterable

from redis import Redis
from sqlalchemy import Engine

from metrics_pipeline.cache.errors import cache_errors
from metrics_pipeline.cache.keys import cache_key
from metrics_pipeline.changes.keys import Key, key_of
from metrics_pipeline.planning.affected import EVERYBODY
from metrics_pipeline.sql import query

_BATCH = 20_000
_KEYS_A_COMMAND = 1_000


def carry_out_drops(engine: Engine, redis: Redis) -> int:
    """Delete from Redis what is in `cache_drops`, then forget it. Returns the number of orders.

    Raises CacheUnavailable when Redis is away; the orders then stay for the next time.
    """
    done = 0
    while True:
        with engine.begin() as connection:
            rows = connection.execute(query("ordered_drops"), {"batch": _BATCH}).all()
            if rows:
                drop(redis, {key_of(row) for row in rows})
                connection.execute(query("forget_drops"), {"ids": [row.id for row in rows]})
        done += len(rows)
        if len(rows) < _BATCH:
            return done


def drop(redis: Redis, keys: Iterable[Key]) -> None:
    """Delete the entries of these accounts and periods; for EVERYBODY, of all accounts."""
    keys = set(keys)
    names = [cache_key(account_id, period) for account_id, period in keys if account_id != EVERYBODY]
    wide = {cache_key(EVERYBODY, period).rpartition("}")[2] for account_id, period in keys if account_id == EVERYBODY}
    with cache_errors(f"Dropping {len(keys)} cache entries"):
        if wide:
            names += [
                name
                for name in (key.decode() for key in redis.scan_iter("metrics:{*}:*", count=_KEYS_A_COMMAND))
                if name.rpartition("}")[2] in wide
            ]
        with redis.pipeline(transaction=False) as pipeline:
            for start in range(0, len(names), _KEYS_A_COMMAND):
                pipeline.delete(*names[start : start + _KEYS_A_COMMAND])
            pipeline.execute()
