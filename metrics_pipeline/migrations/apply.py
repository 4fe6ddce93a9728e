"""Bring a database to the newest schema, or back to the one of an older release."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

from metrics_pipeline.database import domain_errors
from metrics_pipeline.errors import BadRequest, SchemaError
from metrics_pipeline.source.capture import attach

_LOCK = 0x6D6574726963  # "metric": two migrations at once wait for each other


def migrate(engine: Engine) -> str:
    """Apply what is missing, attach the triggers, and return the revision the database now has. One transaction.

    Raises DatabaseUnavailable, SchemaError when the role may not create what is needed or a newer release migrated the
    database, or ConcurrentUpdate when other transactions hold an expense table for long.
    """
    with _migration(engine) as (config, connection):
        command.upgrade(config, "head")
        attach(connection)
        return revisions()[0]


def roll_back(engine: Engine, revision: str) -> None:
    """Undo what came after a revision, so that the release whose newest it is finds its schema. One transaction.

    Expense tables and their rows stay, and so do the triggers while their log does: that release's `migrate` attaches
    its own.

    Raises what `migrate` raises, and BadRequest when the database was never at that revision.
    """
    with _migration(engine) as (config, connection):
        current, known = current_revision(connection), revisions()
        came_by = known[known.index(current) :] if current else []
        if revision not in came_by:
            raise BadRequest(
                f"Going back to revision {revision}: the database is at {current}, where it came to by way of "
                f"{', '.join(came_by[:0:-1])}. Name one of these."
            )
        command.downgrade(config, revision)


@contextmanager
def _migration(engine: Engine) -> Iterator[tuple[Config, Connection]]:
    """Nothing else migrates meanwhile, and this package knows the revision that there is."""
    with domain_errors("Migrating the database"), engine.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        connection.execute(text("CREATE SCHEMA IF NOT EXISTS metrics"))
        current = current_revision(connection)
        if current not in (None, *revisions()):
            raise SchemaError(f"Migrating the database: it is at revision {current}. {of_newer_release()}")
        config = _config()
        config.attributes["connection"] = connection
        yield config, connection


def current_revision(connection: Connection) -> str | None:
    """The revision the database has, or None before the first migration."""
    context = MigrationContext.configure(
        connection, opts={"version_table": "schema_version", "version_table_schema": "metrics"}
    )
    return context.get_current_revision()


def revisions() -> list[str]:
    """Those that this package knows, the newest first."""
    return [script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()]


def of_newer_release() -> str:
    """What to do where the database has a revision that this package does not know."""
    return (
        "A newer release made it: use that one, or let it go back with "
        f"`metrics-pipeline migrate --back-to {revisions()[0]}`."
    )


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    return config
