"""Whether all that is stored and cached is right, and none of it older than it was."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from redis import Redis
from sqlalchemy import text

from metrics_pipeline.cache.held_locks import list_locks
from metrics_pipeline.cache.keys import Entry
from metrics_pipeline.metrics.payload import PeriodMetrics
from metrics_pipeline.periods import Grain, Period, local_today
from metrics_pipeline.pipeline import Pipeline
from metrics_pipeline_tests.reference import differences, expected_payload, read

Versions = Mapping[tuple[str, int, Period], int]
"""By where it is ("stored" or "cached"), account and period."""

_WAITING = """
SELECT (SELECT count(*) FROM metrics.expense_changes) AS logged,
       (SELECT count(*) FROM metrics.stale_periods) AS stale,
       (SELECT count(*) FROM metrics.cache_drops) AS drops
"""


@dataclass(frozen=True)
class Seen:
    """All payloads at one moment, with what is wrong with them."""

    versions: Versions
    wrong: list[str]

    def backwards(self, before: Versions) -> list[str]:
        """Keys whose version is lower than before, and those that the store has lost."""
        found = []
        for (where, account_id, period), version in before.items():
            now = self.versions.get((where, account_id, period))
            if (now is None and where == "stored") or (now is not None and now < version):
                found.append(f"{where} {account_id} {period}: version {version} became {now}")
        return found

    def cached(self) -> set[tuple[int, Period]]:
        return {(account_id, period) for where, account_id, period in self.versions if where == "cached"}


def waiting(pipeline: Pipeline) -> dict[str, int]:
    """How many changes are logged, periods marked, drops ordered, locks held; only what is not 0."""
    with pipeline.engine.connect() as connection:
        counts = dict(connection.execute(text(_WAITING)).one()._mapping)
    counts["locks"] = len(list_locks(pipeline.redis))
    return {name: count for name, count in counts.items() if count}


def look(pipeline: Pipeline, redis: Redis, today: date) -> Seen:
    """Compare everything with the independent computation over the rows that are there now."""
    with pipeline.engine.connect() as connection:
        data = read(connection)
    settings, known = pipeline.settings, {account.id for account in data.accounts}
    entries = [Entry.decode(value) for key in redis.scan_iter("metrics:{*}:*") if (value := redis.get(key))]
    payloads = [("stored", payload) for payload in pipeline.export(include_empty=True)]
    payloads += [("cached", PeriodMetrics.model_validate_json(entry.payload)) for entry in entries]
    versions, wrong = {}, []
    expected: dict[tuple[int, Period], object] = {}
    for where, payload in payloads:
        period = Period(payload.grain, payload.period_start)
        versions[where, payload.account_id, period] = payload.version
        if payload.account_id not in known:
            continue
        key = payload.account_id, period
        if key not in expected:
            expected[key] = expected_payload(
                data,
                payload.account_id,
                payload.grain.value,
                payload.period_start,
                today=today,
                zone=settings.zone,
                excluded_statuses=settings.excluded_statuses,
                default_currency=settings.default_currency,
            )
        for line in differences(expected[key], payload.model_dump(mode="json", by_alias=True)):
            wrong.append(f"{where} {payload.account_id} {period}{line}")
    for expense in data.expenses:
        on = local_today(expense.at, settings.zone)
        if expense.account_id is None or expense.deleted or not settings.start_date <= on <= today:
            continue
        for grain in Grain:
            if ("stored", expense.account_id, period := Period.holding(grain, on)) not in versions:
                wrong.append(f"nothing is stored for {expense.account_id} {period}, which has an expense")
    return Seen(versions, sorted(set(wrong)))
