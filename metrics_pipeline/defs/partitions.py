"""The partitions of the four metric assets: one for each period, from the start date to today."""

from collections.abc import Iterable, Mapping
from datetime import date

import dagster as dg

from metrics_pipeline.periods import Grain, Period, parse_day, periods_between, warm_window
from metrics_pipeline.settings import Settings

# Midnight in the configured zone; weeks turn on Monday.
_TURN_OF = {
    Grain.DAY: "0 0 * * *",
    Grain.WEEK: "0 0 * * 1",
    Grain.MONTH: "0 0 1 * *",
    Grain.YEAR: "0 0 1 1 *",
}

_FIRST, _LAST = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"


def partitions(grain: Grain, settings: Settings) -> dg.TimeWindowPartitionsDefinition:
    """Every period of a grain, keyed as `Period.key`, ending with the one that holds now."""
    return dg.TimeWindowPartitionsDefinition(
        start=first_period(grain, settings).key,
        fmt="%Y-%m-%d",
        timezone=settings.timezone,
        cron_schedule=_TURN_OF[grain],
        end_offset=1,  # without it a period would get its partition only once it has closed
    )


def first_period(grain: Grain, settings: Settings) -> Period:
    """The first partition: the whole period that holds the start date."""
    return Period.holding(grain, settings.start_date)


def warm_partitions(grain: Grain, settings: Settings, today: date) -> list[Period]:
    """The periods that the hourly schedule keeps fresh, without those before the first partition."""
    earliest = first_period(grain, settings)
    return [period for period in warm_window(grain, today) if period >= earliest]


def periods_of(grain: Grain, keys: Iterable[str]) -> list[Period]:
    """The periods behind partition keys. Raises BadRequest for a key that starts none."""
    return [Period(grain, parse_day(key, "partition key")) for key in keys]


def range_tags(periods: list[Period]) -> dict[str, str]:
    """The run tags that make one run cover all partitions from the first period to the last."""
    return {_FIRST: periods[0].key, _LAST: periods[-1].key}


def covered(grain: Grain, tags: Mapping[str, str]) -> list[Period]:
    """The periods that a run with these tags covers: a range of them, or a single one."""
    single = tags.get("dagster/partition")
    first, last = tags.get(_FIRST, single), tags.get(_LAST, single)
    if first is None or last is None:
        return []
    return list(periods_between(grain, parse_day(first, "partition key"), parse_day(last, "partition key")))
