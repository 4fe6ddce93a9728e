"""Stored payloads against the same payloads computed again."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import date

from sqlalchemy import Connection

from metrics_pipeline.changes.keys import Key, as_arrays
from metrics_pipeline.metrics.compute import Computation, Timer
from metrics_pipeline.periods import Period
from metrics_pipeline.settings import Settings
from metrics_pipeline.sql import query


def different_payloads(connection: Connection, settings: Settings, keys: Sequence[Key], today: date) -> list[Key]:
    """Those of these stored payloads that come out otherwise from the transaction's snapshot."""
    if not keys:
        return []
    digests = dict(zip(keys, connection.execute(query("stored_digests"), as_arrays(keys)).scalars(), strict=True))
    wanted: dict[Period, set[int]] = {}
    for account_id, period in keys:
        wanted.setdefault(period, set()).add(account_id)
    account_ids = {account_id for account_id, _ in keys}
    computation = Computation(connection, settings, sorted(wanted), today, account_ids, Timer({}), traced=account_ids)
    return [
        (content.account_id, period)
        for period, of_period in wanted.items()
        for content in computation.contents(period, only=of_period)
        if hashlib.sha256(content.json).digest() != digests[content.account_id, period]
    ]
