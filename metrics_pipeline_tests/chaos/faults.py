"""What can happen to a whole system. Each fault is done and, where it is an outage, over when its function returns."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from random import Random

import psutil
from sqlalchemy import text

from metrics_pipeline.cache.locks import LEASE_SECONDS
from metrics_pipeline.services.processes import processes_in
from metrics_pipeline_tests.chaos.system import PROGRAMS, System, wait_until

Fault = Callable[[System, Random], None]

RIGHT_STATE_SECONDS = 30

_TERMINATE = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'
"""


def kill_program(name: str, system: System, _: Random) -> None:
    system.program(name).kill()


def kill_worker(system: System, random: Random) -> None:
    """The runs that it had are told from living ones within half a minute, and each is started anew, once."""
    worker = system.program("the worker")
    wait_until(lambda: bool(system.started_runs()), "a run to be under way", 60)
    runs = system.started_runs()
    worker.kill()
    wait_until(lambda: not runs & system.started_runs(), "runs of a killed worker to be told", RIGHT_STATE_SECONDS)
    wait_until(lambda: not system.not_retried_once(runs), "failed runs to be started anew", RIGHT_STATE_SECONDS)


def kill_worker_child(system: System, random: Random) -> None:
    """The process of a run, if there is one."""
    children = system.program("the worker").children()
    with suppress(psutil.NoSuchProcess):
        random.choice(children).kill()


def stop_worker_beyond_lease(system: System, _: Random) -> None:
    worker = system.program("the worker")
    processes = [worker, *worker.children(recursive=True)]
    _signal(processes, signal.SIGSTOP)
    time.sleep(LEASE_SECONDS + 5)
    _signal(processes, signal.SIGCONT)


def kill_postgres(number: signal.Signals, longest: float, system: System, random: Random) -> None:
    """All of it (SIGKILL), or as an immediate stop does (SIGQUIT); it is away for a moment."""
    postmasters = processes_in(system.home.home / "postgres" / "data", "postgres")
    _signal(postmasters, number)
    time.sleep(random.uniform(0, longest))
    system.restart_servers()


def kill_redis(longest: float, system: System, random: Random) -> None:
    """Its memory is gone but for what its last snapshot, if any, holds."""
    _signal(processes_in(system.home.home / "redis", "redis-server"), signal.SIGKILL)
    time.sleep(random.uniform(0, longest))
    system.restart_servers()


def cut_postgres_connections(system: System, _: Random) -> None:
    with system.pipeline.engine.begin() as connection:
        others = (
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND usename <> ''"
        )
        connection.execute(text(others))


def cut_redis_connections(system: System, _: Random) -> None:
    for kind in ("normal", "pubsub"):
        system.pipeline.redis.execute_command("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")


def flush_redis(system: System, _: Random) -> None:
    system.pipeline.redis.flushall()


def fill_redis(system: System, random: Random) -> None:
    """No byte more is stored, for a while."""
    redis = system.pipeline.redis
    redis.config_set("maxmemory", "1mb")
    time.sleep(random.uniform(1, 12))
    redis.config_set("maxmemory", "0")


FAULTS: dict[str, Fault] = {
    "the worker killed": kill_worker,
    "a process of the worker killed": kill_worker_child,
    **{f"{name} killed": partial(kill_program, name) for name in PROGRAMS if name != "the worker"},
    "PostgreSQL killed": partial(kill_postgres, signal.SIGKILL, 3),
    "PostgreSQL stopped at once": partial(kill_postgres, signal.SIGQUIT, 3),
    "PostgreSQL away for up to 30 s": partial(kill_postgres, signal.SIGKILL, 30),
    "Redis killed": partial(kill_redis, 3),
    "Redis away for up to 30 s": partial(kill_redis, 30),
    "PostgreSQL's connections cut": cut_postgres_connections,
    "Redis' connections cut": cut_redis_connections,
    "Redis flushed": flush_redis,
    "Redis' memory full": fill_redis,
    "the worker stopped beyond its lease": stop_worker_beyond_lease,
}


def _signal(processes: list[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(number)
