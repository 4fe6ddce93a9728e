"""What the expense tables hold already, as far as loading needs to know."""

from __future__ import annotations

from psycopg import sql
from sqlalchemy import Connection

from metrics_pipeline.database import driver
from metrics_pipeline.sql import query


def stored_ids(connection: Connection, table: str) -> set[int]:
    """Every id of a table."""
    with driver(connection).cursor() as cursor:
        cursor.execute(sql.SQL("SELECT id FROM {}").format(sql.Identifier(table)))
        return {id_ for (id_,) in cursor}  # type: ignore[misc]


def stored_parents(connection: Connection) -> dict[int, int | None]:
    """The parent of every category."""
    return {row.id: row.parent_id for row in connection.execute(query("category_parents"))}


def advance_identity(connection: Connection, table: str, newest: int) -> None:
    """Let the ids that the database hands out go on after `newest`."""
    connection.execute(query("advance_identity"), {"table_name": table, "newest": newest})
