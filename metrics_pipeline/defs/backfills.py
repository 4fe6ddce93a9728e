"""Backfills made by the sensor. Dagster has no public call for this yet: what is private stays in this module."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import dagster as dg
from dagster._core.definitions.assets.graph.asset_graph_subset import AssetGraphSubset
from dagster._core.execution.backfill import BulkActionsFilter, BulkActionStatus, PartitionBackfill
from dagster._core.utils import make_new_backfill_id
from dagster._time import get_current_timestamp

from metrics_pipeline.defs.partitions import partitions
from metrics_pipeline.periods import Grain, Period
from metrics_pipeline.settings import Settings

_LATEST_BACKFILLS = 100


def request_backfill(
    instance: dg.DagsterInstance,
    settings: Settings,
    periods: Sequence[Period],
    *,
    title: str,
    tags: Mapping[str, str],
) -> str:
    """Ask for a backfill of just these partitions, of several assets. Returns its id; the Backfills page shows it."""
    subset = AssetGraphSubset(  # type: ignore[call-arg]
        non_partitioned_asset_keys=set(),
        partitions_subsets_by_asset_key={
            dg.AssetKey(f"{grain.adverb}_metrics"): partitions(grain, settings)
            .empty_subset()
            .with_partition_keys([period.key for period in periods if period.grain is grain])
            for grain in Grain
            if any(period.grain is grain for period in periods)
        },
    )
    backfill = PartitionBackfill.from_asset_graph_subset(
        backfill_id=make_new_backfill_id(),
        backfill_timestamp=get_current_timestamp(),
        asset_graph_subset=subset,
        tags=dict(tags),
        dynamic_partitions_store=instance,
        title=title,
        description=None,
        run_config=None,
    )
    instance.add_backfill(backfill)
    return str(backfill.backfill_id)


def has_open_backfill(instance: dg.DagsterInstance, tags: Mapping[str, str]) -> bool:
    """Whether a backfill with these tags is not over."""
    # Filtering by several tags at once finds none, so only the states are asked for.
    open_ones = BulkActionsFilter(
        statuses=[BulkActionStatus.REQUESTED, BulkActionStatus.CANCELING, BulkActionStatus.FAILING]
    )
    return any(tags.items() <= backfill.tags.items() for backfill in instance.get_backfills(filters=open_ones))


def failed_since(instance: dg.DagsterInstance, tags: Mapping[str, str], moment: datetime) -> list[float]:
    """When backfills with these tags ended in failure since then, in seconds since 1970."""
    failed = BulkActionsFilter(statuses=[BulkActionStatus.FAILED, BulkActionStatus.COMPLETED_FAILED])
    ended = [
        backfill.backfill_end_timestamp or backfill.backfill_timestamp
        for backfill in instance.get_backfills(filters=failed, limit=_LATEST_BACKFILLS)
        if tags.items() <= backfill.tags.items()
    ]
    return [at for at in ended if at >= moment.timestamp()]
