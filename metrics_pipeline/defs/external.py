"""Where the data comes from and where the results go: assets that others make, shown in the graph."""

import dagster as dg

from metrics_pipeline.periods import Grain

EXPENSES = dg.AssetSpec(
    "expenses",
    group_name="source",
    kinds={"postgres", "table"},
    owners=["team:metrics"],
    description="""The expense application's own tables in PostgreSQL: `expenses`, `email_accounts`, `categories`,
`budgets` and `budget_categories`.

The pipeline only reads them. An expense counts when it is not deleted and its status is not one of
`METRICS_EXCLUDED_STATUSES`.
""",
)

METRICS_CACHE = dg.AssetSpec(
    "metrics_cache",
    deps=[f"{grain.adverb}_metrics" for grain in Grain],
    group_name="serving",
    kinds={"redis"},
    owners=["team:metrics"],
    description="""The payloads in Redis that dashboards read: one key for each account and period,
`metrics:{<account>}:<grain>:<first day>`.

Every run of a metric asset publishes here and reports how many payloads and bytes it wrote, and how
many were **superseded** (Redis already had a newer version, which stays) or **left out** (of old
periods, when Redis has little room: the store has them). Entries live four hours; the hourly
schedules renew those of the current periods. To publish a period again, materialize its partition.
""",
)
