"""The parts of the benchmark of the main job: each measures some lines of the table."""

from __future__ import annotations

import gc
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from datetime import date
from functools import partial

from benchmarks import alternatives, publishing
from benchmarks.dataset import FIRST, TODAY, Dataset, plain_connection
from benchmarks.few_accounts import FewAccounts
from benchmarks.measure import Measured, Meter, median_of
from benchmarks.prepare import covering_index, vacuum
from benchmarks.results import Results
from benchmarks.scheduled import Run, Workers, as_scheduled
from metrics_pipeline.cache.keys import cache_key
from metrics_pipeline.periods import Grain, Period, warm_periods
from metrics_pipeline.pipeline import Pipeline
from metrics_pipeline.planning.request import Outcome, RefreshRequest

Smaller = tuple[Pipeline, Dataset]

MONTH, YEAR = Period(Grain.MONTH, date(2025, 12, 1)), Period(Grain.YEAR, date(2025, 1, 1))
HOURLY = warm_periods(TODAY)

# Written out, for with parameters of a prepared statement the two years take 40% longer: it would be no floor.
_FLOOR = """
SELECT email_account_id, count(*), sum(amount) FROM expenses
WHERE deleted_at IS NULL AND transaction_date >= '{}' AND transaction_date < '{}' GROUP BY 1
"""
_SAMPLE_OF_ACCOUNTS = 100
_MORE_OF_SHORT_RUNS = 5
"""Times as many: the first few are on connections that do not know where in shared memory these expenses are."""
_PUBLISHED = 50_000

PARTS = ("floor", "whole_table", "scheduled", "few_accounts", "few_accounts_indexed", "publishing", "alternatives")


class Benchmark:
    """Measures one data set; what grows with the data, on a smaller one as well."""

    def __init__(self, pipeline: Pipeline, dataset: Dataset, runs: int, smaller: Smaller | None = None) -> None:
        assert pipeline.settings.database_url
        self._pipeline, self._dataset, self._runs, self._smaller = pipeline, dataset, runs, smaller
        self._plain = plain_connection(pipeline.settings.database_url)
        self._meter = Meter(self._plain, pipeline.redis)
        self.results = Results(f"{dataset.rows:,} expenses, {dataset.accounts:,} accounts, {dataset.shape}")

    @property
    def _pipelines(self) -> list[Pipeline]:
        return [self._pipeline, *([self._smaller[0]] if self._smaller else [])]

    def floor(self) -> None:
        """Called first and last, as it takes up to a third longer at one time than at another: its mean counts."""
        for name, first, end in (
            ("floor: month", MONTH.start, MONTH.end),
            ("floor: year", YEAR.start, YEAR.end),
            ("floor: two years", FIRST, YEAR.end),
        ):
            work = partial(self._query, _FLOOR.format(first, end))
            work()  # so that the data is in memory, as it is for what comes after
            found = self._meter.measure(self._runs, work)
            before = self.results.seconds(name)
            if before:
                note = f"{before:.3f} s before the others, {found.seconds:.3f} s after them"
                found = replace(found, seconds=(before + found.seconds) / 2)
            self.results.keep(name, found, note=note if before else "")

    def whole_table(self) -> None:
        """Everybody's periods: into an empty store, and again with nothing changed."""
        self._pipeline.refresh(RefreshRequest([MONTH], TODAY))  # connections are open, as in a worker's process
        for name, periods, floor in (
            ("month", [MONTH], "floor: month"),
            ("year", [YEAR], "floor: year"),
            ("hourly set", HOURLY, "floor: two years"),
        ):
            request = RefreshRequest(periods, TODAY)
            self._refresh(name, request, floor, before=self._empty_store)
            self._refresh(f"{name}, unchanged", request, floor)

    def scheduled(self) -> None:
        """The hourly set by four runs, in the processes of one worker: into an empty store, and an hour later."""
        requests = as_scheduled(HOURLY, TODAY)
        with Workers(self._pipeline.settings) as workers:
            for name, before in (
                ("hourly set, scheduled", self._empty_store),
                ("hourly set, scheduled, unchanged", gc.collect),
            ):
                done: list[Run] = []
                work = partial(self._run_all, workers, requests, done)
                found = self._meter.measure(self._runs, work, before=before)
                runs = done[-len(requests) :]
                found.python_cpu += sum(run.cpu for run in done) / self._runs
                found.peak = max(run.memory for run in done)
                payloads, renewed = (sum(getattr(run.outcome, n) for run in runs) for n in ("payloads", "renewed"))
                note = f"{payloads:,} payloads computed, {renewed:,} renewed; a process's memory"
                self.results.keep(name, found, "floor: two years", note)

    @staticmethod
    def _run_all(workers: Workers, requests: list[RefreshRequest], done: list[Run]) -> None:
        done += workers.run(requests)

    def few_accounts(self) -> None:
        """The current day, week, month and year of some accounts, stored and published anew because they are stale."""
        self._few_accounts("")

    def few_accounts_indexed(self) -> None:
        """The same with the index that `check` recommends for large tables."""
        with ExitStack() as stack:
            for pipeline in self._pipelines:
                stack.enter_context(covering_index(pipeline))
            self._few_accounts(", indexed")

    def _few_accounts(self, how: str) -> None:
        """Few and many accounts in turn, on either data set, again and again: seconds that are slow are so for all."""
        for pipeline in self._pipelines:
            pipeline.refresh(RefreshRequest(HOURLY, TODAY, only_outdated=True))  # as the schedule leaves the store
        cases = [
            FewAccounts(pipeline, dataset.accounts, count)
            for count in (1, 10, 100, 1000)
            for pipeline, dataset in (*([self._smaller] if self._smaller else []), (self._pipeline, self._dataset))
            if count <= dataset.accounts
        ]
        for turn in range(self._runs * _MORE_OF_SHORT_RUNS):
            if turn % _MORE_OF_SHORT_RUNS == 0:
                for pipeline in self._pipelines:
                    vacuum(pipeline)
            for case in cases:
                if case.count <= 100 or turn % _MORE_OF_SHORT_RUNS == 0:
                    case.measure(self._meter)
        against: dict[int, str] = {}
        for case in cases:
            name = f"{case.name}{how}"
            note = f"target {25 + 1.5 * case.count:.0f} ms; "
            self._keep(name, case.median(), case.done, against.get(case.count), note)
            against[case.count] = name

    def publishing(self) -> None:
        """The same stored payloads again and again, with a check of versions and without."""
        wanted = (Grain.MONTH, Grain.WEEK)
        self._pipeline.refresh(RefreshRequest([period for period in HOURLY if period.grain in wanted], TODAY))
        payloads = self._pipeline.export(grains=wanted)
        rounds = publishing.Rounds(
            [
                (cache_key(p.account_id, Period(p.grain, p.period_start)), p.model_dump_json(by_alias=True).encode())
                for p, _ in zip(payloads, range(_PUBLISHED), strict=False)
            ]
        )
        redis, entries = self._pipeline.redis, rounds.entries()
        vacuum(self._pipeline)
        count, keys, chunk = len(entries), [key for key, _ in entries], self._pipeline.settings.chunk_payloads
        redis.delete(*keys)  # what the store published has versions above those of the rounds
        publishing.checked(redis, entries)  # replaced from now on, as entries are from hour to hour
        for name, publish in (
            ("publish, versions checked", publishing.checked),
            ("publish, plain SET", publishing.plain),
        ):
            measured = [
                self._meter.measure(1, partial(publishing.in_chunks, publish, redis, rounds.entries(), chunk))
                for _ in range(self._runs)
            ]
            median = median_of(measured)
            self.results.keep(name, median, note=f"{count / median.seconds:,.0f} payloads/s")
        batches = publishing.encoded(entries)
        found = self._meter.measure(self._runs, partial(publishing.stream, redis, batches, count))
        self.results.keep("publish, SET encoded beforehand", found, note=f"{count / found.seconds:,.0f} payloads/s")
        redis.delete(*keys)

    def alternatives(self) -> None:
        pairs = len(HOURLY) * self._dataset.accounts
        sample = range(1, min(_SAMPLE_OF_ACCOUNTS, self._dataset.accounts) + 1)
        found = self._meter.measure(1, partial(alternatives.seven_queries, self._plain, sample, HOURLY))
        scale = self._dataset.accounts / len(sample)
        self.results.keep(
            "seven queries a period",
            Measured(found.seconds * scale, found.python_cpu * scale, None, None, found.peak),
            against="floor: two years",
            note=f"hourly set; extrapolated from {len(sample)} of {self._dataset.accounts} accounts, {pairs:,} periods",
        )
        self._query(alternatives.INCREMENTAL_MODEL)
        replace = partial(alternatives.delete_and_insert, self._plain, MONTH.start, MONTH.end)
        replace()
        self.results.keep(
            "incremental SQL model", self._meter.measure(self._runs, replace), against="floor: month", note="a month"
        )
        self._query(alternatives.MATERIALIZED_VIEW)
        for name, statement in (
            ("materialized view", alternatives.REFRESH),
            ("materialized view, concurrently", alternatives.REFRESH_CONCURRENTLY),
        ):
            found = self._meter.measure(1, partial(self._query, statement))
            self.results.keep(
                name, found, against="floor: two years", note="months by category: count, sum, min, max only"
            )
        self._query("DROP MATERIALIZED VIEW monthly_by_category; DROP TABLE monthly_model")

    def _refresh(
        self, name: str, request: RefreshRequest, against: str, before: Callable[[], object] = gc.collect
    ) -> None:
        outcomes: list[Outcome] = []

        def refresh() -> Outcome:
            outcomes.append(self._pipeline.refresh(request))
            return outcomes[-1]

        found = self._meter.measure(self._runs, refresh, before=before, phases=lambda done: done.seconds)
        self._keep(name, found, outcomes[-1], against)

    def _keep(self, name: str, found: Measured, done: Outcome, against: str | None, note: str = "") -> None:
        self.results.keep(
            name,
            found,
            against,
            f"{note}{done.payloads:,} payloads, {done.rewritten:,} rewritten, {done.rows_read:,} rows, "
            f"{done.bytes_published / 1e6:,.0f} MB",
        )

    def _empty_store(self) -> None:
        gc.collect()
        self._query("TRUNCATE metrics.period_metrics")
        self._query("CHECKPOINT")

    def _query(self, statement: str) -> None:
        cursor = self._plain.execute(statement)
        if cursor.description:
            cursor.fetchall()
