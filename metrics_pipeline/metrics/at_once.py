"""Reads of one snapshot on two connections, so that PostgreSQL uses a second processor for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from sqlalchemy import Connection, text

from metrics_pipeline.database import read_transaction

Result = TypeVar("Result")


def read_at_once(connection: Connection, reads: Sequence[Callable[[Connection], Result]]) -> list[Result]:
    """The results in the order of the reads, which are begun in that order too: the longest should come first.

    Args:
        connection: in a REPEATABLE READ transaction, whose snapshot all reads see.
    """
    snapshot = connection.execute(text("SELECT pg_export_snapshot()")).scalar_one()
    waiting = enumerate(reads)  # both threads take from it, one at a time under Python's lock
    results: dict[int, Result] = {}

    def work(on: Connection) -> None:
        for place, read in waiting:
            results[place] = read(on)

    with (
        read_transaction(connection.engine, snapshot) as other,
        ThreadPoolExecutor(1, thread_name_prefix="read") as pool,
    ):
        elsewhere = pool.submit(work, other)
        work(connection)
        elsewhere.result()
    return [results[place] for place in range(len(reads))]
