"""Publishing payloads and then making sure that what was set is still the newest."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from redis import Redis
from sqlalchemy import Engine

from metrics_pipeline.cache.drops import drop
from metrics_pipeline.cache.keys import cache_key, encoded
from metrics_pipeline.cache.publisher import Published, Publisher
from metrics_pipeline.cache.recheck import overtaken
from metrics_pipeline.cache.room import has_room
from metrics_pipeline.changes.marks import Marks
from metrics_pipeline.periods import Period
from metrics_pipeline.store.versioned import Versioned


class CheckedPublisher:
    """Publishes payloads that were computed under one fingerprint."""

    def __init__(self, engine: Engine, redis: Redis, fingerprint: str) -> None:
        self._engine, self._redis, self._fingerprint = engine, redis, fingerprint.encode()
        self._publisher = Publisher(redis)

    def publish(
        self,
        payloads: Sequence[Versioned],
        ttl_seconds: float,
        seen: Marks | None = None,
        if_room: Collection[Period] = (),
    ) -> tuple[Published, int]:
        """Set the entries, then drop those that something overtook meanwhile. Returns how many those were.

        Args:
            ttl_seconds: lifetime, give or take five percent.
            seen: the marks that the payloads' snapshot showed: they are not news.
            if_room: payloads of these periods are left out while Redis has no room for them, and what it has of them is
                dropped: a read takes them from the store.

        Raises CacheUnavailable; publishing again is safe.
        """
        spare = {payload.key for payload in payloads if payload.key[1] in if_room} if if_room else set()
        left_out = set() if not spare or has_room(self._redis) else spare
        if left_out:
            drop(self._redis, left_out)
            payloads = [payload for payload in payloads if payload.key not in left_out]
        published = self._publisher.publish(
            [(cache_key(*key), encoded(version, self._fingerprint, json)) for key, version, json in payloads],
            ttl_seconds,
        )
        # Each look is a snapshot of its own anyway; without a transaction it takes two round trips less.
        with self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            late = overtaken(connection, payloads, seen or Marks())
        if late:
            drop(self._redis, late)
        return replace(published, left_out=len(left_out)), len(late)
