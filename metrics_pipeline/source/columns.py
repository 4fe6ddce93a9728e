"""Columns that payloads are computed from, of those whose absence keeps no change from being noticed."""

from __future__ import annotations

from sqlalchemy import Connection

from metrics_pipeline.sql import query

_TYPES = {
    "email_accounts": {"currency": "text", "active": "boolean NOT NULL DEFAULT true"},
    "expenses": {
        "amount": "numeric(12, 2)",
        "currency": "text",
        "status": "text",
        "category_id": "bigint",
        "merchant_name": "text",
        "deleted_at": "timestamptz",
    },
    "budgets": {
        "name": "text",
        "amount": "numeric(12, 2)",
        "currency": "text",
        "active": "boolean NOT NULL DEFAULT true",
        "warning_threshold": "numeric(5, 2)",
        "critical_threshold": "numeric(5, 2)",
    },
}


def missing_columns(connection: Connection) -> list[str]:
    """The statements that add what expense tables lack: an ALTER TABLE for each table that lacks any."""
    tables = connection.execute(query("capture_tables"), {"names": list(_TYPES)})
    lacking = {
        row.name: [f"ADD {column} {type_}" for column, type_ in _TYPES[row.name].items() if column not in row.columns]
        for row in tables
        if row.table_oid is not None
    }
    return [f"ALTER TABLE {name} {', '.join(added)};" for name, added in lacking.items() if added]
