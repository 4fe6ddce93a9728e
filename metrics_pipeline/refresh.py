"""The one function behind every computation: compute from a snapshot, store, publish.

The schedule, the Dagster launchpad, a backfill, the sensor's refresh, the command line and a
reader's miss all end here; they differ in who asks, for what, and how long the result lives in the
cache.
"""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass

from redis import Redis
from sqlalchemy import Connection, Engine, text

from metrics_pipeline.changes.marks import Marks, clear_marks, read_marks
from metrics_pipeline.chunk import ChunkWriter, Written
from metrics_pipeline.database import domain_errors, snapshot_transaction
from metrics_pipeline.errors import CacheUnavailable
from metrics_pipeline.metrics.assemble import Content
from metrics_pipeline.metrics.compute import Computation, Timer
from metrics_pipeline.periods import Period
from metrics_pipeline.planning.request import Outcome, Progress, RefreshRequest, check_covered
from metrics_pipeline.settings import Settings
from metrics_pipeline.store.reading import stored_keys

logger = logging.getLogger(__name__)

_WRITERS = 2


@dataclass(frozen=True)
class _Work:
    """What of a request there is to compute, as the snapshot shows it.

    `stored`: accounts that have a row of a period. One that was emptied must not keep its old figures.
    """

    periods: list[Period]
    account_ids: set[int] | None
    marks: Marks
    stored: dict[Period, set[int]]

    @property
    def traced(self) -> set[int]:
        """Accounts to compute even if inactive or gone."""
        return set().union(*(self._also(period) for period in self.periods))

    def chunks(self, computation: Computation, size: int, only_stale: bool) -> Iterator[list[Content]]:
        contents = itertools.chain.from_iterable(
            computation.contents(
                period,
                only=self.marks.accounts_of(period) if only_stale and not self.marks.is_wide(period) else None,
                also=self._also(period),
            )
            for period in self.periods
        )
        while chunk := list(itertools.islice(contents, size)):
            yield chunk

    def _also(self, period: Period) -> set[int]:
        return self.stored.get(period, set()) | self.marks.accounts_of(period)


class Refresher:
    """Runs refresh requests against one database and one Redis."""

    def __init__(self, settings: Settings, engine: Engine, redis: Redis) -> None:
        self._settings, self._engine, self._redis = settings, engine, redis

    def refresh(
        self,
        request: RefreshRequest,
        progress: Progress | None = None,
        before_commit: Callable[[], None] | None = None,
    ) -> Outcome:
        """Compute, store and publish what is asked, all from one snapshot.

        Chunks of payloads are stored in transactions of their own that share the snapshot. A chunk
        that meets a newer write is computed again alone, from a new snapshot; the others stand.
        Marks are cleared last, and only those that the snapshot showed.

        Args:
            before_commit: asked in each chunk's transaction; what it raises undoes the chunk and ends the refresh.

        Raises:
            DatabaseUnavailable: PostgreSQL went away; chunks stored by then stay.
            CacheUnavailable: Redis was away; everything is stored, and what was not published stays marked.
            ConcurrentUpdate: a chunk kept meeting newer writes until its tries were used up.
            BadRequest: a period that ended before the start date.
        """
        for period in request.periods:
            check_covered(period, self._settings.start_date)
        outcome = Outcome()
        timer = Timer(outcome.seconds)
        started = time.perf_counter()
        with domain_errors(f"Refreshing {_describe(request)}"), self._snapshot() as (connection, snapshot):
            work = _work(connection, request)
            if work.periods:
                computation = Computation(
                    connection, self._settings, work.periods, request.today, work.account_ids, timer, work.traced
                )
                outcome.accounts, outcome.rows_read = len(computation.account_ids), computation.rows_read
                chunks = work.chunks(computation, self._settings.chunk_payloads, request.only_stale)
                writer = ChunkWriter(self._settings, self._engine, self._redis, request, before_commit)
                _write_all(writer, chunks, snapshot, work.marks, outcome, progress)
            if work.account_ids is None:
                # Only now: every account of these periods has been computed, and published, from the snapshot.
                with self._engine.begin() as closing:
                    outcome.add_cleared(clear_marks(closing, work.marks.wildcards()))
        timer.add("total", started)
        logger.info("refreshed %s: %s", _describe(request), outcome)
        return outcome

    @contextmanager
    def _snapshot(self) -> Iterator[tuple[Connection, str]]:
        """A read-only transaction on one snapshot, and the name under which others can share it."""
        with snapshot_transaction(self._engine) as connection:
            connection.execute(text("SET TRANSACTION READ ONLY"))
            yield connection, connection.execute(text("SELECT pg_export_snapshot()")).scalar_one()


def _write_all(
    writer: ChunkWriter,
    chunks: Iterable[list[Content]],
    snapshot: str,
    marks: Marks,
    outcome: Outcome,
    progress: Progress | None,
) -> None:
    """Store and publish chunks on a few threads while the next ones are being assembled."""
    unpublished: list[CacheUnavailable] = []

    def finish(done: Iterable[Future[Written]]) -> None:
        for future in done:
            written = future.result()
            _count(outcome, written)
            if written.unpublished:
                unpublished.append(written.unpublished)
            if progress:
                progress(outcome)

    pending: set[Future[Written]] = set()
    with ThreadPoolExecutor(_WRITERS, thread_name_prefix="store") as pool:
        for chunk in chunks:
            pending.add(pool.submit(writer.write, chunk, snapshot, marks))
            if len(pending) > _WRITERS:
                done, pending = wait(pending, return_when=FIRST_COMPLETED)
                finish(done)
        finish(wait(pending).done)
    if unpublished:
        raise unpublished[0]


def _work(connection: Connection, request: RefreshRequest) -> _Work:
    account_ids = None if request.account_ids is None else set(request.account_ids)
    marks = read_marks(connection, request.periods, account_ids)
    periods = list(request.periods)
    if request.only_stale:
        stale = {period for _, period in marks.tokens}
        periods = [period for period in periods if period in stale]
        if account_ids is None and not marks.wildcards().tokens:
            account_ids = {account_id for account_id, _ in marks.tokens}
    stored: dict[Period, set[int]] = {}
    for account_id, period in stored_keys(connection, periods, account_ids):
        stored.setdefault(period, set()).add(account_id)
    return _Work(periods, account_ids, marks, stored)


def _count(outcome: Outcome, written: Written) -> None:
    outcome.payloads += len(written.stored)
    outcome.rewritten += sum(item.rewritten for item in written.stored)
    outcome.published += written.published.published
    outcome.superseded += written.published.superseded
    outcome.bytes_published += written.published.bytes
    outcome.overtaken += written.overtaken
    outcome.chunks_retried += written.retried
    outcome.add_cleared(written.cleared)
    for phase, seconds in written.seconds.items():
        outcome.seconds[phase] = outcome.seconds.get(phase, 0.0) + seconds
    for item in written.stored:
        outcome.payloads_by_period[item.period] = outcome.payloads_by_period.get(item.period, 0) + 1


def _describe(request: RefreshRequest) -> str:
    first, last = min(request.periods), max(request.periods)
    periods = str(first) if first == last else f"{len(request.periods)} periods from {first} to {last}"
    accounts = "all active accounts" if request.account_ids is None else f"{len(request.account_ids)} accounts"
    return f"{'what is stale of ' if request.only_stale else ''}{periods} of {accounts}"
