"""Changes that could not be logged: nobody knows which, so everything counts as stale."""

from __future__ import annotations

from datetime import date, datetime, timezone

from sqlalchemy import Connection

from metrics_pipeline.changes.absorb import mark_everything
from metrics_pipeline.source.capture import missed_changes, misses_in_flight
from metrics_pipeline.sql import query


def absorb_misses(connection: Connection, *, earliest: date, today: date) -> bool:
    """Mark everything stale if a change was missed since this was last asked. Returns whether one was.

    A miss shows before its change commits. Marks set by then can be cleared by a refresh that did
    not see the change: so everything is marked once more when no such transaction is open any longer.
    """
    state = connection.execute(query("tick_state")).one()
    missed = missed_changes(connection)
    in_flight = misses_in_flight(connection)  # after the count: what was counted is still open then, or has ended
    if missed == state.missed_seen and (state.misses_settled or in_flight):
        return False
    connection.execute(query("lock_tick_state"))
    mark_everything(connection, earliest=earliest, today=today, at=datetime.now(timezone.utc))
    connection.execute(query("remember_misses"), {"missed": missed, "settled": not in_flight})
    return True
