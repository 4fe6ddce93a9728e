"""Looks at the state, tells what is new, and remembers what was told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import orjson
from sqlalchemy import Engine, Row

from metrics_pipeline.alerts.decisions import Decision, about_failures, about_health, about_the_hour
from metrics_pipeline.alerts.delivery import NotDelivered, ping, post_signed
from metrics_pipeline.database import domain_errors
from metrics_pipeline.monitor.evidence import Evidence
from metrics_pipeline.monitor.monitor import assess
from metrics_pipeline.settings import Settings
from metrics_pipeline.sql import query

SCHEMA = 1


@dataclass(frozen=True)
class Told:
    """What one look came to: kinds of messages that were delivered, and why others were not."""

    delivered: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()

    def __add__(self, other: Told) -> Told:
        return Told(self.delivered + other.delivered, self.errors + other.errors)


def tell(engine: Engine, settings: Settings, evidence: Evidence) -> Told:
    """Tell the receivers that the settings name whatever they do not know yet.

    Takes at most half a minute. Each message is remembered once it was delivered, so that it arrives at least
    once. Raises DatabaseUnavailable.
    """
    status, runs, now, told = assess(evidence), evidence.history.runs, evidence.now, Told()
    if webhook := settings.alert_webhook_url:

        def post(message: Mapping[str, Any]) -> None:
            post_signed(webhook, orjson.dumps(message), settings.alert_secret, now)

        told += _tell(engine, "health", lambda known: about_health(status, known), post, now)
        told += _tell(engine, "failures", lambda known: about_failures(runs, known, now), post, now)
    if heartbeat := settings.heartbeat_url:
        decide = lambda known: about_the_hour(runs, status, known)  # noqa: E731
        told += _tell(engine, "heartbeat", decide, lambda _: ping(heartbeat), now)
    return told


def _tell(
    engine: Engine,
    kind: str,
    decide: Callable[[Mapping[str, Any]], Decision],
    send: Callable[[Mapping[str, Any]], None],
    now: datetime,
) -> Told:
    """One kind of message. Its row is locked meanwhile: what another process is telling is left to it."""
    with domain_errors("Remembering what was told"), engine.begin() as connection:
        row = connection.execute(query("claim_alert"), {"kind": kind}).one_or_none()
        if row is None:
            return Told()
        decision = decide(row.known)
        if decision.message is None and decision.known == row.known and row.failing_since is None:
            return Told()
        if decision.message is not None:
            try:
                send(_addressed(decision, row, kind, now))
            except NotDelivered as error:
                connection.execute(query("keep_undelivered"), {"kind": kind, "now": now, "error": str(error)})
                return Told(errors=(str(error),))
        connection.execute(
            query("keep_told"),
            {"kind": kind, "known": orjson.dumps(decision.known).decode(), "told": bool(decision.message), "now": now},
        )
    return Told((kind,) if decision.message else ())


def _addressed(decision: Decision, row: Row[Any], kind: str, now: datetime) -> dict[str, Any]:
    """The whole message. Its id follows from what is told after what, so that a repetition has the same one."""
    known = {name: value for name, value in decision.known.items() if name != "seen"}
    told = orjson.dumps([kind, row.told_at, known], option=orjson.OPT_SORT_KEYS).decode()
    message = dict(decision.message or {})
    if text := message.get("text"):  # Slack reads these three as its own marks
        message["text"] = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    identity = str(uuid5(NAMESPACE_URL, told))
    return {"schema": SCHEMA, "id": identity, "at": now.isoformat(timespec="seconds"), **message}
