"""Publishing payloads and then making sure that what was set is still the newest."""

from __future__ import annotations

from collections.abc import Sequence

from redis import Redis
from sqlalchemy import Engine

from metrics_pipeline.cache.drops import drop
from metrics_pipeline.cache.keys import cache_key, encoded
from metrics_pipeline.cache.publisher import Published, Publisher
from metrics_pipeline.cache.recheck import overtaken
from metrics_pipeline.changes.marks import Marks
from metrics_pipeline.store.versioned import Versioned


class CheckedPublisher:
    """Publishes payloads that were computed under one fingerprint."""

    def __init__(self, engine: Engine, redis: Redis, fingerprint: str) -> None:
        self._engine, self._redis, self._fingerprint = engine, redis, fingerprint.encode()
        self._publisher = Publisher(redis)

    def publish(
        self, payloads: Sequence[Versioned], ttl_seconds: float, seen: Marks | None = None
    ) -> tuple[Published, int]:
        """Set the entries, then drop those that something overtook meanwhile. Returns how many those were.

        Args:
            ttl_seconds: lifetime, give or take five percent.
            seen: the marks that the payloads' snapshot showed: they are not news.

        Raises CacheUnavailable; publishing again is safe.
        """
        published = self._publisher.publish(
            [(cache_key(*key), encoded(version, self._fingerprint, json)) for key, version, json in payloads],
            ttl_seconds,
        )
        # Each look is a snapshot of its own anyway; without a transaction it takes two round trips less.
        with self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            late = overtaken(connection, payloads, seen or Marks())
        if late:
            drop(self._redis, late)
        return published, len(late)
