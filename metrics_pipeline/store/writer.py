"""Writing computed payloads: one COPY and one upsert a chunk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import orjson
from sqlalchemy import Connection, Row

from metrics_pipeline.changes.keys import Key, as_arrays, key_of
from metrics_pipeline.changes.marks import Marks
from metrics_pipeline.database import driver
from metrics_pipeline.metrics.assemble import Content
from metrics_pipeline.metrics.payload import ComputedBy
from metrics_pipeline.periods import Period
from metrics_pipeline.sql import queries, query


@dataclass(frozen=True)
class Stored:
    """A payload as the store has it now: its key, its version, and whether this write changed it."""

    account_id: int
    period: Period
    version: int
    rewritten: bool
    json: bytes

    @property
    def key(self) -> Key:
        return self.account_id, self.period


def key_order(content: Content) -> tuple[int, str, date]:
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
    return [_stored(content, rows.get(key), head) for content, key, head in zip(contents, keys, heads, strict=True)]


def _upsert(
    connection: Connection, contents: Sequence[Content], today: date, fingerprint: str, computed_by: ComputedBy
) -> dict[Key, Row[tuple[Any, ...]]]:
    connection.exec_driver_sql(queries()["incoming_table"])
    columns = {period: _columns(period, today) for period in {content.period for content in contents}}
    with driver(connection).cursor() as cursor, cursor.copy(queries()["copy_incoming"]) as copy:
        for content in contents:
            grain, start, as_of, is_current = columns[content.period]
            copy.write_row(
                (
                    content.account_id,
                    grain,
                    start,
                    content.json.decode(),
                    as_of,
                    is_current,
                    content.hash,
                    content.expense_count,
                    content.transaction_count,
                )
            )
    rows = connection.execute(query("upsert_incoming"), {"fingerprint": fingerprint, "computed_by": computed_by})
    return {key_of(row): row for row in rows}


def _columns(period: Period, today: date) -> tuple[str, date, date, bool]:
    return period.grain.value, period.start, period.as_of(today), period.is_current(today)


def _stored(content: Content, written: Row[tuple[Any, ...]] | None, head: Row[tuple[Any, ...]]) -> Stored:
    row = written or head
    return Stored(
        account_id=content.account_id,
        period=content.period,
        version=row.version,
        rewritten=written is not None,
        json=with_header(content.json, row),
    )


def with_header(content: bytes, row: Row[tuple[object, ...]]) -> bytes:
    """The whole payload: what the store's columns say, in front of the computed content."""
    header = orjson.dumps(
        {
            "version": row.version,
            "calculated_at": row.computed_at,
            "background_calculated": row.computed_by != "on_demand",
            "computed_by": row.computed_by,
        }
    )
    return header[:-1] + b"," + content[1:]
