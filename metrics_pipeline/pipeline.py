"""The use cases, in one place: what the command line, Dagster and Python programs call.

What computes is imported where it is first used: pandas, polars and numpy take half a second, and reading needs none.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime
from functools import cached_property
from typing import TYPE_CHECKING

from redis import Redis

from metrics_pipeline.cache.canary import check_canary, confirm_canary
from metrics_pipeline.cache.drops import carry_out_drops
from metrics_pipeline.cache.reader import MetricsReader
from metrics_pipeline.changes.absorb import Absorbed, absorb
from metrics_pipeline.changes.marks import read_backlog
from metrics_pipeline.changes.missed import absorb_misses
from metrics_pipeline.database import connect_engine, domain_errors, read_transaction
from metrics_pipeline.errors import ConfigurationError
from metrics_pipeline.metrics.payload import PeriodMetrics
from metrics_pipeline.periods import Grain, Period, warm_periods
from metrics_pipeline.planning.chosen import chosen_periods
from metrics_pipeline.planning.refreshing import StalePeriod
from metrics_pipeline.planning.request import Outcome, Progress, RefreshRequest
from metrics_pipeline.planning.shards import Shard
from metrics_pipeline.reconciliation.findings import ReconcileRequest, Reconciliation
from metrics_pipeline.renewal import Renewer
from metrics_pipeline.settings import Settings
from metrics_pipeline.store.reading import Selection, export, read_frame

if TYPE_CHECKING:
    import pandas as pd

    from metrics_pipeline.reconciliation.spot_check import SpotCheck
    from metrics_pipeline.refresh import Refresher


class Pipeline:
    """Everything the pipeline does, on one database and one Redis.

    Opens connections when they are first needed. A context manager: leaving it closes them.
    """

    def __init__(self, settings: Settings, follow: Progress | None = None) -> None:
        """`follow`: told how far every refresh is, beside who asked for it."""
        if not settings.database_url or not settings.redis_url:
            raise ConfigurationError(
                "METRICS_DATABASE_URL and METRICS_REDIS_URL must both be set here; "
                "`metrics-pipeline` commands start embedded servers where they are not."
            )
        self.settings, self._follow = settings, follow
        self.engine = connect_engine(settings.database_url)
        self.redis: Redis = Redis.from_url(settings.redis_url, socket_connect_timeout=2, socket_timeout=10)
        # For readers, who wait, and have PostgreSQL to ask.
        self._redis_of_reads: Redis = Redis.from_url(settings.redis_url, socket_connect_timeout=1, socket_timeout=1)

    def __enter__(self) -> Pipeline:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.engine.dispose()
        self.redis.close()
        self._redis_of_reads.close()

    def migrate(self) -> str:
        """Bring the database to the newest schema; returns its revision."""
        from metrics_pipeline.migrations.apply import migrate

        return migrate(self.engine)

    def refresh(
        self,
        request: RefreshRequest,
        progress: Progress | None = None,
        before_commit: Callable[[], None] | None = None,
    ) -> Outcome:
        """Compute, store and publish what is asked. See `Refresher.refresh`."""

        def tell(outcome: Outcome) -> None:
            for told in (progress, self._follow):
                if told:
                    told(outcome)

        return self._refresher.refresh(request, tell, before_commit)

    def absorb_changes(self, now: datetime | None = None, seconds: float = 20.0) -> Absorbed:
        """Take logged changes until there are no more, mark what they make stale, and drop its cache entries.

        Args:
            now: decides which period is the current one; aware.
            seconds: after this the rest waits for the next call; the result says whether there is `more`.

        Raises DatabaseUnavailable when nothing could be read: an outage is not "no changes"; and
        CacheUnavailable when entries could not be dropped: they are then dropped by the next call.
        """
        total, deadline = Absorbed(), time.monotonic() + seconds
        with domain_errors("Absorbing expense changes"):
            earliest, today = self.settings.start_date, self.settings.today(now)
            while True:
                with self.engine.begin() as connection:
                    batch = absorb(connection, zone=self.settings.zone, earliest=earliest, today=today)
                total += batch
                carry_out_drops(self.engine, self.redis)
                if not batch.more or time.monotonic() > deadline:
                    break
            with self.engine.begin() as connection:
                missed = absorb_misses(connection, earliest=earliest, today=today)
            if missed:
                carry_out_drops(self.engine, self.redis)
            return Absorbed(missed=missed) + total

    def backlog(self) -> list[StalePeriod]:
        """All periods that wait for a refresh, from the start date to today. Raises DatabaseUnavailable."""
        with domain_errors("Reading the stale periods"), self.engine.connect() as connection:
            return read_backlog(connection, self.settings.start_date, self.settings.today())

    def tend_cache(self, now: datetime | None = None) -> bool:
        """Empty the cache and publish the warm window again if Redis or PostgreSQL went back in time.

        Returns whether that was so. Raises CacheUnavailable or DatabaseUnavailable.
        """
        with domain_errors("Comparing the cache with the store"), self.engine.begin() as connection:
            lost = check_canary(connection, self.redis)
        if lost:
            self.warm(now)
            confirm_canary(self.redis)
        return lost

    def warm(self, now: datetime | None = None) -> int:
        """Publish the stored payloads of the warm window without computing. Returns how many are cached now."""
        today, outcome = self.settings.today(now), Outcome()
        with domain_errors("Warming the cache"):
            Renewer(self.settings, self.engine, self.redis).renew(RefreshRequest(warm_periods(today), today), outcome)
        return outcome.renewed + outcome.published

    def calculate(
        self,
        *,
        grains: Sequence[Grain] = tuple(Grain),
        on: Sequence[date] = (),
        all_history: bool = False,
        account_ids: Sequence[int] | None = None,
        today: date | None = None,
        force: bool = False,
        shard: Shard | None = None,
        progress: Progress | None = None,
    ) -> Outcome:
        """Compute the periods that hold the days in `on` (default: today), or all since the start date.

        Logged changes are absorbed first, so that what is computed no longer waits for a refresh.
        """
        today = today or self.settings.today()
        periods = chosen_periods(grains, on, today, self.settings.start_date, all_history=all_history)
        request = RefreshRequest(periods, today, account_ids, "manual", force, shard=shard)
        self.absorb_changes()
        return self.refresh(request, progress)

    def reconcile(self, request: ReconcileRequest | None = None, now: datetime | None = None) -> Reconciliation:
        """Find what the triggers could not see, and mend it unless `request` says otherwise. See `Reconciler`."""
        from metrics_pipeline.reconciliation.reconciler import Reconciler

        with domain_errors("Comparing the store with the expenses"):
            self.absorb_changes(now)
            reconciler = Reconciler(self.settings, self.engine, self.redis, self.refresh)
            return reconciler.reconcile(request or ReconcileRequest(), self.settings.today(now))

    def spot_check(self, periods: Sequence[Period], accounts: int, share: float, today: date) -> SpotCheck:
        """Compare these periods of a few accounts with their expenses and with the cache. See `spot_check`."""
        from metrics_pipeline.reconciliation.spot_check import spot_check

        with domain_errors("Comparing some payloads"):
            return spot_check(self.engine, self.redis, self.settings, periods, accounts, share, today)

    @cached_property
    def reader(self) -> MetricsReader:
        return MetricsReader(self.settings, self.engine, self._redis_of_reads, self.refresh)

    def export(
        self,
        *,
        grains: Sequence[Grain] | None = None,
        first: date | None = None,
        last: date | None = None,
        account_ids: Sequence[int] | None = None,
        include_empty: bool = False,
    ) -> Iterator[PeriodMetrics]:
        """Stored payloads, streamed by grain, period and account.

        Those whose period holds an undeleted expense; `include_empty` adds the others. `first` and
        `last` bound the periods' first days.
        """
        selection = Selection(tuple(grains or Grain), first, last, account_ids)
        with domain_errors("Exporting payloads"), read_transaction(self.engine) as connection:
            yield from export(connection, selection, include_empty=include_empty)

    def read_metrics(
        self,
        *,
        grains: Sequence[Grain] | None = None,
        first: date | None = None,
        last: date | None = None,
        account_ids: Sequence[int] | None = None,
    ) -> pd.DataFrame:
        """One row per account, period and currency, as `metrics.period_totals` has them; money as Decimal."""
        with domain_errors("Reading metrics"), self.engine.connect() as connection:
            return read_frame(connection, Selection(tuple(grains or Grain), first, last, account_ids))

    @cached_property
    def _refresher(self) -> Refresher:
        from metrics_pipeline.refresh import Refresher

        return Refresher(self.settings, self.engine, self.redis)
