"""A pipeline over a small expense database, and the question whether everything it serves is right."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, time, timezone
from typing import Any

import pytest
from redis import Redis
from sqlalchemy import Connection, text

from metrics_pipeline.cache.keys import Entry
from metrics_pipeline.changes.absorb import mark
from metrics_pipeline.metrics.payload import PeriodMetrics
from metrics_pipeline.periods import Grain, Period
from metrics_pipeline.pipeline import Pipeline
from metrics_pipeline.planning.request import Outcome, RefreshRequest
from metrics_pipeline_tests.reference import differences, expected_payload, read

TODAY = date(2026, 3, 18)
NOW = datetime.combine(TODAY, time(12), timezone.utc)
CURRENT = [Period.holding(grain, TODAY) for grain in Grain]


@dataclass
class World:
    """Time stands still at noon of TODAY; whatever else moves, the test moves."""

    pipeline: Pipeline
    redis: Redis
    connect: Callable[[], Connection]

    def sql(self, statement: str, **parameters: Any) -> Any:
        """Run a statement in a transaction of its own; returns the first column of the first row, if any."""
        with self.pipeline.engine.begin() as connection:
            return execute(connection, statement, **parameters)

    def spend(self, account: int, amount: object, on: str = "2026-03-18", **columns: Any) -> int:
        with self.pipeline.engine.begin() as connection:
            return spend(connection, account, amount, on, **columns)

    def absorb(self) -> None:
        self.pipeline.absorb_changes(NOW)

    def refresh_stale(self) -> Outcome | None:
        """What the sensor's runs do: everything that is marked."""
        periods = [stale.period for stale in self.pipeline.backlog()]
        if not periods:
            return None
        return self.pipeline.refresh(RefreshRequest(periods, TODAY, computed_by="refresh", only_stale=True))

    def settle(self) -> None:
        """Let everything come to rest: absorb and refresh until nothing waits."""
        self.absorb()
        while self.refresh_stale():
            self.absorb()

    def hourly(self, periods: list[Period] | None = None, **options: Any) -> Outcome:
        """What the schedule's runs do, unless options say otherwise."""
        options = {"only_outdated": True, **options}
        return self.pipeline.refresh(RefreshRequest(periods or CURRENT, TODAY, computed_by="schedule", **options))

    def wrong(self) -> list[str]:
        """Every difference of a stored or cached payload from the reference; empty when all is right."""
        with self.pipeline.engine.connect() as connection:
            data = read(connection)
        known = {account.id for account in data.accounts}
        found = [
            f"{source} {payload.account_id} {payload.grain.value} {payload.period_start}: {line}"
            for source, payload in [*self._stored(), *self._cached()]
            if payload.account_id in known
            for line in differences(self.expected(data, payload), payload.model_dump(mode="json", by_alias=True))
        ]
        return sorted(found)

    def expected(self, data: Any, payload: PeriodMetrics) -> dict[str, Any]:
        settings = self.pipeline.settings
        return expected_payload(
            data,
            payload.account_id,
            payload.grain.value,
            payload.period_start,
            today=TODAY,
            zone=settings.zone,
            excluded_statuses=settings.excluded_statuses,
            default_currency=settings.default_currency,
        )

    def total(self, account: int, grain: Grain = Grain.DAY, source: str = "cache") -> object:
        """The total in US dollars that the cache, or the store, has for the current period; None without any."""
        payloads = dict(self._by_key(self._cached() if source == "cache" else self._stored()))
        payload = payloads.get((account, grain, Period.holding(grain, TODAY).start))
        return None if payload is None else payload.currencies["USD"].total if payload.currencies else 0

    def _by_key(self, payloads: list[tuple[str, PeriodMetrics]]) -> list[tuple[Any, PeriodMetrics]]:
        return [((p.account_id, p.grain, p.period_start), p) for _, p in payloads]

    def _stored(self) -> list[tuple[str, PeriodMetrics]]:
        return [("stored", payload) for payload in self.pipeline.export(include_empty=True)]

    def _cached(self) -> list[tuple[str, PeriodMetrics]]:
        entries = [self.redis.get(key) for key in self.redis.scan_iter("metrics:{*}:*")]
        return [
            ("cached", PeriodMetrics.model_validate_json(Entry.decode(value).payload)) for value in entries if value
        ]


def mark_stale(pipeline: Pipeline, periods: Sequence[Period], account_ids: Sequence[int]) -> None:
    """Mark these periods of these accounts, as a change would, though nothing changed."""
    at = datetime.now(timezone.utc)
    with pipeline.engine.begin() as connection:
        mark(connection, {(account_id, period): (at, at) for account_id in account_ids for period in periods})


def execute(connection: Connection, statement: str, **parameters: Any) -> Any:
    result = connection.execute(text(statement), parameters)
    return result.scalar() if result.returns_rows else None


def spend(connection: Connection, account: int, amount: object, on: str = "2026-03-18", **columns: Any) -> int:
    """Insert an expense of a local noon; returns its id."""
    values = {
        "email_account_id": account,
        "amount": amount,
        "currency": "USD",
        "transaction_date": f"{on} 12:00+00",
        **columns,
    }
    names = ", ".join(values)
    places = ", ".join(f":{name}" for name in values)
    return execute(connection, f"INSERT INTO expenses ({names}) VALUES ({places}) RETURNING id", **values)


@contextmanager
def between_snapshot_and_store(monkeypatch: pytest.MonkeyPatch, meanwhile: Callable[[], object]) -> Any:
    """Let something happen after the next refresh has read its snapshot and before it stores anything."""
    from metrics_pipeline import refresh

    original = refresh.ChunkWriter.write
    pending = [meanwhile]

    def write(*arguments: Any) -> Any:
        if pending:
            pending.pop()()
        return original(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(refresh.ChunkWriter, "write", write)
        yield


@contextmanager
def before(monkeypatch: pytest.MonkeyPatch, module: Any, name: str, meanwhile: Callable[[], object]) -> Any:
    """Let something happen just before the next call of a module's function."""
    original, pending = getattr(module, name), [meanwhile]

    def called(*arguments: Any, **options: Any) -> Any:
        if pending:
            pending.pop()()
        return original(*arguments, **options)

    with monkeypatch.context() as patched:
        patched.setattr(module, name, called)
        yield
