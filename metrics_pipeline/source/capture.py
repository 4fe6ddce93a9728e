"""Capturing changes: triggers on the expense tables that log which accounts and days every write concerned.

Not seen by such triggers, and left to reconciliation: rows that arrive by logical replication or with
`session_replication_role = replica`, and writes addressed directly to a partition of a partitioned table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from psycopg import errors, sql
from sqlalchemy import Connection, Row
from sqlalchemy.exc import DBAPIError
from tenacity import RetryError, Retrying, retry_if_exception, stop_after_delay, wait_random

from metrics_pipeline.database import driver
from metrics_pipeline.errors import ConcurrentUpdate, SchemaError
from metrics_pipeline.source.capture_triggers import MISS_LOCK, REQUIRED, CapturedTable, Trigger, wanted_triggers
from metrics_pipeline.sql import query

_PATIENCE = 30.0  # seconds, in tries of 0.2 s each: whoever writes meanwhile queues behind a try, but no longer
_MIGRATE = "Run `metrics-pipeline migrate`."


@dataclass(frozen=True)
class CaptureProblem:
    """Why some changes go unnoticed, and how to mend it."""

    message: str
    to_do: str


def attach(connection: Connection) -> None:
    """Attach what is missing, disabled or out of date, inside the caller's transaction; touch nothing else.

    Commit soon: a table that got a trigger can't be written to until then. Changes made while a trigger was
    absent count as missed, so that they are looked for.

    Raises SchemaError (an expense table or a column of it is missing), ConcurrentUpdate (other transactions
    hold a table for long; nothing was changed).
    """

    def attach_now() -> None:
        triggers = list(wanted_triggers(_tables(connection), driver(connection)))
        bodies = _bodies(connection)
        attached = _attached(connection)
        for trigger in triggers:
            if bodies.get(trigger.function) != trigger.body:
                driver(connection).execute(trigger.function_statement())
        absent = [trigger for trigger in triggers if _why_unheard(trigger, attached)]
        for trigger in absent:
            driver(connection).execute(trigger.trigger_statement())
        if absent:
            connection.execute(query("count_unwatched_changes"))

    _without_queueing(connection, "Attaching triggers to the expense tables", attach_now)


def detach(connection: Connection) -> None:
    """Remove the triggers and their functions, and leave the expense tables as they were without them.

    Raises ConcurrentUpdate (other transactions hold a table for long; nothing was changed).
    """

    def detach_now() -> None:
        for function in _bodies(connection):
            # By way of the function, a trigger is found also on a table that was renamed or moved meanwhile.
            driver(connection).execute(sql.SQL("DROP FUNCTION metrics.{}() CASCADE").format(sql.Identifier(function)))

    _without_queueing(connection, "Detaching triggers from the expense tables", detach_now)


def capture_state(connection: Connection) -> list[CaptureProblem]:
    """What keeps changes from being logged right now; empty when all are. Reads the catalog only."""
    return list(_problems(connection))


def missed_changes(connection: Connection) -> int:
    """How often a change could not be logged, ever: a number that only grows.

    It grows before the change commits. Whoever looks for what was missed has to look again as long as
    `misses_in_flight` was true before looking.
    """
    return int(connection.execute(query("missed_changes")).scalar_one())


def misses_in_flight(connection: Connection) -> bool:
    """Whether a transaction is still open whose change could not be logged."""
    lock_class, lock_id = MISS_LOCK
    return bool(
        connection.execute(query("misses_in_flight"), {"lock_class": lock_class, "lock_id": lock_id}).scalar_one()
    )


def _tables(connection: Connection) -> dict[str, CapturedTable]:
    """The expense tables by name. Raises SchemaError when one is missing."""
    tables = {}
    for row in connection.execute(query("capture_tables"), {"names": list(REQUIRED)}):
        if row.table_oid is None:
            raise SchemaError(
                f"Capturing changes: there is no table {row.name}. Run `metrics-pipeline migrate`, or put its "
                "schema into the role's search_path."
            )
        qualified = (row.schema_name, row.table_name)
        tables[row.name] = CapturedTable(row.name, row.table_oid, qualified, row.columns, row.can_be_captured)
    return tables


def _bodies(connection: Connection) -> dict[str, str]:
    """The source of each trigger function that is there, by name."""
    return {row.name: row.body for row in connection.execute(query("capture_functions"))}


_Attached = Mapping[tuple[int, str], "Row[tuple[object, ...]]"]


def _attached(connection: Connection) -> _Attached:
    """The triggers that are there, by table and function."""
    return {(row.table_oid, row.function): row for row in connection.execute(query("capture_triggers"))}


def _why_unheard(trigger: Trigger, attached: _Attached) -> str | None:
    """Why a trigger does not fire on ordinary writes, or None when it does."""
    found = attached.get((trigger.table.oid, trigger.function))
    if found is None:
        return "missing"
    return {"D": "disabled", "R": "enabled for replicated rows only"}.get(found.enabled)


def _problems(connection: Connection) -> Iterator[CaptureProblem]:
    for missing in connection.execute(query("missing_log")).scalars():
        yield CaptureProblem(
            f"There is no {missing}: changes can't be logged.",
            "Give it its name back, or restore it; `metrics-pipeline migrate` makes it only in a new database.",
        )
    try:
        tables = _tables(connection)
        triggers = list(wanted_triggers(tables, driver(connection)))
    except SchemaError as error:
        yield CaptureProblem(str(error), _MIGRATE)
        return
    for table in tables.values():
        if not table.can_be_captured:
            yield CaptureProblem(
                f"{table} is not a table: what changes in it is noticed by reconciliation only.",
                "Put the schema of the table behind it first in the role's search_path, then run "
                "`metrics-pipeline migrate`.",
            )
    bodies, attached = _bodies(connection), _attached(connection)
    for trigger in triggers:
        if reason := _why_unheard(trigger, attached):
            yield CaptureProblem(
                f"Trigger {trigger.name} on {trigger.table} is {reason}: what {trigger.operation} changes "
                "goes unnoticed.",
                _MIGRATE,
            )
        elif bodies.get(trigger.function) != trigger.body:
            yield CaptureProblem(
                f"Function metrics.{trigger.function} is of another version, or {trigger.table} was altered since.",
                _MIGRATE,
            )


def _without_queueing(connection: Connection, action: str, work: Callable[[], None]) -> None:
    """Do work that locks tables, in tries so short that no writer waits long behind it, or meets a deadlock."""

    def one_try() -> None:
        with connection.begin_nested():
            before = connection.exec_driver_sql("SHOW lock_timeout").scalar_one()
            connection.exec_driver_sql("SET LOCAL lock_timeout = '200ms'")
            work()
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{before}'")

    try:
        Retrying(
            retry=retry_if_exception(_is_lock_timeout), stop=stop_after_delay(_PATIENCE), wait=wait_random(0.1, 0.5)
        )(one_try)
    except RetryError as error:
        raise ConcurrentUpdate(
            f"{action}: other transactions held one of them for {_PATIENCE:.0f} s. Nothing was changed; try "
            "again when they have ended (pg_stat_activity shows them by their xact_start)."
        ) from error


def _is_lock_timeout(error: BaseException) -> bool:
    return isinstance(error.orig if isinstance(error, DBAPIError) else error, errors.LockNotAvailable)
