"""What every handler shares."""

from __future__ import annotations

from dataclasses import dataclass

import anyio
import anyio.to_thread
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import Request

from metrics_pipeline.dashboard.access import Gate
from metrics_pipeline.dashboard.live import LiveUpdates
from metrics_pipeline.dashboard.names import AccountNames
from metrics_pipeline.dashboard.reads import Reads
from metrics_pipeline.pipeline import Pipeline
from metrics_pipeline.settings import Settings

_PROBE_SECONDS = 3.0


@dataclass(frozen=True)
class State:
    settings: Settings
    pipeline: Pipeline
    gate: Gate
    reads: Reads
    live: LiveUpdates
    names: AccountNames

    async def servers(self) -> dict[str, bool]:
        """Which servers answer just now, within a few seconds."""
        answers = {"postgresql": False, "redis": False}

        def ask_postgresql() -> None:
            with self.pipeline.engine.connect() as connection:
                connection.exec_driver_sql("SELECT 1")

        async def ask(name: str) -> None:
            call = ask_postgresql if name == "postgresql" else self.pipeline.redis.ping
            with anyio.move_on_after(_PROBE_SECONDS):
                try:
                    await anyio.to_thread.run_sync(call, abandon_on_cancel=True)
                    answers[name] = True
                except (SQLAlchemyError, RedisError, OSError):
                    pass

        async with anyio.create_task_group() as tasks:
            for name in answers:
                tasks.start_soon(ask, name)
        return answers


def state_of(request: Request) -> State:
    state = request.app.state.shared
    assert isinstance(state, State)
    return state
