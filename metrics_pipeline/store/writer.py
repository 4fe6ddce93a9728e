"""Writing computed payloads: one upsert a chunk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection

from metrics_pipeline.changes.keys import array, as_arrays
from metrics_pipeline.changes.marks import Marks
from metrics_pipeline.database import driver
from metrics_pipeline.metrics.assemble import Content
from metrics_pipeline.metrics.payload import ComputedBy
from metrics_pipeline.sql import driver_query
from metrics_pipeline.store.versioned import Versioned, with_header

Header = tuple[int, datetime, ComputedBy]
"""Version, and when and by whom the content was computed."""


def write(
    connection: Connection,
    contents: Sequence[Content],
    *,
    marks: Marks,
    today: date,
    fingerprint: str,
    computed_by: ComputedBy,
    force: bool,
) -> tuple[list[Versioned], int]:
    """Upsert the payloads inside the caller's transaction; return each with its version, and how many were written.

    Unchanged rows keep their version and time unless `force`, or unless they are marked stale: `marks`
    are those that the transaction's snapshot shows. Raises a serialization failure
    (SQLSTATE 40001) when a row was changed after the transaction's snapshot.
    """
    contents = sorted(contents)  # by account and period: the one order in which all writers touch rows
    keys = [content[:2] for content in contents]
    anyway = [force or marks.cover(key) for key in keys]
    heads: Sequence[Any] = () if all(anyway) else _fetch(connection, "stored_heads", as_arrays(keys))
    headers: dict[int, Header] = {place: head[2:] for place, head in enumerate(heads)}
    changed = [
        place
        for place, content in enumerate(contents)
        if anyway[place] or heads[place][:2] != (content.hash, fingerprint)
    ]
    if changed:
        rows = _upsert(connection, [contents[place] for place in changed], today, fingerprint, computed_by)
        for place, (_, version, computed_at) in zip(changed, rows, strict=True):
            headers[place] = version, computed_at, computed_by
    payloads = [
        Versioned(keys[place], headers[place][0], with_header(content.json, *headers[place]))
        for place, content in enumerate(contents)
    ]
    return payloads, len(changed)


def _upsert(
    connection: Connection, contents: Sequence[Content], today: date, fingerprint: str, computed_by: ComputedBy
) -> list[tuple[int, int, datetime]]:
    """Of each content: account, version, time."""
    days = {period: (period.as_of(today), period.is_current(today)) for period in {each.period for each in contents}}
    as_of, is_current = zip(*[days[content.period] for content in contents], strict=True)
    account_ids = [content.account_id for content in contents]
    rows = _fetch(
        connection,
        "upsert_payloads",
        {
            **as_arrays([content[:2] for content in contents]),
            "payloads": [content.json.decode() for content in contents],
            "as_of": array(as_of),
            "is_current": array(is_current),
            "hashes": array([content.hash for content in contents]),
            "expense_counts": array([content.expense_count for content in contents]),
            "transaction_counts": array([content.transaction_count for content in contents]),
            "checksums": array([content.checksum for content in contents]),
            "fingerprint": fingerprint,
            "computed_by": computed_by,
        },
    )
    assert [row[0] for row in rows] == account_ids, "PostgreSQL did not write in the order of the arrays"
    return rows


def _fetch(connection: Connection, name: str, values: Mapping[str, object]) -> list[Any]:
    """In binary, as psycopg looks for what to escape in each element of an array of text; as plain tuples."""
    with driver(connection).cursor(binary=True) as cursor:
        return cursor.execute(driver_query(name, binary=True), values).fetchall()
