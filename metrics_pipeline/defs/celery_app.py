"""Celery over Redis, as the launcher sends runs and the workers take them.

No result is kept: Dagster's own records say how a run ended, and `inspect` says who holds it. All keys in
Redis begin with `celery:`, so that deleting `metrics:*` never touches a queued run.
"""

from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from celery import Celery
from dagster_celery.make_app import make_app
from dagster_celery.tasks import create_execute_job_task

QUEUE = "dagster"
KEY_PREFIX = "celery:"

UNSTARTED_RUN_EXPIRES_SECONDS = 3600
"""Long after run monitoring gave a run up that no worker took, its message is worth nothing."""

CONFIGURATION: dict[str, Any] = {
    "broker_transport_options": {
        "global_keyprefix": KEY_PREFIX,
        "socket_timeout": 30,
        "socket_connect_timeout": 5,
        "socket_keepalive": True,
    },
    # A worker waits for Redis as long as it takes, and its runs go on meanwhile.
    "broker_connection_retry_on_startup": True,
    "broker_connection_max_retries": None,
    "worker_cancel_long_running_tasks_on_connection_loss": False,
    # About five seconds, should Redis be restarting just now; then launching fails, and is retried as a run.
    "task_publish_retry_policy": {"max_retries": 5, "interval_start": 0.2, "interval_step": 0.4, "interval_max": 2},
    "task_ignore_result": True,
    # Acknowledged when a process takes it. Acknowledged late, it would be delivered again after a crash and
    # be ignored by Dagster as a duplicate; run monitoring and run retries start it anew instead.
    "task_acks_late": False,
    # A worker takes a run only when a process of it is idle: one that is kept in reserve would wait although
    # another worker is free, and would be lost with this one.
    "worker_prefetch_multiplier": 1,
    "worker_disable_prefetch": True,
    # Python gives little memory back: a process that has done this many runs is replaced by a fresh one.
    "worker_max_tasks_per_child": 50,
    "worker_send_task_events": False,
    # What a run prints is printed as it is, not as a warning of the worker.
    "worker_redirect_stdouts": False,
    "task_default_queue": QUEUE,
    # Before the pool forks: its processes share what is imported, and the first run does not wait for it. Nothing is
    # computed before: polars' threads, which begin with its first use, would be missing in the processes.
    "imports": ("metrics_pipeline.definitions", "metrics_pipeline.refresh"),
}


def celery_app(redis_url: str) -> Celery:
    """The app of launcher and workers, with Dagster's task on it. Connects to nothing.

    `redis_url` is written as redis-py writes it.
    """
    app = make_app({"broker": kombu_url(redis_url), "backend": None, "config_source": CONFIGURATION})  # type: ignore[no-untyped-call]
    create_execute_job_task(app)
    return app


def kombu_url(redis_url: str) -> str:
    """A Redis URL as kombu writes it, which differs from redis-py in three points.

    A unix socket is `redis+socket://:password@/path?virtual_host=0`; the database is no `?db=` elsewhere;
    and TLS checks no certificate unless told to. Other options of redis-py do not concern the broker.
    """
    parts = urlsplit(redis_url)
    options = dict(parse_qsl(parts.query))
    database = options.get("db")
    if parts.scheme == "unix":
        return f"redis+socket://{parts.netloc}{parts.path}?virtual_host={database or 0}"
    if parts.scheme == "rediss":
        query = urlencode({"ssl_cert_reqs": "required"} | {k: v for k, v in options.items() if k.startswith("ssl_")})
    else:
        query = ""
    return parts._replace(path=f"/{database}" if database else parts.path or "/0", query=query).geturl()
