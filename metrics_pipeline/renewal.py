"""Keeping stored payloads in the cache: what may be served of them lives on there without being computed."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import date

from redis import Redis
from sqlalchemy import Engine

from metrics_pipeline.cache.checked import CheckedPublisher
from metrics_pipeline.cache.renewing import renew
from metrics_pipeline.changes.keys import Key
from metrics_pipeline.metrics.fingerprint import fingerprint
from metrics_pipeline.periods import warm_periods
from metrics_pipeline.planning.request import Outcome, RefreshRequest
from metrics_pipeline.settings import Settings
from metrics_pipeline.store.reading import servable_heads, servable_of

_ACCOUNTS_AT_ONCE = 500


class Renewer:
    """Renews the cache entries of what one store may serve."""

    def __init__(self, settings: Settings, engine: Engine, redis: Redis) -> None:
        self._engine, self._redis = engine, redis
        self._ttl_seconds, self._at_once = settings.ttl_background_seconds, settings.chunk_payloads
        self._fingerprint = fingerprint(settings)
        self._publisher = CheckedPublisher(engine, redis, self._fingerprint)

    def renew(self, request: RefreshRequest, outcome: Outcome) -> None:
        """Renew the entries of what is asked; those that are not there are published from the store.

        First all is read and renewed, then published: whoever alters our tables waits for a transaction that has read
        them, and one that publishes would wait for him. What it did is added to the outcome. Raises CacheUnavailable.
        """
        shard, today, ids = request.shard, request.today, request.account_ids
        absent: list[Key] = []
        with self._engine.connect() as connection:
            heads = (
                (key, head.version)
                for key, head in servable_heads(connection, request.periods, self._fingerprint, today, ids)
                if shard is None or shard.holds(key[0])
            )
            by_account = itertools.groupby(heads, lambda head: head[0][0])
            accounts = ((account, list(of_account)) for account, of_account in by_account)
            while batch := dict(itertools.islice(accounts, _ACCOUNTS_AT_ONCE)):
                missing = renew(self._redis, batch, self._ttl_seconds)
                outcome.renewed += sum(map(len, batch.values())) - len(missing)
                absent += missing
        for start in range(0, len(absent), self._at_once):
            self._publish(absent[start : start + self._at_once], today, outcome)

    def _publish(self, keys: Sequence[Key], today: date, outcome: Outcome) -> None:
        with self._engine.connect() as connection:
            payloads = servable_of(connection, keys, self._fingerprint, today)
        if payloads:
            older = {period for _, period in keys}.difference(warm_periods(today))
            published, overtaken = self._publisher.publish(payloads, self._ttl_seconds, if_room=older)
            outcome.published += published.published
            outcome.superseded += published.superseded
            outcome.left_out += published.left_out
            outcome.bytes_published += published.bytes
            outcome.overtaken += overtaken
