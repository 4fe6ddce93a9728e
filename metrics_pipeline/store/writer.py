"""Writing computed payloads: one COPY and one upsert a chunk."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Connection, Row

from metrics_pipeline.changes.keys import Key, as_arrays, key_of
from metrics_pipeline.changes.marks import Marks
from metrics_pipeline.database import driver
from metrics_pipeline.metrics.assemble import Content
from metrics_pipeline.metrics.payload import ComputedBy
from metrics_pipeline.periods import Period
from metrics_pipeline.sql import queries, query


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
    lines = {period: _line(period, today) for period in {content.period for content in contents}}
    with driver(connection).cursor() as cursor, cursor.copy(queries()["copy_incoming"]) as copy:
        copy.write(
            b"".join(
                lines[content.period]
                % (
                    content.account_id,
                    content.json.replace(b"\\", b"\\\\"),
                    content.hash.encode(),
                    content.expense_count,
                    content.transaction_count,
                    content.checksum,
                )
                for content in contents
            )
        )
    rows = connection.execute(query("upsert_incoming"), {"fingerprint": fingerprint, "computed_by": computed_by})
    return {key_of(row): row for row in rows}


def _line(period: Period, today: date) -> bytes:
    """A period's row in COPY's text format, to be filled with what differs between accounts.

    JSON has no tab or line break outside of escapes, so that backslashes are all that needs escaping;
    the driver looks at each value of each row by itself.
    """
    fixed = (period.grain.value, period.key, str(period.as_of(today)), str(period.is_current(today)))
    return b"%%d\t%b\t%b\t%%b\t%b\t%b\t%%b\t%%d\t%%d\t%%d\n" % tuple(text.encode() for text in fixed)


def _stored(content: Content, written: Row[tuple[Any, ...]] | None, head: Row[tuple[Any, ...]]) -> Stored:
    row = written or head
    return Stored(
        account_id=content.account_id,
        period=content.period,
        version=row.version,
        rewritten=written is not None,
        json=with_header(content.json, row),
    )


def with_header(content: bytes, row: Row[tuple[Any, ...]]) -> bytes:
    """The whole payload: what the store's columns say, in front of the computed content."""
    by = row.computed_by
    return b'{"version":%d,"calculated_at":%b,"background_calculated":%b,"computed_by":"%b",%b' % (
        row.version,
        orjson.dumps(row.computed_at),
        b"false" if by == "on_demand" else b"true",
        by.encode(),
        content[1:],
    )
