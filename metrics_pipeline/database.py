"""Connections to PostgreSQL, transactions, and which of its errors another try can mend."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.exc import DBAPIError, InternalError, OperationalError, ProgrammingError

from metrics_pipeline.errors import ConcurrentUpdate, DatabaseUnavailable, SchemaError

RETRYABLE_SQLSTATES = {
    "40001",  # serialization failure: an older snapshot met a newer write
    "40P01",  # deadlock
    "42704",  # the exported snapshot is gone with its transaction
}
_SESSION = (
    "-c timezone=UTC -c idle_in_transaction_session_timeout=60s -c lock_timeout=1min "
    "-c plan_cache_mode=force_custom_plan"
)
_ONLY_READS = "SET TRANSACTION READ ONLY; SET LOCAL idle_in_transaction_session_timeout = 0"
_STOOD_STILL = "25P03"  # idle in a transaction for longer than allowed
_WAITED = "55P03"  # for a lock, for longer than allowed
_DEPENDED_ON = "2BP01"  # by what somebody else made


def connect_engine(url: str, pool_size: int = 5) -> Engine:
    """An engine for a `postgresql+psycopg://` URL; nothing is opened before the first use.

    Sessions speak UTC, so that no result depends on the server's own time zone. A transaction in which a
    process stands still for a minute (a suspended machine) is ended by the server, as others wait for its rows.
    Nor does one wait for a table longer than that: an ALTER TABLE that it waits for may be waiting for this process.
    A prepared statement is planned each time for what it is asked: with a plan from when the store was empty, filling
    it took two minutes instead of a quarter of one. The connection used last is used next: a process of the
    server finds its way to shared memory anew, page by page, and its first large reads take half as long again.
    """
    return create_engine(
        url,
        pool_size=pool_size,
        pool_pre_ping=True,
        pool_use_lifo=True,
        connect_args={"application_name": "metrics_pipeline", "options": _SESSION},
    )


@contextmanager
def snapshot_transaction(engine: Engine, exported: str | None = None, begin_with: str = "") -> Iterator[Connection]:
    """A REPEATABLE READ transaction, committed at the end: on a snapshot of its own, or on an exported one.

    It is begun by a statement of ours and not by the driver, so that all of it is one round trip.

    Args:
        begin_with: statements that are sent along.
    """
    begin = "BEGIN ISOLATION LEVEL REPEATABLE READ; "
    if exported:
        begin += f"SET TRANSACTION SNAPSHOT '{exported}'; "
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection, connection.begin():
        raw = driver(connection)
        try:
            raw.execute(begin + begin_with, prepare=False)
            yield connection
        except BaseException as error:
            # An interrupt, perhaps of a COPY, which nobody would read to its end. Or the connection is lost, and
            # rolling back would fail, with an error in place of the one that says why.
            if not isinstance(error, Exception) or raw.broken:
                connection.invalidate()
            raise


@contextmanager
def read_transaction(engine: Engine, exported: str | None = None) -> Iterator[Connection]:
    """The same, read-only. Nobody waits for it, so it may take any time."""
    with snapshot_transaction(engine, exported, _ONLY_READS) as connection:
        yield connection


@contextmanager
def domain_errors(action: str) -> Iterator[None]:
    """Turn driver errors into this package's own: `action` says what was attempted."""
    try:
        yield
    except (OperationalError, psycopg.OperationalError) as error:
        if is_retryable(error):
            raise
        if _sqlstate(error) == _WAITED:
            raise ConcurrentUpdate(
                f"{action}: another transaction kept a table or row locked for a minute. Try again when it has ended; "
                "pg_blocking_pids() of a session that waits, in pg_stat_activity, tells which it is."
            ) from error
        raise DatabaseUnavailable(
            f"{action}: PostgreSQL did not answer ({_first_line(error)}). "
            "Check that it runs and that METRICS_DATABASE_URL points to it."
        ) from error
    except (InternalError, psycopg.InternalError) as error:
        if _sqlstate(error) == _DEPENDED_ON:
            said = ". ".join(str(_cause(error)).splitlines()[:2])
            raise SchemaError(
                f"{action}: {said}. Nothing was changed. Drop what depends on it, and make it again afterwards."
            ) from error
        if _sqlstate(error) != _STOOD_STILL:
            raise
        raise DatabaseUnavailable(
            f"{action}: PostgreSQL ended a transaction in which this process had stood still. Nothing of it was "
            "written; it can be tried again. Look whether the machine was suspended, or is short of memory."
        ) from error
    except (ProgrammingError, psycopg.ProgrammingError) as error:
        if is_retryable(error):
            raise
        raise SchemaError(
            f"{action}: {_first_line(error)}. Run `metrics-pipeline migrate`, then `metrics-pipeline check`."
        ) from error


def is_retryable(error: BaseException) -> bool:
    """Whether a new transaction on a new snapshot may succeed where this one failed."""
    return _sqlstate(error) in RETRYABLE_SQLSTATES


def may_pass(error: BaseException) -> bool:
    """Whether an error of the database is one that a later try may not meet: see above, or a lost connection."""
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    return is_retryable(error) or isinstance(_cause(error), (psycopg.OperationalError, psycopg.InterfaceError))


def driver(connection: Connection) -> psycopg.Connection[tuple[object, ...]]:
    """The psycopg connection below a SQLAlchemy one, for COPY; in the same transaction."""
    raw = connection.connection.driver_connection
    assert isinstance(raw, psycopg.Connection)
    return raw


def _sqlstate(error: BaseException) -> str | None:
    return getattr(_cause(error), "sqlstate", None)


def _first_line(error: BaseException) -> str:
    cause = _cause(error)
    return str(cause).strip().splitlines()[0] if str(cause).strip() else type(cause).__name__


def _cause(error: BaseException) -> BaseException | None:
    return error.orig if isinstance(error, DBAPIError) else error
