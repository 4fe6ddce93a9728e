"""Live updates: one subscription to Redis, handed on to every open page as server-sent events."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime, timezone

import orjson
from redis.asyncio import Redis
from redis.exceptions import RedisError
from sse_starlette import ServerSentEvent

from metrics_pipeline.cache.keys import account_of
from metrics_pipeline.cache.publisher import CHANNEL

LOGGER = logging.getLogger(__name__)
_RETRY_SECONDS = 1.0
_WAIT_SECONDS = 5.0


class Listener:
    """What one open page has not been told yet. A set: a slow page costs no memory."""

    def __init__(self) -> None:
        self._published: set[str] = set()
        self._something = asyncio.Event()

    def notify(self, key: str | None = None) -> None:
        if key is not None:
            self._published.add(key)
        self._something.set()

    async def next(self) -> list[str]:
        """Wait for news; the cache keys published since the last call, none if only the connection changed."""
        await self._something.wait()
        self._something.clear()
        published, self._published = sorted(self._published), set()
        return published


class LiveUpdates:
    """Listens to Redis for as long as the application runs. `connected` says whether news can arrive."""

    def __init__(self, redis_url: str) -> None:
        self.connected = False
        self._url = redis_url
        self._listeners: dict[int | None, set[Listener]] = defaultdict(set)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self._listen_for_good())
        try:
            yield
        finally:
            while not task.done():  # again, for a cancellation that meets a timeout inside the client is lost
                task.cancel()
                await asyncio.wait([task], timeout=0.5)

    @property
    def listeners(self) -> int:
        return sum(map(len, self._listeners.values()))

    @contextmanager
    def listening(self, account_id: int) -> Iterator[Listener]:
        listener = Listener()
        self._listeners[account_id].add(listener)
        try:
            yield listener
        finally:
            self._listeners[account_id].discard(listener)
            if not self._listeners[account_id]:
                del self._listeners[account_id]

    async def events(self, account_id: int, expires: datetime | None) -> AsyncIterator[ServerSentEvent]:
        """`connection` (live or away) at the start and on each change; `published` with cache keys.

        Ends when the visitor's token does.
        """
        with self.listening(account_id) as listener:
            yield self._connection()
            told = self.connected
            while (left := _seconds_until(expires)) is None or left > 0:
                try:
                    published = await asyncio.wait_for(listener.next(), left)
                except (asyncio.TimeoutError, TimeoutError):
                    return
                if told != self.connected:
                    told = self.connected
                    yield self._connection()
                if published:
                    yield ServerSentEvent(event="published", data=orjson.dumps(published).decode())

    def _connection(self) -> ServerSentEvent:
        return ServerSentEvent(event="connection", data="live" if self.connected else "away", retry=2000)

    async def _listen_for_good(self) -> None:
        while True:
            try:
                await self._listen()
            except (RedisError, OSError) as error:
                if self.connected:
                    LOGGER.warning("Live updates: Redis did not answer (%s). Pages poll until it does.", error)
            self._turn(connected=False)
            await asyncio.sleep(_RETRY_SECONDS)

    async def _listen(self) -> None:
        client = Redis.from_url(
            self._url, socket_connect_timeout=2, socket_timeout=2 * _WAIT_SECONDS, health_check_interval=_WAIT_SECONDS
        )
        async with client, client.pubsub(ignore_subscribe_messages=True) as pubsub:
            await pubsub.subscribe(CHANNEL)
            self._turn(connected=True)
            while True:
                # Each call also pings: a Redis that hangs is noticed, not waited for.
                message = await pubsub.get_message(timeout=_WAIT_SECONDS)
                if message is not None:
                    self._hand_on(message["data"].decode(errors="replace"))

    def _hand_on(self, keys: str) -> None:
        for key in keys.split():
            for listener in self._listeners.get(account_of(key), ()):
                listener.notify(key)

    def _turn(self, *, connected: bool) -> None:
        if connected != self.connected:
            self.connected = connected
            for listener in [one for listeners in self._listeners.values() for one in listeners]:
                listener.notify()


def _seconds_until(moment: datetime | None) -> float | None:
    return None if moment is None else (moment - datetime.now(timezone.utc)).total_seconds()
