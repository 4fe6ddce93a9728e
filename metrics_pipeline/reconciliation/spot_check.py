"""A quick look at a few payloads: are they what their expenses give, and does the cache have the same?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
from redis import Redis
from sqlalchemy import Connection, Engine

from metrics_pipeline.changes.keys import Key, key_of, period_arrays
from metrics_pipeline.database import read_transaction
from metrics_pipeline.metrics.fingerprint import fingerprint
from metrics_pipeline.periods import Period
from metrics_pipeline.reconciliation.cached import CacheComparison, compare_cache
from metrics_pipeline.reconciliation.recompute import different_payloads
from metrics_pipeline.reconciliation.stored import GRAINS, read_waiting
from metrics_pipeline.settings import Settings
from metrics_pipeline.sql import query


@dataclass(frozen=True)
class SpotCheck:
    """Payloads that were computed again, those that came out otherwise, and what the cache has of these accounts."""

    recomputed: int
    different: list[Key]
    cache: CacheComparison


def spot_check(
    engine: Engine,
    redis: Redis,
    settings: Settings,
    periods: Sequence[Period],
    accounts: int,
    share: float,
    today: date,
) -> SpotCheck:
    """Look at these periods of some accounts: those that follow where `share` (0 to 1) of the ids lie.

    What is known to be stale or outdated is left out. Raises CacheUnavailable.
    """
    with read_transaction(engine) as connection:
        picked = _picked(connection, settings, periods, accounts, share, today)
        different = different_payloads(connection, settings, picked, today)
    account_ids = {account_id for account_id, _ in picked}
    cache = compare_cache(engine, redis, periods, fingerprint(settings), today, account_ids)
    return SpotCheck(len(picked), different, cache)


def _picked(
    connection: Connection, settings: Settings, periods: Sequence[Period], accounts: int, share: float, today: date
) -> list[Key]:
    wanted = {**period_arrays(periods), "fingerprint": fingerprint(settings), "most": accounts, "share": share}
    rows = connection.execute(query("picked_keys"), wanted).all()
    keys = sorted(
        key
        for key, row in ((key_of(row), row) for row in rows)
        if (row.as_of, row.is_current) == (key[1].as_of(today), key[1].is_current(today))
    )
    account = np.array([account_id for account_id, _ in keys], np.int64)
    grain = np.array([GRAINS.index(period.grain) for _, period in keys], np.int64)
    start = np.array([period.start.toordinal() for _, period in keys], np.int64)
    waits = read_waiting(connection, np.unique(account).tolist()).covers(account, grain, start)
    return [key for key, waiting in zip(keys, waits.tolist(), strict=True) if not waiting]
