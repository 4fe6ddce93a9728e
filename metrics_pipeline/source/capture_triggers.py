"""Which triggers capture changes, and the functions they call, for expense tables as they are in this database."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import psycopg
from psycopg import sql

from metrics_pipeline.errors import SchemaError
from metrics_pipeline.sql import queries

MISS_LOCK = (0x6D657472, 1)
"""Advisory lock (class, id) that a transaction holds, shared, from its first unlogged change to its end."""

REQUIRED = {
    "email_accounts": ("id",),
    "categories": ("id", "name"),
    "expenses": ("id", "email_account_id", "transaction_date"),
    "budgets": ("id", "email_account_id", "period", "start_date", "end_date"),
    "budget_categories": ("budget_id", "category_id"),
}
"""The captured tables, and the columns without which their changes can't be told."""

# What payloads depend on. Compared where the table has them; the first one tells rows apart.
_SIGNIFICANT = {
    "email_accounts": ("id", "currency"),
    "categories": ("id", "name"),
    "expenses": (
        "id",
        "amount",
        "transaction_date",
        "category_id",
        "merchant_name",
        "status",
        "currency",
        "email_account_id",
    ),
    "budgets": (
        "id",
        "amount",
        "name",
        "period",
        "currency",
        "start_date",
        "end_date",
        "email_account_id",
        "warning_threshold",
        "critical_threshold",
    ),
}
_COUNTS = {"expenses": ("deleted_at", "deleted_at IS NULL"), "budgets": ("active", "active")}

# Table, operation, what finds the changes, and the operation's name in the log.
_CAPTURED = (
    ("expenses", "INSERT", "written_expenses", "insert"),
    ("expenses", "UPDATE", "updated_expenses", "update"),
    ("expenses", "DELETE", "written_expenses", "delete"),
    ("budgets", "INSERT", "written_budgets", "budget"),
    ("budgets", "UPDATE", "updated_budgets", "budget"),
    ("budgets", "DELETE", "written_budgets", "budget"),
    ("budget_categories", "INSERT", "budgets_of_written_links", "budget"),
    ("budget_categories", "UPDATE", "budgets_of_updated_links", "budget"),
    ("budget_categories", "DELETE", "budgets_of_written_links", "budget"),
    ("categories", "UPDATE", "updated_categories", "category"),
    ("categories", "DELETE", "deleted_categories", "category"),
    ("email_accounts", "UPDATE", "updated_accounts", "account"),
    *((table, "TRUNCATE", "truncated_table", "truncate") for table in REQUIRED),
)
_TRANSITION_TABLES = {
    "INSERT": "REFERENCING NEW TABLE AS changed_rows",
    "UPDATE": "REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows",
    "DELETE": "REFERENCING OLD TABLE AS changed_rows",
    "TRUNCATE": "",
}


@dataclass(frozen=True)
class CapturedTable:
    """One of the expense tables, wherever in the search_path it is.

    Args:
        columns: the type of each column.
        can_be_captured: false for a view or foreign table, which can't have such triggers.
    """

    name: str
    oid: int
    qualified: tuple[str, str]
    columns: Mapping[str, str]
    can_be_captured: bool

    def __str__(self) -> str:
        return ".".join(self.qualified)

    @property
    def identifier(self) -> sql.Identifier:
        return sql.Identifier(*self.qualified)

    @property
    def counts(self) -> sql.Composable:
        """Whether one of its rows counts at all; all do where the column that says so is missing."""
        column, condition = _COUNTS.get(self.name, ("", "true"))
        return _sql(condition if column in self.columns else "true")

    def significant(self, image: str) -> sql.Composable:
        present = [name for name in _SIGNIFICANT.get(self.name, ()) if name in self.columns]
        return sql.SQL(", ").join(sql.Identifier(image, name) for name in present)


@dataclass(frozen=True)
class Trigger:
    """A trigger and the function of its own that it calls; `body` is the function's source."""

    table: CapturedTable
    operation: str
    body: str

    @property
    def name(self) -> str:
        return f"metrics_pipeline_{self.operation.lower()}"

    @property
    def function(self) -> str:
        return f"capture_{self.table.name}_{self.operation.lower()}"

    def function_statement(self) -> sql.Composed:
        return _template("capture_function", function=sql.Identifier(self.function), body=sql.Literal(self.body))

    def trigger_statement(self) -> sql.Composed:
        return _template(
            "capture_trigger",
            trigger=sql.Identifier(self.name),
            operation=_sql(self.operation),
            table=self.table.identifier,
            transition_tables=_sql(_TRANSITION_TABLES[self.operation]),
            function=sql.Identifier(self.function),
        )


def wanted_triggers(
    tables: Mapping[str, CapturedTable], connection: psycopg.Connection[tuple[object, ...]]
) -> Iterator[Trigger]:
    """Every trigger that the tables should have; none for what is no table.

    The connection only decides how literals are quoted. Raises SchemaError when a column is missing that
    nothing can be told without.
    """
    for table in tables.values():
        _require(table)
    for name, operation, changes, label in _CAPTURED:
        if tables[name].can_be_captured:
            body = _template(
                "capture_body",
                changed=_changed(tables, tables[name], changes, of_budgets=label == "budget"),
                operation=sql.Literal(label),
                lock_class=sql.Literal(MISS_LOCK[0]),
                lock_id=sql.Literal(MISS_LOCK[1]),
            )
            yield Trigger(tables[name], operation, body.as_string(connection))


def _require(table: CapturedTable) -> None:
    missing = [column for column in REQUIRED[table.name] if column not in table.columns]
    if missing:
        raise SchemaError(
            f"Capturing changes of {table}: it has no column {' and no '.join(missing)}. "
            "Add it, or put the schema of the right table first in the role's search_path."
        )


def _changed(
    tables: Mapping[str, CapturedTable], table: CapturedTable, name: str, *, of_budgets: bool
) -> sql.Composable:
    """The query for the accounts and instants that a statement on the table concerns."""
    parts: dict[str, sql.Composable] = {
        "counts": table.counts,
        "was": table.significant("was"),
        "became": table.significant("became"),
        "moment": _moment(tables["expenses"], "{}"),
        "first_moment": _moment(tables["expenses"], "min({})"),
        "last_moment": _moment(tables["expenses"], "max({})"),
        "expense_table": tables["expenses"].identifier,
        "budget_table": tables["budgets"].identifier,
        "budget_counts": tables["budgets"].counts,
    }
    changed = _template(name, **parts)
    return _template("budget_changes", budgets=changed) if of_budgets else changed


def _moment(expenses: CapturedTable, expression: str) -> sql.Composable:
    """An expense's instant. Without a zone it is UTC, as in the sessions that compute, whatever the writer's is."""
    moment = expression.format("side.transaction_date")
    if expenses.columns["transaction_date"] != "timestamp with time zone":
        moment = f"({moment}::timestamp AT TIME ZONE 'UTC')"
    return _sql(moment)


def _template(name: str, **parts: sql.Composable) -> sql.Composed:
    return _sql(queries()[name]).format(**parts)


def _sql(text: str) -> sql.SQL:
    """A constant of this module or of its .sql file."""
    return sql.SQL(text)
