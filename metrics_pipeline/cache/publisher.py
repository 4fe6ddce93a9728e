"""Publishing to Redis: a key is set only when its version is not older than what is there."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass

from redis import Redis
from redis.connection import AbstractConnection
from redis.exceptions import NoScriptError, ResponseError

from metrics_pipeline.cache.errors import cache_errors
from metrics_pipeline.cache.keys import VERSION_WIDTH

TTL_JITTER = 0.05
"""Lifetimes differ by up to this share either way, so that entries do not expire together."""

PUBLISHED_CHANNEL = "metrics:published:{%d}"
"""Of an account: tells the key of each entry that is new or has changed."""

_BATCH = 100
"""Calls that Redis works on while the next are put together; more than a socket holds would be waited for."""

# 1: set, and told to whoever listens; 0: a newer version is there; 2: the same version is there, its
# lifetime renewed. The channel takes the account from the key's braces.
_SET_IF_NOT_OLDER = f"""
local there = redis.call('GETRANGE', KEYS[1], 0, {VERSION_WIDTH - 1})
local version = string.sub(ARGV[1], 1, {VERSION_WIDTH})
if there > version then return 0 end
if there == version then
  if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[2]) then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
  return 2
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
redis.call('PUBLISH', 'metrics:published:' .. string.match(KEYS[1], '{{%d+}}'), KEYS[1])
return 1
""".encode()


def _packed(command: bytes, script: bytes) -> bytes:
    """The call of the script in Redis' protocol, to be filled with key, value and lifetime, each after its length.

    Packed by hand because packing is half of the time that redis-py needs for a pipeline.
    """
    fixed = b"*6\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n$1\r\n1\r\n" % (len(command), command, len(script), script)
    return fixed.replace(b"%", b"%%") + b"$%d\r\n%b\r\n" * 3


_BY_HASH = _packed(b"EVALSHA", hashlib.sha1(_SET_IF_NOT_OLDER).hexdigest().encode())
_BY_TEXT = _packed(b"EVAL", _SET_IF_NOT_OLDER)


@dataclass(frozen=True)
class Published:
    """What publishing did, in entries and bytes. `superseded`: a newer version was there already."""

    published: int = 0
    superseded: int = 0
    bytes: int = 0


class Publisher:
    """Sets cache entries with a lifetime in seconds, give or take five percent."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    def publish(self, entries: Sequence[tuple[str, bytes]], ttl_seconds: float) -> Published:
        """Set each entry unless a newer version is there; the same version only lives longer.

        Raises CacheUnavailable when Redis is away. What was set by then stays: publishing again is safe.
        """
        with cache_errors(f"Publishing {len(entries)} payloads"):
            results = self._send(entries, ttl_seconds)
        return Published(
            published=len(results) - results.count(0),
            superseded=results.count(0),
            bytes=sum(len(value) for _, value in entries),
        )

    def _send(self, entries: Sequence[tuple[str, bytes]], ttl_seconds: float) -> list[object]:
        try:
            return self._call(_BY_HASH, entries, ttl_seconds)
        except NoScriptError:  # Redis forgot it: a restart, SCRIPT FLUSH. Its text, which it then knows, never fails.
            return self._call(_BY_TEXT, entries, ttl_seconds)

    def _call(self, command: bytes, entries: Sequence[tuple[str, bytes]], ttl_seconds: float) -> list[object]:
        """Send all calls, read all answers, then raise the first that is an error.

        In batches: while Redis works on one, the next is put together.
        """
        batches = [entries[start : start + _BATCH] for start in range(0, len(entries), _BATCH)]
        with Redis(connection_pool=self._redis.connection_pool, single_connection_client=True) as client:
            connection = client.connection
            assert connection is not None

            def exchange() -> list[object]:
                answers: list[object] = []
                for place, batch in enumerate(batches):
                    packed = b"".join([_filled(command, key.encode(), value, ttl_seconds) for key, value in batch])
                    connection.send_packed_command([packed])
                    answers += [_answer(connection) for _ in (batches[place - 1] if place else ())]
                return answers + [_answer(connection) for batch in batches[-1:] for _ in batch]

            answers: list[object] = connection.retry.call_with_retry(exchange, lambda _: connection.disconnect())
        for answer in answers:
            if isinstance(answer, ResponseError):
                raise answer
        return answers


def _filled(command: bytes, key: bytes, value: bytes, ttl_seconds: float) -> bytes:
    lifetime_ms = b"%d" % (ttl_seconds * 1000 * random.uniform(1 - TTL_JITTER, 1 + TTL_JITTER))
    return command % (len(key), key, len(value), value, len(lifetime_ms), lifetime_ms)


def _answer(connection: AbstractConnection) -> object:
    """The next answer; an error that Redis gives is one too, because those after it must be read as well."""
    try:
        return connection.read_response()
    except ResponseError as error:
        return error
