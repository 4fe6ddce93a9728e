"""The latest runs and their reports, read from Dagster's tables: 2,000 of each in a tenth of a second.

Dagster's own reading makes an object of every value of a record, about a millisecond a run and as much
an event. This reads columns, and of an event's JSON the metadata alone. Where those are is private to
Dagster: a test compares each answer with its own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

import dagster as dg
import orjson
import sqlalchemy as sa
from dagster._core.storage.event_log import SqlEventLogStorage
from dagster._core.storage.event_log.schema import SqlEventLogStorageTable
from dagster._core.storage.runs import SqlRunStorage
from dagster._core.storage.runs.schema import RunsTable, RunTagsTable
from dagster._serdes import deserialize_value

_OLDEST = 100
_RUN, _TAG, _EVENT = RunsTable.c, RunTagsTable.c, SqlEventLogStorageTable.c


@dataclass(frozen=True)
class RunRow:
    """One run. `selection`: the assets chosen, of runs without a job of their own."""

    run_id: str
    job_name: str
    status: dg.DagsterRunStatus
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    selection: frozenset[str] = frozenset()
    tags: Mapping[str, str] = field(default_factory=dict)


def read_runs(instance: dg.DagsterInstance, since: datetime, most: int, jobs: Sequence[str]) -> list[RunRow]:
    """At most so many runs created after `since` (aware), newest first. Of `jobs` no selection is read."""
    storage = instance.run_storage
    assert isinstance(storage, SqlRunStorage)
    moment = since.astimezone(timezone.utc).replace(tzinfo=None)
    latest = (
        sa.select(
            _RUN.run_id,
            _RUN.pipeline_name,
            _RUN.status,
            _RUN.create_timestamp,
            _RUN.start_time,
            _RUN.end_time,
            sa.case((_RUN.pipeline_name.in_(jobs), None), else_=_RUN.run_body).label("run_body"),
        )
        # A run is never updated before it is created; by this and the status there is an index.
        .where(_RUN.create_timestamp > moment, _RUN.update_timestamp > moment)
        .where(_RUN.status.in_([status.value for status in dg.DagsterRunStatus]))
        .order_by(_RUN.id.desc())
        .limit(most)
    )
    with storage.connect() as connection:
        rows = connection.execute(latest).all()
        wanted = sa.select(_TAG.run_id, _TAG.key, _TAG.value).where(_TAG.run_id.in_([row.run_id for row in rows]))
        tags: dict[str, dict[str, str]] = {}
        for tag in connection.execute(wanted):
            tags.setdefault(tag.run_id, {})[tag.key] = tag.value
    return [
        RunRow(
            row.run_id,
            row.pipeline_name,
            dg.DagsterRunStatus(row.status),
            _utc(row.create_timestamp),
            moment_of(row.start_time),
            moment_of(row.end_time),
            _selection(row.run_body),
            tags.get(row.run_id, {}),
        )
        for row in rows
    ]


def read_reports(instance: dg.DagsterInstance, asset: dg.AssetKey, run_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """What the latest runs, given newest first, reported on an asset: the numbers and texts of its metadata, by run."""
    if not run_ids:
        return {}
    storage = instance.event_log_storage
    assert isinstance(storage, SqlEventLogStorage)
    # A report comes after the first events of the runs that were made before its own: from there an index leads
    # over this asset's events alone. Grouped, or PostgreSQL would look for the minimum from the table's beginning.
    firsts = (
        sa.select(sa.func.min(_EVENT.id).label("id"))
        .where(_EVENT.run_id.in_(run_ids[-_OLDEST:]))
        .group_by(_EVENT.run_id)
        .subquery()
    )
    first = sa.select(sa.func.coalesce(sa.func.min(firsts.c.id), 0)).scalar_subquery()
    wanted = sa.select(_EVENT.run_id, _EVENT.event).where(
        _EVENT.asset_key == asset.to_string(),
        _EVENT.dagster_event_type == dg.DagsterEventType.ASSET_MATERIALIZATION.value,
        _EVENT.id >= first,
    )
    with storage.index_connection() as connection:
        return {row.run_id: _metadata(row.event) for row in connection.execute(wanted)}


def moment_of(timestamp: float | None) -> datetime | None:
    return None if timestamp is None else datetime.fromtimestamp(timestamp, timezone.utc)


def _metadata(event: str) -> dict[str, Any]:
    specific = orjson.loads(event)["dagster_event"]["event_specific_data"]
    entries = specific["materialization"]["metadata_entries"]
    return {entry["label"]: entry["entry_data"].get("value", entry["entry_data"].get("text")) for entry in entries}


def _selection(run_body: str | None) -> frozenset[str]:
    if run_body is None:
        return frozenset()
    run = deserialize_value(run_body, dg.DagsterRun)
    return frozenset(key.to_user_string() for key in run.asset_selection or ())


def _utc(moment: datetime) -> datetime:
    """Storages return UTC, some without saying so."""
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
