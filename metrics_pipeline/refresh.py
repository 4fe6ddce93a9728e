"""The one function behind every computation: compute from a snapshot, store, publish.

The schedule, the Dagster launchpad, a backfill, the sensor's refresh, the command line and a
reader's miss all end here; they differ in who asks, for what, and how long the result lives in the
cache.
"""

from __future__ import annotations

import itertools
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

from redis import Redis
from sqlalchemy import Connection, Engine

from metrics_pipeline.changes.marks import Marks, clear_marks
from metrics_pipeline.chunk import ChunkWriter, Written
from metrics_pipeline.database import domain_errors, read_transaction
from metrics_pipeline.errors import CacheUnavailable
from metrics_pipeline.metrics.compute import Block, Computation, Timer
from metrics_pipeline.planning.request import Outcome, Progress, RefreshRequest, check_covered
from metrics_pipeline.renewal import Renewer
from metrics_pipeline.settings import Settings
from metrics_pipeline.sql import rows_of
from metrics_pipeline.work import Stage, read_work

logger = logging.getLogger(__name__)

WRITERS = 4
"""Threads that write payloads. Each waits for PostgreSQL, for Redis, or for Python's own lock half of the time."""

_QUEUED = 8
"""Pieces of work that are under way or wait for a writer, who has some while a period's figures are computed."""


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
            began = time.perf_counter()
            with read_transaction(self._engine, snapshot) as apart:
                marks, stages = read_work(apart, self._settings, request)
            timer.add("plan", began)
            blocks = self._blocks(connection, request, stages, outcome, timer)
            writer = ChunkWriter(self._settings, self._engine, self._redis, request, timer, before_commit)
            size = self._settings.chunk_payloads
            write = partial(_write, writer, size, snapshot, marks)
            _write_all(write, _gathered(blocks, size), outcome, progress)
            if request.account_ids is None and request.shard is None:
                # Only now: every account of these periods has been computed, and published, from the snapshot. A
                # shard leaves wildcards to a run over everybody, as it can't know whether it is the last one.
                outcome.add_cleared(clear_marks(self._engine, marks.wildcards()))
        if request.only_outdated:
            self._renew(request, outcome, timer)
        timer.add("total", started)
        logger.info("refreshed %s: %s", _describe(request), outcome)
        return outcome

    def _blocks(
        self,
        connection: Connection,
        request: RefreshRequest,
        stages: Sequence[Stage],
        outcome: Outcome,
        timer: Timer,
    ) -> Iterator[Block]:
        """The payloads of all parts. A part's expenses are given up before the next ones are read."""
        outcome.accounts_to_do = max((stage.accounts for stage in stages), default=0)
        parts, done = sum(len(stage.portions) for stage in stages), 0
        for stage in stages:
            accounts = 0
            for account_ids in stage.portions:
                computation = Computation(
                    connection,
                    self._settings,
                    stage.periods,
                    request.today,
                    account_ids,
                    timer,
                    stage.traced(account_ids),
                    everybody=stage.everybody,
                    year_totals=stage.year_totals,
                )
                accounts += len(computation.account_ids)
                outcome.accounts = max(outcome.accounts, accounts)
                outcome.accounts_to_do = max(outcome.accounts_to_do, accounts)
                outcome.rows_read += computation.rows_read
                for n, period in enumerate(stage.periods, 1):
                    yield from computation.blocks(period, only=stage.only[period], also=stage.also.get(period, ()))
                    outcome.share_done = (done + n / len(stage.periods)) / parts
                del computation
                done += 1

    def _renew(self, request: RefreshRequest, outcome: Outcome, timer: Timer) -> None:
        """Let the cache entries of closed periods live on, and publish from the store those that are not there."""
        started = time.perf_counter()
        closed = [period for period in request.periods if not period.is_current(request.today)]
        if closed:
            Renewer(self._settings, self._engine, self._redis).renew(replace(request, periods=closed), outcome)
        timer.add("renew", started)

    @contextmanager
    def _snapshot(self) -> Iterator[tuple[Connection, str]]:
        """A transaction on one snapshot, and the name under which others can share it.

        All expenses are read in it: nobody alters their tables until its end, as by the snapshot one that was rewritten
        would be empty. It looks at none of ours: an ALTER TABLE would wait for it, and our own writes for that.
        """
        with read_transaction(self._engine) as connection:
            [(snapshot,)] = rows_of(connection, "exported_snapshot")
            yield connection, snapshot


def _write_all(
    write: Callable[[Sequence[Block]], list[Written]],
    gathered: Iterable[Sequence[Block]],
    outcome: Outcome,
    progress: Progress | None,
) -> None:
    """Write blocks on a few threads while the figures of the next ones are computed."""
    unpublished: list[CacheUnavailable] = []

    def finish(done: Iterable[Future[list[Written]]]) -> None:
        for written in itertools.chain.from_iterable(future.result() for future in done):
            _count(outcome, written)
            if written.unpublished:
                unpublished.append(written.unpublished)
            if progress:
                progress(outcome)

    pending: set[Future[list[Written]]] = set()
    with ThreadPoolExecutor(WRITERS, thread_name_prefix="write") as pool:
        for blocks in gathered:
            pending.add(pool.submit(write, blocks))
            if len(pending) > _QUEUED:
                done, pending = wait(pending, return_when=FIRST_COMPLETED)
                finish(done)
        finish(wait(pending).done)
    if unpublished:
        raise unpublished[0]


def _write(writer: ChunkWriter, size: int, snapshot: str, marks: Marks, blocks: Sequence[Block]) -> list[Written]:
    """Assemble the payloads of some blocks; store and publish them, so many at a time."""
    contents = [content for block in blocks for content in block.contents()]
    return [writer.write(contents[first : first + size], snapshot, marks) for first in range(0, len(contents), size)]


def _gathered(blocks: Iterable[Block], size: int) -> Iterator[list[Block]]:
    """The blocks, small ones together until they have so many payloads: those of few accounts are one transaction."""
    gathered: list[Block] = []
    for block in blocks:
        gathered.append(block)
        if sum(each.size for each in gathered) >= size:
            yield gathered
            gathered = []
    if gathered:
        yield gathered


def _count(outcome: Outcome, written: Written) -> None:
    outcome.payloads += len(written.payloads)
    outcome.rewritten += written.rewritten
    outcome.published += written.published.published
    outcome.superseded += written.published.superseded
    outcome.left_out += written.published.left_out
    outcome.bytes_published += written.published.bytes
    outcome.overtaken += written.overtaken
    outcome.chunks_retried += written.retried
    outcome.add_cleared(written.cleared)
    for period, count in Counter(payload.key[1] for payload in written.payloads).items():
        outcome.payloads_by_period[period] = outcome.payloads_by_period.get(period, 0) + count


def _describe(request: RefreshRequest) -> str:
    first, last = min(request.periods), max(request.periods)
    periods = str(first) if first == last else f"{len(request.periods)} periods from {first} to {last}"
    accounts = "all active accounts" if request.account_ids is None else f"{len(request.account_ids)} accounts"
    which = "what is stale of " if request.only_stale else "what is outdated of " if request.only_outdated else ""
    return f"{which}{periods} of {accounts}" + (f" in shard {request.shard}" if request.shard else "")
