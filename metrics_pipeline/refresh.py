"""The one function behind every computation: compute from a snapshot, store, publish.

The schedule, the Dagster launchpad, a backfill, the command line and a reader's miss all end here;
they differ in who asks, for what, and how long the result lives in the cache.
"""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass

from redis import Redis
from sqlalchemy import Connection, Engine, text
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from metrics_pipeline.cache.keys import Entry, cache_key
from metrics_pipeline.cache.publisher import Published, Publisher
from metrics_pipeline.database import domain_errors, is_retryable
from metrics_pipeline.errors import ConcurrentUpdate
from metrics_pipeline.metrics.assemble import Content
from metrics_pipeline.metrics.compute import Computation, Timer, fingerprint
from metrics_pipeline.periods import Period
from metrics_pipeline.planning.request import Outcome, Progress, RefreshRequest
from metrics_pipeline.settings import Settings
from metrics_pipeline.store.reading import stored_keys
from metrics_pipeline.store.writer import Stored, write

logger = logging.getLogger(__name__)

_WRITERS = 2
_TRIES_ALONE = 5


@dataclass(frozen=True)
class _Written:
    """One chunk, stored and published."""

    stored: list[Stored]
    published: Published
    seconds: dict[str, float]
    retried: bool


class Refresher:
    """Runs refresh requests against one database and one Redis."""

    def __init__(self, settings: Settings, engine: Engine, redis: Redis) -> None:
        self._settings, self._engine = settings, engine
        self._publisher = Publisher(redis)
        self._fingerprint = fingerprint(settings)

    def refresh(self, request: RefreshRequest, progress: Progress | None = None) -> Outcome:
        """Compute, store and publish what is asked, all from one snapshot.

        Chunks of payloads are stored in transactions of their own that share the snapshot. A chunk
        that meets a newer write is computed again alone, from a new snapshot; the others stand.

        Raises:
            DatabaseUnavailable, CacheUnavailable: a server was away; what was stored stays.
            ConcurrentUpdate: a chunk kept meeting newer writes until its tries were used up.
        """
        outcome = Outcome()
        timer = Timer(outcome.seconds)
        started = time.perf_counter()
        with domain_errors(f"Refreshing {_describe(request)}"), self._snapshot() as (connection, snapshot):
            computation = Computation(
                connection, self._settings, request.periods, request.today, request.account_ids, timer
            )
            outcome.accounts, outcome.rows_read = len(computation.account_ids), computation.rows_read
            known = _accounts_by_period(connection, request) if request.account_ids is None else {}
            self._write_all(self._chunks(computation, known), snapshot, request, outcome, progress)
        timer.add("total", started)
        logger.info(
            "refreshed %s: %d payloads of %d accounts from %d rows, %d rewritten, %d published in %.2f s",
            _describe(request),
            outcome.payloads,
            outcome.accounts,
            outcome.rows_read,
            outcome.rewritten,
            outcome.published,
            outcome.total_seconds,
        )
        return outcome

    @contextmanager
    def _snapshot(self) -> Iterator[tuple[Connection, str]]:
        """A read-only transaction on one snapshot, and the name under which others can share it."""
        with self._engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
            connection.execute(text("SET TRANSACTION READ ONLY"))
            yield connection, connection.execute(text("SELECT pg_export_snapshot()")).scalar_one()

    def _chunks(self, computation: Computation, known: dict[Period, set[int]]) -> Iterator[list[Content]]:
        contents = itertools.chain.from_iterable(
            computation.contents(period, also=known.get(period, ())) for period in computation.periods
        )
        while chunk := list(itertools.islice(contents, self._settings.chunk_payloads)):
            yield chunk

    def _write_all(
        self,
        chunks: Iterable[list[Content]],
        snapshot: str,
        request: RefreshRequest,
        outcome: Outcome,
        progress: Progress | None,
    ) -> None:
        """Store and publish chunks on a few threads while the next ones are being assembled."""

        def finish(done: Iterable[Future[_Written]]) -> None:
            for future in done:
                _count(outcome, future.result())
                if progress:
                    progress(outcome)

        pending: set[Future[_Written]] = set()
        with ThreadPoolExecutor(_WRITERS, thread_name_prefix="store") as pool:
            for chunk in chunks:
                pending.add(pool.submit(self._write_chunk, chunk, snapshot, request))
                if len(pending) > _WRITERS:
                    done, pending = wait(pending, return_when=FIRST_COMPLETED)
                    finish(done)
            finish(wait(pending).done)

    def _write_chunk(self, chunk: list[Content], snapshot: str, request: RefreshRequest) -> _Written:
        timer, retried = Timer({}), False
        started = time.perf_counter()
        try:
            with self._engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
                connection.exec_driver_sql(f"SET TRANSACTION SNAPSHOT '{snapshot}'")
                stored = self._write(connection, chunk, request)
                connection.commit()
        except Exception as error:
            if not is_retryable(error):
                raise
            logger.info("a chunk of %d payloads met a newer write and is computed again", len(chunk))
            stored, retried = self._write_alone(chunk, request), True
        started = timer.add("store", started)
        published = self._publish(stored, request)
        timer.add("publish", started)
        return _Written(stored, published, timer.seconds, retried)

    def _write_alone(self, chunk: list[Content], request: RefreshRequest) -> list[Stored]:
        """Compute the chunk's payloads again and store them, each try on a snapshot of its own."""
        wanted = {(content.account_id, content.period) for content in chunk}
        periods = sorted({period for _, period in wanted})
        account_ids = {account_id for account_id, _ in wanted}
        tries = Retrying(
            retry=retry_if_exception(is_retryable),
            stop=stop_after_attempt(_TRIES_ALONE),
            wait=wait_random_exponential(multiplier=0.05, max=2),
            retry_error_callback=lambda state: _give_up(chunk, state.outcome),
        )
        return tries(self._compute_and_write, periods, account_ids, wanted, request)

    def _compute_and_write(
        self,
        periods: list[Period],
        account_ids: set[int],
        wanted: set[tuple[int, Period]],
        request: RefreshRequest,
    ) -> list[Stored]:
        with self._engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
            computation = Computation(connection, self._settings, periods, request.today, account_ids, Timer({}))
            contents = [
                content
                for period in periods
                for content in computation.contents(period)
                if (content.account_id, period) in wanted
            ]
            stored = self._write(connection, contents, request)
            connection.commit()
            return stored

    def _write(self, connection: Connection, contents: list[Content], request: RefreshRequest) -> list[Stored]:
        return write(
            connection,
            contents,
            today=request.today,
            fingerprint=self._fingerprint,
            computed_by=request.computed_by,
            force=request.force,
        )

    def _publish(self, stored: list[Stored], request: RefreshRequest) -> Published:
        on_demand = request.computed_by == "on_demand"
        return self._publisher.publish(
            (
                (
                    cache_key(item.account_id, item.period),
                    Entry(item.version, self._fingerprint, item.json).encode(),
                )
                for item in stored
            ),
            self._settings.ttl_on_demand_seconds if on_demand else self._settings.ttl_background_seconds,
        )


def _accounts_by_period(connection: Connection, request: RefreshRequest) -> dict[Period, set[int]]:
    """Accounts that the store has a row of: a period that was emptied must not keep its old figures."""
    found: dict[Period, set[int]] = {}
    for account_id, period in stored_keys(connection, request.periods):
        found.setdefault(period, set()).add(account_id)
    return found


def _count(outcome: Outcome, written: _Written) -> None:
    outcome.payloads += len(written.stored)
    outcome.rewritten += sum(item.rewritten for item in written.stored)
    outcome.published += written.published.published
    outcome.superseded += written.published.superseded
    outcome.bytes_published += written.published.bytes
    outcome.chunks_retried += written.retried
    for phase, seconds in written.seconds.items():
        outcome.seconds[phase] = outcome.seconds.get(phase, 0.0) + seconds
    for item in written.stored:
        outcome.payloads_by_period[item.period] = outcome.payloads_by_period.get(item.period, 0) + 1


def _give_up(chunk: list[Content], last: object) -> list[Stored]:
    raise ConcurrentUpdate(
        f"Storing {len(chunk)} payloads: other transactions changed the same rows {_TRIES_ALONE} times in a row. "
        "Nothing of this chunk was written; run the refresh again."
    )


def _describe(request: RefreshRequest) -> str:
    first, last = min(request.periods), max(request.periods)
    periods = str(first) if first == last else f"{len(request.periods)} periods from {first} to {last}"
    accounts = "all active accounts" if request.account_ids is None else f"{len(request.account_ids)} accounts"
    return f"{periods} of {accounts}"
