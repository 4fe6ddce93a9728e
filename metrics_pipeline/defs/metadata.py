"""An outcome as the metadata of a materialization, and back: Dagster's run records are the book-keeping.

Numbers stand on their own, because the UI plots those. `payloads` is each partition's own count;
everything else speaks of the whole run and stands on every partition of it.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

import dagster as dg

from metrics_pipeline.periods import Period
from metrics_pipeline.planning.request import Outcome

_COUNTS = (
    "accounts",
    "rows_read",
    "rewritten",
    "published",
    "superseded",
    "left_out",
    "renewed",
    "overtaken",
    "marks_cleared",
    "bytes_published",
    "chunks_retried",
)
_SECONDS = "seconds_"


def run_metadata(outcome: Outcome, periods: Sequence[Period]) -> dict[str, Any]:
    """What a run did, for the materialization of each of its partitions."""
    return {
        "first_partition": periods[0].key,
        "last_partition": periods[-1].key,
        **{name: getattr(outcome, name) for name in _COUNTS},
        "payloads_of_run": outcome.payloads,
        **_since_change(outcome),
        **{f"{_SECONDS}{phase}": round(seconds, 4) for phase, seconds in sorted(outcome.seconds.items())},
        "periods": dg.MetadataValue.table(
            records=[
                dg.TableRecord({"period": period.key, "payloads": outcome.payloads_by_period.get(period, 0)})
                for period in periods
            ],
            schema=dg.TableSchema([dg.TableColumn("period", "string"), dg.TableColumn("payloads", "int")]),
        ),
    }


def _since_change(outcome: Outcome) -> dict[str, float]:
    """How long the oldest change that the run refreshed had to wait until it was published."""
    if outcome.oldest_change_at is None:
        return {}
    return {"change_to_publish_s": round((datetime.now(timezone.utc) - outcome.oldest_change_at).total_seconds(), 3)}


def published_metadata(outcome: Outcome) -> dict[str, Any]:
    """What a run read, and wrote to Redis, for the `metrics_cache` asset: one event a run, which the monitor reads."""
    return {
        "accounts": outcome.accounts,
        "rows_read": outcome.rows_read,
        **_since_change(outcome),
        "payloads": outcome.published,
        "bytes": outcome.bytes_published,
        "superseded": outcome.superseded,
        "left_out": outcome.left_out,
        "renewed": outcome.renewed,
        "seconds": round(outcome.seconds.get("publish", 0.0), 4),
    }


def outcome_of(metadata: Mapping[Period, Mapping[str, dg.MetadataValue[Any]]]) -> Outcome:
    """The outcome of one run, read back from the metadata of its partitions."""
    of_run: dict[str, Any] = {name: value.value for name, value in next(iter(metadata.values())).items()}
    return Outcome(
        **{name: of_run[name] for name in _COUNTS},
        payloads=of_run["payloads_of_run"],
        payloads_by_period={period: of_partition["payloads"].value for period, of_partition in metadata.items()},
        seconds={name.removeprefix(_SECONDS): value for name, value in of_run.items() if name.startswith(_SECONDS)},
    )
