"""Reads of one snapshot on two connections, so that PostgreSQL uses a second processor for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from sqlalchemy import Connection

from metrics_pipeline.database import read_transaction
from metrics_pipeline.sql import rows_of

Result = TypeVar("Result")


def read_at_once(connection: Connection, reads: Sequence[Callable[[Connection], Result]]) -> list[Result]:
    """The results in the order of the reads, which are begun in that order too: the longest should come first.

    Args:
        connection: in a REPEATABLE READ transaction, whose snapshot all reads see. Its reads do not wait for the other.
    """
    [(snapshot,)] = rows_of(connection, "exported_snapshot")
    waiting = enumerate(reads)  # both threads take from it, one at a time under Python's lock
    results: dict[int, Result] = {}

    def work(on: Connection) -> None:
        for place, read in waiting:
            results[place] = read(on)

    def work_elsewhere() -> None:
        with read_transaction(connection.engine, snapshot) as other:
            work(other)

    with ThreadPoolExecutor(1, thread_name_prefix="read") as pool:
        elsewhere = pool.submit(work_elsewhere)
        work(connection)
        elsewhere.result()
    return [results[place] for place in range(len(reads))]
