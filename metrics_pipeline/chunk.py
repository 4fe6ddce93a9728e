"""One chunk of a refresh: stored in a transaction of its own, published, checked, its marks cleared."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

from redis import Redis
from sqlalchemy import Connection, Engine
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from metrics_pipeline.cache.checked import CheckedPublisher
from metrics_pipeline.cache.publisher import Published
from metrics_pipeline.changes.keys import Key
from metrics_pipeline.changes.marks import Marks, clear_marks, read_marks
from metrics_pipeline.database import is_retryable, snapshot_transaction
from metrics_pipeline.errors import CacheUnavailable, ConcurrentUpdate
from metrics_pipeline.metrics.assemble import Content
from metrics_pipeline.metrics.compute import Computation, Timer
from metrics_pipeline.metrics.fingerprint import fingerprint
from metrics_pipeline.periods import warm_periods
from metrics_pipeline.planning.request import RefreshRequest
from metrics_pipeline.settings import Settings
from metrics_pipeline.store.versioned import Versioned
from metrics_pipeline.store.writer import write

logger = logging.getLogger(__name__)

_TRIES_ALONE = 5

Stored = tuple[Sequence[Versioned], int]
"""The payloads, and how many of them were rewritten."""


@dataclass
class Written:
    """What became of a chunk. `unpublished` is the error of a cache that was away: the store has it all."""

    payloads: Sequence[Versioned]
    rewritten: int
    published: Published = field(default_factory=Published)
    overtaken: int = 0
    cleared: list[datetime] = field(default_factory=list)
    retried: bool = False
    unpublished: CacheUnavailable | None = None


class ChunkWriter:
    """Writes chunks of one request; used by several threads at once.

    The order is what keeps numbers right when a process dies or another one writes the same rows:
    commit, publish, check what was published, clear the marks that the chunk's snapshot showed.
    """

    def __init__(
        self,
        settings: Settings,
        engine: Engine,
        redis: Redis,
        request: RefreshRequest,
        timer: Timer,
        before_commit: Callable[[], None] | None = None,
    ) -> None:
        self._settings, self._engine, self._request = settings, engine, request
        self._timer, self._before_commit = timer, before_commit
        # A chunk computed again after midnight speaks of the new day; a day that was asked for stays.
        self._follows_clock = request.today == settings.today()
        self._fingerprint = fingerprint(settings)
        self._on_demand = request.computed_by == "on_demand"
        self._if_room = set() if self._on_demand else {*request.periods}.difference(warm_periods(request.today))
        self._publisher = CheckedPublisher(engine, redis, self._fingerprint)

    def write(self, chunk: Sequence[Content], snapshot: str, marks: Marks) -> Written:
        """Store and publish payloads computed from an exported snapshot, whose marks are given.

        Raises ConcurrentUpdate when newer writes kept getting in the way.
        """
        started, retried = time.perf_counter(), False
        try:
            with snapshot_transaction(self._engine, snapshot) as connection:
                stored, rewritten = self._store(connection, chunk, self._request.today, marks)
        except Exception as error:
            if not is_retryable(error):
                raise
            logger.info("a chunk of %d payloads met a newer write and is computed again", len(chunk))
            (stored, rewritten), marks = self._again(chunk)
            retried = True
        written = Written(stored, rewritten, retried=retried)
        started = self._timer.add("store", started)
        try:
            self._publish(written, marks)
        except CacheUnavailable as error:
            written.unpublished = error
        self._timer.add("publish", started)
        return written

    def _again(self, chunk: Sequence[Content]) -> tuple[Stored, Marks]:
        tries = Retrying(
            retry=retry_if_exception(is_retryable),
            stop=stop_after_attempt(_TRIES_ALONE),
            wait=wait_random_exponential(multiplier=0.05, max=2),
            retry_error_callback=_give_up,
        )
        return tries(self._compute_and_store, [content[:2] for content in chunk])

    def _compute_and_store(self, keys: list[Key]) -> tuple[Stored, Marks]:
        """The same keys from a snapshot of their own, with the marks and the day that it shows."""
        periods = sorted({period for _, period in keys})
        account_ids = {account_id for account_id, _ in keys}
        with snapshot_transaction(self._engine) as connection:
            today = self._settings.today() if self._follows_clock else self._request.today
            marks = read_marks(connection, periods, account_ids)
            computation = Computation(
                connection, self._settings, periods, today, account_ids, Timer({}), traced=account_ids
            )
            contents = [
                content
                for period in periods
                for content in computation.contents(period, only={id for id, of in keys if of == period})
            ]
            return self._store(connection, contents, today, marks), marks

    def _store(self, connection: Connection, contents: Sequence[Content], today: date, marks: Marks) -> Stored:
        stored = write(
            connection,
            contents,
            marks=marks,
            today=today,
            fingerprint=self._fingerprint,
            computed_by=self._request.computed_by,
            force=self._request.force,
        )
        if self._before_commit:
            self._before_commit()
        return stored

    def _publish(self, written: Written, marks: Marks) -> None:
        written.published, written.overtaken = self._publisher.publish(
            written.payloads,
            self._settings.ttl_on_demand_seconds if self._on_demand else self._settings.ttl_background_seconds,
            marks,
            self._if_room,
        )
        written.cleared = clear_marks(self._engine, marks.of(payload.key for payload in written.payloads))


def _give_up(state: RetryCallState) -> tuple[Stored, Marks]:
    raise ConcurrentUpdate(
        f"Storing {len(state.args[0])} payloads: other transactions changed the same rows {_TRIES_ALONE} times in a "
        "row. Nothing of this chunk was written and its periods stay marked; run the refresh again."
    ) from (state.outcome.exception() if state.outcome else None)
