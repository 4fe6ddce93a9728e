"""Writing computed payloads: one COPY and one upsert a chunk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import orjson
from sqlalchemy import Connection, Row

from metrics_pipeline.changes.keys import Key
from metrics_pipeline.changes.marks import Marks
from metrics_pipeline.database import driver
from metrics_pipeline.metrics.assemble import Content
from metrics_pipeline.metrics.payload import ComputedBy
from metrics_pipeline.periods import Grain, Period
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
    connection.exec_driver_sql(queries()["incoming_table"])
    with driver(connection).cursor() as cursor, cursor.copy(queries()["copy_incoming"]) as copy:
        for content in contents:
            period = content.period
            copy.write_row(
                (
                    content.account_id,
                    period.grain.value,
                    period.start,
                    content.json.decode(),
                    period.as_of(today),
                    period.is_current(today),
                    content.hash,
                    content.expense_count,
                    content.transaction_count,
                    marks.cover((content.account_id, period)),
                )
            )
    rows = connection.execute(
        query("upsert_incoming"), {"fingerprint": fingerprint, "computed_by": computed_by, "force": force}
    ).all()
    return [_stored(content, row) for content, row in zip(contents, rows, strict=True)]


def _stored(content: Content, row: Row[tuple[object, ...]]) -> Stored:
    return Stored(
        account_id=row.account_id,
        period=Period(Grain(row.grain), row.period_start),
        version=row.version,
        rewritten=row.rewritten,
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
