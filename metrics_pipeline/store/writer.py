"""Writing computed payloads: one upsert a chunk."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any, NamedTuple

import orjson
from psycopg.rows import namedtuple_row
from sqlalchemy import Connection

from metrics_pipeline.changes.keys import Key, array, as_arrays
from metrics_pipeline.changes.marks import Marks
from metrics_pipeline.database import driver
from metrics_pipeline.metrics.assemble import Content
from metrics_pipeline.metrics.payload import ComputedBy
from metrics_pipeline.periods import Period
from metrics_pipeline.sql import driver_query, query

RowKey = tuple[int, str, date]


class Stored(NamedTuple):
    """A payload as the store has it now: its key, its version, and whether this write changed it."""

    account_id: int
    period: Period
    version: int
    rewritten: bool
    json: bytes

    @property
    def key(self) -> Key:
        return self.account_id, self.period


def key_order(content: Content) -> RowKey:
    """The one order in which all writers touch rows."""
    return content.account_id, content.period.grain.value, content.period.start


def write(
    connection: Connection,
    contents: Sequence[Content],
    *,
    marks: Marks,
    today: date,
    fingerprint: str,
    computed_by: ComputedBy,
    force: bool,
) -> list[Stored]:
    """Upsert the payloads inside the caller's transaction, and return each with its version.

    Unchanged rows keep their version and time unless `force`, or unless they are marked stale: `marks`
    are those that the transaction's snapshot shows. Raises a serialization failure
    (SQLSTATE 40001) when a row was changed after the transaction's snapshot.
    """
    contents = sorted(contents, key=key_order)
    keys = [(content.account_id, content.period) for content in contents]
    heads = connection.execute(query("stored_heads"), as_arrays(keys)).all()
    changed = [
        content
        for content, key, head in zip(contents, keys, heads, strict=True)
        if force or marks.cover(key) or (head.content_hash, head.fingerprint) != (content.hash, fingerprint)
    ]
    rows = _upsert(connection, changed, today, fingerprint, computed_by) if changed else {}
    return [_stored(content, rows.get(key_order(content)), head) for content, head in zip(contents, heads, strict=True)]


def _upsert(
    connection: Connection, contents: Sequence[Content], today: date, fingerprint: str, computed_by: ComputedBy
) -> dict[RowKey, Any]:
    """In binary, as psycopg looks for what to escape in each element of an array of text."""
    periods = {content.period for content in contents}
    as_of = {period: period.as_of(today) for period in periods}
    is_current = {period: period.is_current(today) for period in periods}
    values = {
        **as_arrays([(content.account_id, content.period) for content in contents]),
        "payloads": [content.json.decode() for content in contents],
        "as_of": array([as_of[content.period] for content in contents]),
        "is_current": array([is_current[content.period] for content in contents]),
        "hashes": array([content.hash for content in contents]),
        "expense_counts": array([content.expense_count for content in contents]),
        "transaction_counts": array([content.transaction_count for content in contents]),
        "checksums": array([content.checksum for content in contents]),
        "fingerprint": fingerprint,
        "computed_by": computed_by,
    }
    with driver(connection).cursor(row_factory=namedtuple_row) as cursor:
        rows: Iterable[Any] = cursor.execute(driver_query("upsert_payloads", binary=True), values)
        return {(row.account_id, row.grain, row.period_start): row for row in rows}


def _stored(content: Content, written: Any, head: Any) -> Stored:
    row = written or head
    return Stored(
        account_id=content.account_id,
        period=content.period,
        version=row.version,
        rewritten=written is not None,
        json=with_header(content.json, row),
    )


def with_header(content: bytes, row: Any) -> bytes:
    """The whole payload: what the store's columns say, in front of the computed content."""
    by = row.computed_by
    return b'{"version":%d,"calculated_at":%b,"background_calculated":%b,"computed_by":"%b",%b' % (
        row.version,
        orjson.dumps(row.computed_at),
        b"false" if by == "on_demand" else b"true",
        by.encode(),
        content[1:],
    )
