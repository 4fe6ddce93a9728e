"""Bring a database to the newest schema."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

from metrics_pipeline.database import domain_errors
from metrics_pipeline.source.capture import attach

_LOCK = 0x6D6574726963  # "metric": two migrations at once wait for each other


def migrate(engine: Engine) -> str:
    """Apply what is missing, attach the triggers, and return the revision the database now has. One transaction.

    Raises DatabaseUnavailable, SchemaError when the role may not create what is needed, or ConcurrentUpdate
    when other transactions hold an expense table for long.
    """
    with domain_errors("Migrating the database"), engine.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        connection.execute(text("CREATE SCHEMA IF NOT EXISTS metrics"))
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        attach(connection)
        return current_revision(connection) or "none"


def current_revision(connection: Connection) -> str | None:
    """The revision the database has, or None before the first migration."""
    context = MigrationContext.configure(
        connection, opts={"version_table": "schema_version", "version_table_schema": "metrics"}
    )
    return context.get_current_revision()


def newest_revision() -> str:
    """The revision this package expects."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    assert head is not None
    return head


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    return config
