"""Compare, look again, mark, refresh, compare again."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import date, datetime, timezone

from redis import Redis
from sqlalchemy import Engine

from metrics_pipeline.cache.drops import carry_out_drops, drop
from metrics_pipeline.changes.absorb import MOST_MARKS, mark
from metrics_pipeline.metrics.fingerprint import fingerprint
from metrics_pipeline.periods import warm_periods
from metrics_pipeline.planning.request import Outcome, RefreshRequest
from metrics_pipeline.planning.stretches import stretches
from metrics_pipeline.reconciliation.cached import CacheComparison, compare_cache
from metrics_pipeline.reconciliation.compare import compare
from metrics_pipeline.reconciliation.findings import Comparison, Drift, Drifts, ReconcileRequest, Reconciliation, shown
from metrics_pipeline.reconciliation.spans import marking_for
from metrics_pipeline.settings import Settings

logger = logging.getLogger(__name__)


class Reconciler:
    """Compares source, store and cache of one pipeline; `refresh` computes what differs."""

    def __init__(
        self, settings: Settings, engine: Engine, redis: Redis, refresh: Callable[[RefreshRequest], Outcome]
    ) -> None:
        self._settings, self._engine, self._redis, self._refresh = settings, engine, redis, refresh

    def reconcile(self, request: ReconcileRequest, today: date) -> Reconciliation:
        """Find what differs and, if asked, mend it. Raises DatabaseUnavailable or CacheUnavailable.

        What is found is looked for again on a newer snapshot before it counts: a run may have mended
        it meanwhile. Changes that commit during all this are logged, and so no drift.
        """
        started = time.perf_counter()
        first = compare(self._engine, self._settings, request, today)
        drifts = self._confirmed(first, request, today)
        cache = self._compare_cache(request, first, today)
        drifts.add(Drift("cached", *key) for key in cache.different)
        marked = remaining = None
        if request.repair and drifts.total:
            marked = self._repair(drifts, today)
            remaining = self._remaining(drifts, first, request, today)
        return Reconciliation(
            mode="full" if request.full else "checksum",
            accounts=len(first.account_ids),
            compared=first.compared,
            recomputed=first.recomputed,
            cached=cache.compared,
            found=drifts.counts,
            deferred=first.deferred,
            coverage={
                grain.value: round(first.with_payload[grain] / total, 4)
                for grain, total in first.with_expenses.items()
                if total
            },
            without_account=first.without_account,
            outside=first.outside,
            sample=shown(drifts),
            marked=marked,
            remaining=remaining,
            seconds=round(time.perf_counter() - started, 3),
        )

    def _confirmed(self, first: Comparison, request: ReconcileRequest, today: date) -> Drifts:
        if not first.drifts.total:
            return first.drifts
        again = self._compare_again(first.drifts, first, request, today)
        return again if not first.drifts.all_kept else first.drifts.only(again.kept)

    def _compare_again(self, drifts: Drifts, first: Comparison, request: ReconcileRequest, today: date) -> Drifts:
        """The same accounts on a snapshot of now; all of them where too many differ to know them by name."""
        return compare(self._engine, self._settings, request, today, drifts.account_ids, first.covered).drifts

    def _compare_cache(self, request: ReconcileRequest, first: Comparison, today: date) -> CacheComparison:
        earliest = self._settings.start_date
        periods = [period for period in warm_periods(today) if period.end > earliest]
        sampled = first.account_ids if request.sample is not None else None
        return compare_cache(self._engine, self._redis, periods, fingerprint(self._settings), today, sampled)

    def _repair(self, drifts: Drifts, today: date) -> int:
        """Mark what differs as changes do, with all that depends on it, drop its entries and refresh it."""
        at, earliest = datetime.now(timezone.utc), self._settings.start_date
        marking = marking_for(drifts, earliest, today, MOST_MARKS, at)
        with self._engine.begin() as connection:
            mark(connection, marking)
        carry_out_drops(self._engine, self._redis)
        drop(self._redis, {key for key, drift in drifts.kept.items() if drift.kind == "cached"})
        logger.warning("%d payloads drifted: %s; %d marked stale", drifts.total, drifts.counts, len(marking))
        for periods in stretches({period for _, period in marking}):
            self._refresh(RefreshRequest(periods, today, computed_by="refresh", only_stale=True))
        return len(marking)

    def _remaining(self, drifts: Drifts, first: Comparison, request: ReconcileRequest, today: date) -> int:
        """How many of them differ after the repair."""
        left = self._compare_again(drifts, first, request, today)
        periods = sorted({drift.period for drift in drifts.kept.values() if drift.kind == "cached"})
        cached = {key for key, drift in drifts.kept.items() if drift.kind == "cached"}
        if periods:
            account_ids = {account_id for account_id, _ in cached}
            again = compare_cache(
                self._engine, self._redis, periods, fingerprint(self._settings), today, account_ids
            )  # fmt: skip
            return left.total + len(again.different & cached)
        return left.total
