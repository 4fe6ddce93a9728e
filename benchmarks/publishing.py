"""How fast payloads get into Redis: with the check of versions, and without it."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from redis import Redis

from metrics_pipeline.cache.keys import Entry
from metrics_pipeline.cache.publisher import Publisher
from metrics_pipeline.refresh import WRITERS

Entries = list[tuple[str, bytes]]

_BATCH = 500
_MILLISECONDS = 4 * 3600 * 1000


class Rounds:
    """The same payloads under the same keys again and again, each time with a newer version."""

    def __init__(self, payloads: list[tuple[str, bytes]]) -> None:
        self._payloads, self._version = payloads, itertools.count(1)

    def entries(self) -> Entries:
        version = next(self._version)
        return [(key, Entry(version, "0" * 16, payload).encode()) for key, payload in self._payloads]


def in_chunks(publish: Callable[[Redis, Entries], None], redis: Redis, entries: Entries, chunk: int) -> None:
    """As a run publishes: chunk by chunk, on the threads that store them."""
    chunks = [entries[start : start + chunk] for start in range(0, len(entries), chunk)]
    with ThreadPoolExecutor(WRITERS) as pool:
        for done in [pool.submit(publish, redis, each) for each in chunks]:
            done.result()


def checked(redis: Redis, entries: Entries) -> None:
    done = Publisher(redis).publish(entries, _MILLISECONDS / 1000)
    if done.superseded:
        raise RuntimeError(f"{done.superseded:,} of {len(entries):,} entries met a newer version and were not set")


def plain(redis: Redis, entries: Entries) -> None:
    """redis-py's pipeline of SET, without any check."""
    for start in range(0, len(entries), _BATCH):
        pipeline = redis.pipeline(transaction=False)
        for key, value in entries[start : start + _BATCH]:
            pipeline.set(key, value, px=_MILLISECONDS)
        pipeline.execute()


def encoded(entries: Entries) -> list[bytes]:
    """The same SETs as bytes of the protocol, made beforehand."""
    command = b"*5\r\n$3\r\nSET\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n$2\r\nPX\r\n$8\r\n%d\r\n"
    return [
        b"".join(
            command % (len(key), key.encode(), len(value), value, _MILLISECONDS)
            for key, value in entries[start : start + _BATCH]
        )
        for start in range(0, len(entries), _BATCH)
    ]


def stream(redis: Redis, batches: list[bytes], count: int) -> None:
    """What the server takes when the client has nothing to do."""
    with Redis(connection_pool=redis.connection_pool, single_connection_client=True) as client:
        connection: Any = client.connection
        answered = 0
        for batch in batches:
            connection.send_packed_command([batch])
            for _ in range(min(_BATCH, count - answered)):
                connection.read_response()
            answered += _BATCH
