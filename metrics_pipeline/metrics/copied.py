"""Reading a query's rows as numbers by binary COPY, without a Python object for any of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

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

_HEADER_BYTES = 19
_BLOCK_BYTES = 8 * 2**20


def read_bigints(connection: Connection, name: str, parameters: dict[str, Any], columns: int) -> Ints:
    """A named query of eight-byte, non-null columns; the result has one row for each of its columns."""
    return side_by_side(read_blocks(connection, name, parameters, columns))


def read_blocks(connection: Connection, name: str, parameters: dict[str, Any], columns: int) -> list[Ints]:
    """As `read_bigints`, in blocks as they came: for `side_by_side`."""
    record = _record(columns)
    blocks: list[Ints] = []

    def keep(block: bytearray) -> None:
        """As numbers at once: with their lengths they take half as much memory again."""
        header = 0 if blocks else _HEADER_BYTES
        count = (len(block) - header) // record.itemsize
        records = np.frombuffer(block, record, count, header)
        values = np.empty((columns, count), np.int64)
        for n in range(columns):
            values[n] = records[str(n)]
        blocks.append(values)

    raw = driver(connection)
    with raw.cursor() as cursor, cursor.copy(f"COPY ({driver_query(name)}) TO STDOUT (FORMAT binary)", parameters):
        raw.wait(_receive(raw.pgconn, keep))
    return blocks


def side_by_side(blocks: list[Ints]) -> Ints:
    """One array of all blocks, which are given up one by one: both together would need twice the memory."""
    whole = np.empty((blocks[0].shape[0], sum(block.shape[1] for block in blocks)), np.int64)
    place = 0
    blocks.reverse()
    while blocks:
        block = blocks.pop()
        whole[:, place : place + block.shape[1]] = block
        place += block.shape[1]
    return whole


def _receive(pgconn: PGconn, keep: Callable[[bytearray], None]) -> PQGen[None]:
    """Hand over all of a COPY's data in blocks of whole records.

    psycopg's own iterator does the same, one method call after another for each row: three times the work.
    """
    block = bytearray()
    while True:
        size, data = pgconn.get_copy_data(1)
        if size > 0:
            block += data
        elif size == 0:
            if len(block) >= _BLOCK_BYTES:
                keep(block)
                block = bytearray()
            while not (yield Wait.R):
                continue
            pgconn.consume_input()
        else:
            break
    keep(block)
    result = (yield from fetch_many(pgconn))[0]
    if result.status != ExecStatus.COMMAND_OK:
        raise error_from_result(result)


def _record(columns: int) -> np.dtype[Any]:
    """A record: a two-byte field count, then for each field four bytes of length and the value.

    https://www.postgresql.org/docs/current/sql-copy.html, "Binary Format".
    """
    return np.dtype(
        {
            "names": [str(n) for n in range(columns)],
            "formats": [">i8"] * columns,
            "offsets": [2 + 12 * n + 4 for n in range(columns)],
            "itemsize": 2 + 12 * columns,
        }
    )
