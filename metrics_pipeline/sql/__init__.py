"""Named queries. Each lives in a .sql file beside this one, under a `-- name:` line."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from psycopg.rows import namedtuple_row
from sqlalchemy import Connection, TextClause, text

from metrics_pipeline.database import driver

_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


@cache
def queries() -> dict[str, str]:
    """Every named query of the package, by name. A name defined twice is an error."""
    found: dict[str, str] = {}
    for path in sorted(Path(__file__).parent.glob("*.sql")):
        _, *parts = _NAME.split(path.read_text(encoding="utf-8"))
        for name, body in zip(parts[::2], parts[1::2], strict=True):
            if name in found:
                raise ValueError(f"query {name} is defined twice, the second time in {path.name}")
            found[name] = body.strip().rstrip(";")
    return found


def query(name: str) -> TextClause:
    """A named query for `Connection.execute`, with `:name` parameters."""
    return _clause(queries()[name])


def driver_query(name: str, binary: bool = False) -> str:
    """A named query for psycopg itself, with `%(name)s` parameters; or `%(name)b`, which travel in binary."""
    return _for_driver(queries()[name], "b" if binary else "s")


def rows_of(connection: Connection, name: str, parameters: Mapping[str, object] | None = None) -> list[Any]:
    """The rows of a named query, as named tuples, from the driver itself. Errors are psycopg's.

    For what every refresh asks: of few accounts, SQLAlchemy would take a twelfth of its time for these statements.
    """
    with driver(connection).cursor(row_factory=namedtuple_row) as cursor:
        return cursor.execute(driver_query(name), parameters or {}).fetchall()


@cache
def _clause(sql: str) -> TextClause:
    return text(sql)


@cache
def _for_driver(sql: str, kind: str) -> str:
    return re.sub(r"(?<![:\w]):(\w+)", rf"%(\1){kind}", sql.replace("%", "%%"))
