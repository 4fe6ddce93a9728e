"""Publishing payloads and then making sure that what was set is still the newest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from redis import Redis
from sqlalchemy import Engine

from metrics_pipeline.cache.drops import drop
from metrics_pipeline.cache.keys import Entry, cache_key
from metrics_pipeline.cache.publisher import Published, Publisher
from metrics_pipeline.cache.recheck import overtaken
from metrics_pipeline.changes.keys import Key
from metrics_pipeline.changes.marks import Marks


class Versioned(NamedTuple):
    """A payload as JSON, and its version."""

    version: int
    json: bytes


class CheckedPublisher:
    """Publishes payloads that were computed under one fingerprint."""

    def __init__(self, engine: Engine, redis: Redis, fingerprint: str) -> None:
        self._engine, self._redis, self._fingerprint = engine, redis, fingerprint
        self._publisher = Publisher(redis)

    def publish(
        self, payloads: Mapping[Key, Versioned], ttl_seconds: float, seen: Marks | None = None
    ) -> tuple[Published, int]:
        """Set the entries, then drop those that something overtook meanwhile. Returns how many those were.

        Args:
            ttl_seconds: lifetime, give or take five percent.
            seen: the marks that the payloads' snapshot showed: they are not news.

        Raises CacheUnavailable; publishing again is safe.
        """
        published = self._publisher.publish(
            (
                (cache_key(*key), Entry(payload.version, self._fingerprint, payload.json).encode())
                for key, payload in payloads.items()
            ),
            ttl_seconds,
        )
        with self._engine.connect() as connection:
            late = overtaken(connection, {key: payload.version for key, payload in payloads.items()}, seen or Marks())
        if late:
            drop(self._redis, late)
        return published, len(late)
