"""The statements that reach PostgreSQL while something runs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import psycopg
import pytest

_PING = ";"


@dataclass
class Work:
    """Statements that were sent to PostgreSQL, without the name of the run's snapshot."""

    statements: list[str] = field(default_factory=list)

    def add(self, statement: str) -> None:
        self.statements.append(re.sub(r"SNAPSHOT '.*'", "SNAPSHOT", statement))


@contextmanager
def watched(monkeypatch: pytest.MonkeyPatch) -> Iterator[Work]:
    """All statements that reach the driver, whether through the engine or not, but the pool's pings."""
    work = Work()

    def watch(name: str) -> None:
        send = getattr(psycopg.Cursor, name)

        def watched_send(self, statement, *args, **kwargs):
            if str(statement) != _PING:
                work.add(str(statement))
            return send(self, statement, *args, **kwargs)

        patch.setattr(psycopg.Cursor, name, watched_send)

    with monkeypatch.context() as patch:
        watch("execute")
        watch("copy")
        yield work
