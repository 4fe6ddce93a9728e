"""The cache's entries against the store's rows."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from redis import Redis
from sqlalchemy import Engine, Row

from metrics_pipeline.cache.errors import cache_errors
from metrics_pipeline.cache.keys import Entry, cache_key
from metrics_pipeline.changes.keys import Key
from metrics_pipeline.metrics.fingerprint import content_hash
from metrics_pipeline.metrics.payload import SCHEMA
from metrics_pipeline.periods import Period
from metrics_pipeline.store.reading import servable_heads

_BATCH = 500
_CONTENT = f',"schema":{SCHEMA},'.encode()  # where the header, which the store's columns have, ends


@dataclass(frozen=True)
class CacheComparison:
    """Entries that were compared, and those that are not what the store has."""

    compared: int
    different: set[Key]


def compare_cache(
    engine: Engine,
    redis: Redis,
    periods: Sequence[Period],
    fingerprint: str,
    today: date,
    account_ids: Collection[int] | None = None,
) -> CacheComparison:
    """Compare entries of these periods with the stored payloads that may be served.

    What differs is looked at once more, first in the cache and then in the store: whatever is published
    was stored before. Raises CacheUnavailable.
    """
    compared, suspects = 0, set()
    with engine.connect() as connection:
        heads = servable_heads(connection, periods, fingerprint, today, account_ids)
        while batch := list(itertools.islice(heads, _BATCH)):
            entries = _entries(redis, [key for key, _ in batch])
            compared += len(entries)
            suspects |= {key for key, head in batch if key in entries and _suspicious(entries[key], head)}
    if not suspects:
        return CacheComparison(compared, set())
    periods, account_ids = sorted({period for _, period in suspects}), {account_id for account_id, _ in suspects}
    entries = _entries(redis, sorted(suspects))
    with engine.connect() as connection:
        different = {
            key
            for key, head in servable_heads(connection, periods, fingerprint, today, account_ids)
            if key in entries and _suspicious(entries[key], head)
        }
    return CacheComparison(compared, different)


def _entries(redis: Redis, keys: Sequence[Key]) -> dict[Key, Entry]:
    if not keys:
        return {}
    with cache_errors(f"Comparing {len(keys)} cache entries with the store"):
        values: list[bytes | None] = redis.mget([cache_key(*key) for key in keys])  # type: ignore[assignment]
    return {key: _decoded(value) for key, value in zip(keys, values, strict=True) if value is not None}


def _decoded(value: bytes) -> Entry:
    """The entry; one that no version of the store reaches for what is none."""
    try:
        return Entry.decode(value)
    except ValueError:
        return Entry(2**63 - 1, "", value)


def _suspicious(entry: Entry, head: Row[Any]) -> bool:
    """Whether an entry is something else than the row's published form.

    An older one need not be: for a moment after a commit it is still to be replaced.
    """
    if entry.version < head.version:
        return bool(head.settled)
    _, _, content = entry.payload.partition(_CONTENT)
    same: bool = content_hash(b"{" + _CONTENT[1:] + content) == head.content_hash
    return entry.version > head.version or not same
