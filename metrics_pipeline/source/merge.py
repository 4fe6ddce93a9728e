"""Rows into a table by way of a temporary one: COPY, then one upsert of what differs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from psycopg import sql
from sqlalchemy import Connection

from metrics_pipeline.database import driver
from metrics_pipeline.source.stored import advance_identity
from metrics_pipeline.source.summary import TableSummary
from metrics_pipeline.source.tables import Column, Table

_STAGE = "CREATE TEMPORARY TABLE {staged} ON COMMIT DROP AS SELECT {columns} FROM {table} WITH NO DATA"
_COPY = "COPY {staged} ({columns}) FROM STDIN"

# Rows that are there and the same are left out before ON CONFLICT, which would lock each of them.
_UPSERT = """
WITH written AS (
    INSERT INTO {table} AS stored ({columns}) OVERRIDING SYSTEM VALUE
    SELECT {values}
    FROM {staged} AS given
    LEFT JOIN {table} AS old USING ({key})
    WHERE old.{first_key} IS NULL OR ROW({values}) IS DISTINCT FROM ROW({old_values})
    ORDER BY {key}
    ON CONFLICT ({key}) DO {conflict}
    RETURNING stored.xmax = 0 AS inserted
)
SELECT count(*) FILTER (WHERE inserted), count(*) FILTER (WHERE NOT inserted) FROM written
"""
_UPDATE = "UPDATE SET {assignments} WHERE ROW({stored_values}) IS DISTINCT FROM ROW({excluded_values})"


def merge(
    connection: Connection, table: Table, columns: list[Column], rows: Iterable[list[Any]], summary: TableSummary
) -> None:
    """Insert the rows that are new, update those that differ in these columns, and count all three kinds.

    An update touches no column but these.
    """
    names = [column.name for column in columns]
    parts = {
        "table": sql.Identifier(table.name),
        "staged": sql.Identifier(f"loaded_{table.name}"),
        "columns": _joined(names),
        "key": _joined(table.key),
        "first_key": sql.Identifier(table.key[0]),
        "values": sql.SQL(", ").join(map(_given, columns)),
        "old_values": _joined(names, "old"),
        "conflict": _conflict(table, names),
    }
    copied = newest = 0
    id_place = names.index("id") if "id" in names else None
    with driver(connection).cursor() as cursor:
        cursor.execute(sql.SQL(_STAGE).format(**parts))
        with cursor.copy(sql.SQL(_COPY).format(**parts)) as copy:
            for values in rows:
                copy.write_row(values)
                copied += 1
                if id_place is not None and values[id_place] > newest:
                    newest = values[id_place]
        cursor.execute(sql.SQL("ANALYZE {staged}").format(**parts))
        cursor.execute(sql.SQL(_UPSERT).format(**parts))
        summary.inserted, summary.updated = cursor.fetchone() or (0, 0)  # type: ignore[assignment]
        summary.unchanged = copied - summary.inserted - summary.updated
    if newest:
        advance_identity(connection, table.name, newest)


def _given(column: Column) -> sql.Composable:
    name = sql.Identifier(column.name)
    if column.kept_when_empty:
        return sql.SQL("coalesce(given.{name}, old.{name}, now())").format(name=name)
    return sql.SQL("given.{name}").format(name=name)


def _conflict(table: Table, names: list[str]) -> sql.Composable:
    changeable = [name for name in names if name not in table.key]
    if not changeable:
        return sql.SQL("NOTHING")
    return sql.SQL(_UPDATE).format(
        assignments=sql.SQL(", ").join(
            sql.SQL("{0} = excluded.{0}").format(sql.Identifier(name)) for name in changeable
        ),
        stored_values=_joined(changeable, "stored"),
        excluded_values=_joined(changeable, "excluded"),
    )


def _joined(names: Iterable[str], source: str | None = None) -> sql.Composable:
    return sql.SQL(", ").join(sql.Identifier(source, name) if source else sql.Identifier(name) for name in names)
