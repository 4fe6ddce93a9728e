"""Fetching entries and counting the reads, in one round trip."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from redis import Redis
from redis.exceptions import ResponseError

from metrics_pipeline.cache.counters import COUNTS_KEPT_SECONDS, reads_key


def fetch(redis: Redis, keys: Sequence[str]) -> list[bytes | None]:
    """The values of these keys, each counted as a read. Raises RedisError.

    Sent by hand: redis-py's pipeline takes twice as long as the server needs for both commands.
    """
    pool = redis.connection_pool
    connection: Any = pool.get_connection()
    try:
        values: list[bytes | None] = connection.retry.call_with_retry(
            lambda: _exchange(connection, keys), lambda _: connection.disconnect()
        )
        return values
    except BaseException:
        connection.disconnect()  # an answer may still be on its way, which the next user would take for its own
        raise
    finally:
        pool.release(connection)


def _exchange(connection: Any, keys: Sequence[str]) -> Any:
    counter = reads_key()
    connection.send_packed_command([_packed("MGET", *keys) + _packed("HINCRBY", counter, "reads", str(len(keys)))])
    values = connection.read_response()
    with suppress(ResponseError):  # a Redis that is full or read-only counts nothing, and is still read
        if connection.read_response() == len(keys):  # the hour's first
            connection.send_packed_command([_packed("EXPIRE", counter, str(COUNTS_KEPT_SECONDS))])
            connection.read_response()
    return values


def _packed(*words: str) -> bytes:
    """A command in Redis' protocol. Keys are ASCII, so that characters are bytes."""
    return (f"*{len(words)}\r\n" + "".join([f"${len(word)}\r\n{word}\r\n" for word in words])).encode()
