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
from sqlalchemy import Connection, Engine, text

from metrics_pipeline.changes.marks import Marks, clear_marks
from metrics_pipeline.chunk import ChunkWriter, Written
from metrics_pipeline.database import domain_errors, read_transaction
from metrics_pipeline.errors import CacheUnavailable
from metrics_pipeline.metrics.assemble import Content
from metrics_pipeline.metrics.compute import Computation, Timer
from metrics_pipeline.periods import Period
from metrics_pipeline.planning.request import Outcome, Progress, RefreshRequest, check_covered
from metrics_pipeline.renewal import Renewer
from metrics_pipeline.settings import Settings
from metrics_pipeline.work import Stage, read_part, read_work

logger = logging.getLogger(__name__)

WRITERS = 4
"""Chunks that are stored at a time. Each waits most of the time: for PostgreSQL, Redis, and Python's own lock while
payloads are being assembled. With two of them an hourly run took 40% longer."""

_QUEUED = 16
"""Chunks that are stored or wait for it: so many that the writers have work while a period's figures are computed."""


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
            contents = self._contents(connection, snapshot, request, marks, stages, outcome, timer)
            writer = ChunkWriter(self._settings, self._engine, self._redis, request, before_commit)
            chunks = _chunked(contents, self._settings.chunk_payloads)
            _write_all(writer, chunks, snapshot, marks, outcome, progress)
            if request.account_ids is None and request.shard is None:
                # Only now: every account of these periods has been computed, and published, from the snapshot. A
                # shard leaves wildcards to a run over everybody, as it can't know whether it is the last one.
                with self._engine.begin() as closing:
                    outcome.add_cleared(clear_marks(closing, marks.wildcards()))
        if request.only_outdated:
            self._renew(request, outcome, timer)
        timer.add("total", started)
        logger.info("refreshed %s: %s", _describe(request), outcome)
        return outcome

    def _contents(
        self,
        connection: Connection,
        snapshot: str,
        request: RefreshRequest,
        marks: Marks,
        stages: Sequence[Stage],
        outcome: Outcome,
        timer: Timer,
    ) -> Iterator[Content]:
        """The payloads of all parts. A part's expenses are given up before the next ones are read."""
        outcome.accounts_to_do = max((stage.accounts for stage in stages), default=0)
        parts, done = sum(len(stage.portions) for stage in stages), 0
        for stage in stages:
            accounts = 0
            for account_ids in stage.portions:
                with read_transaction(self._engine, snapshot) as apart:
                    part = read_part(apart, stage, account_ids, marks)
                computation = Computation(
                    connection,
                    self._settings,
                    stage.periods,
                    request.today,
                    account_ids,
                    timer,
                    part.traced,
                    everybody=stage.everybody,
                )
                accounts += len(computation.account_ids)
                outcome.accounts = max(outcome.accounts, accounts)
                outcome.accounts_to_do = max(outcome.accounts_to_do, accounts)
                outcome.rows_read += computation.rows_read
                for n, contents in enumerate(_one_ahead(partial(part.contents, computation), stage.periods), 1):
                    yield from contents
                    outcome.share_done = (done + n / len(stage.periods)) / parts
                del part, computation
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
    with ThreadPoolExecutor(WRITERS, thread_name_prefix="store") as pool:
        for chunk in chunks:
            pending.add(pool.submit(writer.write, chunk, snapshot, marks))
            if len(pending) > _QUEUED:
                done, pending = wait(pending, return_when=FIRST_COMPLETED)
                finish(done)
        finish(wait(pending).done)
    if unpublished:
        raise unpublished[0]


def _one_ahead(
    contents_of: Callable[[Period], Iterator[Content]], periods: Sequence[Period]
) -> Iterator[Iterator[Content]]:
    """The contents of each period. While they are being taken, the next period's figures are computed on a thread."""
    with ThreadPoolExecutor(1, thread_name_prefix="figures") as pool:
        coming = pool.submit(contents_of, periods[0])
        for following in [*periods[1:], None]:
            contents = coming.result()
            if following:
                coming = pool.submit(contents_of, following)
            yield contents


def _chunked(contents: Iterator[Content], size: int) -> Iterator[list[Content]]:
    while chunk := list(itertools.islice(contents, size)):
        yield chunk


def _count(outcome: Outcome, written: Written) -> None:
    outcome.payloads += len(written.payloads)
    outcome.rewritten += written.rewritten
    outcome.published += written.published.published
    outcome.superseded += written.published.superseded
    outcome.bytes_published += written.published.bytes
    outcome.overtaken += written.overtaken
    outcome.chunks_retried += written.retried
    outcome.add_cleared(written.cleared)
    for phase, seconds in written.seconds.items():
        outcome.seconds[phase] = outcome.seconds.get(phase, 0.0) + seconds
    for period, count in Counter(payload.key[1] for payload in written.payloads).items():
        outcome.payloads_by_period[period] = outcome.payloads_by_period.get(period, 0) + count


def _describe(request: RefreshRequest) -> str:
    first, last = min(request.periods), max(request.periods)
    periods = str(first) if first == last else f"{len(request.periods)} periods from {first} to {last}"
    accounts = "all active accounts" if request.account_ids is None else f"{len(request.account_ids)} accounts"
    which = "what is stale of " if request.only_stale else "what is outdated of " if request.only_outdated else ""
    return f"{which}{periods} of {accounts}" + (f" in shard {request.shard}" if request.shard else "")
