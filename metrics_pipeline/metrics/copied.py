"""Reading a query's rows as numbers by binary COPY, without a Python object for any of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
from psycopg.abc import PQGen
from psycopg.errors import error_from_result
from psycopg.generators import fetch_many
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGconn
from psycopg.waiting import Wait
from sqlalchemy import Connection

from metrics_pipeline.database import driver
from metrics_pipeline.metrics.exact import Ints
from metrics_pipeline.sql import driver_query

Block = TypeVar("Block")

_HEADER_BYTES = 19
_BLOCK_BYTES = 8 * 2**20

_STEADY_BYTES = 2**20
_PAUSE_SECONDS = 0.001
"""Once so much has come, rows gather in the socket for so long: PostgreSQL sends eight kilobytes at a time,
and to wake each other for each of them costs PostgreSQL a tenth of its time, and this side a quarter."""


def read_bigints(connection: Connection, name: str, parameters: dict[str, Any], columns: int) -> Ints:
    """A named query of eight-byte, non-null columns; the result has one row for each of its columns."""
    fields = [str(n) for n in range(columns)]
    blocks = read_blocks(connection, name, parameters, fields, lambda read: np.stack([read[name] for name in fields]))
    return np.concatenate(blocks, axis=1)


def read_blocks(
    connection: Connection,
    name: str,
    parameters: dict[str, Any],
    fields: Sequence[str],
    decode: Callable[[Mapping[str, Ints]], Block],
) -> list[Block]:
    """What `decode` makes of a named query's eight-byte, non-null columns, called `fields`: of one block of rows after
    the other, while the next ones are on their way. There is at least one block."""
    record = _record(fields)
    blocks: list[Block] = []

    def keep(block: bytearray) -> None:
        header = 0 if blocks else _HEADER_BYTES
        records = np.frombuffer(block, record, (len(block) - header) // record.itemsize, header)
        blocks.append(decode({name: records[name].astype(np.int64) for name in fields}))

    raw = driver(connection)
    with raw.cursor() as cursor, cursor.copy(f"COPY ({driver_query(name)}) TO STDOUT (FORMAT binary)", parameters):
        raw.wait(_receive(raw.pgconn, keep))
    return blocks


def _receive(pgconn: PGconn, keep: Callable[[bytearray], None]) -> PQGen[None]:
    """Hand over all of a COPY's data in blocks of whole records.

    psycopg's own iterator does the same, one method call after another for each row: three times the work.
    """
    block, came = bytearray(), False
    while True:
        size, data = pgconn.get_copy_data(1)
        if size > 0:
            block += data
            came = True
        elif size == 0:
            if len(block) >= _BLOCK_BYTES:
                keep(block)
                block = bytearray()
            if not came:
                if len(block) > _STEADY_BYTES:
                    time.sleep(_PAUSE_SECONDS)
                while not (yield Wait.R):
                    continue
            pgconn.consume_input()
            came = False
        else:
            break
    keep(block)
    result = (yield from fetch_many(pgconn))[0]
    if result.status != ExecStatus.COMMAND_OK:
        raise error_from_result(result)


def _record(fields: Sequence[str]) -> np.dtype[Any]:
    """A record: a two-byte field count, then for each field four bytes of length and the value.

    https://www.postgresql.org/docs/current/sql-copy.html, "Binary Format".
    """
    return np.dtype(
        {
            "names": list(fields),
            "formats": [">i8"] * len(fields),
            "offsets": [2 + 12 * n + 4 for n in range(len(fields))],
            "itemsize": 2 + 12 * len(fields),
        }
    )
