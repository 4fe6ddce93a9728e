"""How the servers are doing, without starting anything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

import psycopg
import redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry
from sqlalchemy.engine import make_url

from metrics_pipeline.errors import MetricsPipelineError
from metrics_pipeline.services.postgres import EmbeddedPostgres
from metrics_pipeline.services.redis import EmbeddedRedis
from metrics_pipeline.settings import Settings

_TIMEOUT_SECONDS = 3
_NOT_STARTED = "not started; the next command that needs it starts it"


@dataclass(frozen=True)
class ServiceState:
    """One server. `where` shows no password; `version` and `error` are None when there is none."""

    name: str
    source: Literal["configured", "embedded"]
    running: bool
    where: str
    version: str | None = None
    error: str | None = None


def service_states(settings: Settings) -> list[ServiceState]:
    """PostgreSQL and Redis, as the next command would use them. Never raises for a server that is away."""
    return [_postgres_state(settings), _redis_state(settings)]


def _postgres_state(settings: Settings) -> ServiceState:
    server = EmbeddedPostgres(settings.home)
    if settings.database_url is None and not server.data.exists():
        return ServiceState(server.name, "embedded", False, str(server.data), error=_NOT_STARTED)
    source: Literal["configured", "embedded"] = "embedded" if settings.database_url is None else "configured"
    where = str(server.data)
    try:
        url = make_url(settings.database_url or server.url)
        if source == "configured":
            where = url.set(drivername="postgresql", query={}).render_as_string(hide_password=True)
        conninfo = url.set(drivername="postgresql").render_as_string(hide_password=False)
        with psycopg.connect(conninfo, connect_timeout=_TIMEOUT_SECONDS) as connection:
            version = connection.info.parameter_status("server_version")
        return ServiceState(server.name, source, True, where, version)
    except (psycopg.Error, OSError, MetricsPipelineError) as error:
        return ServiceState(server.name, source, False, where, error=_said(error, source))


def _redis_state(settings: Settings) -> ServiceState:
    server = EmbeddedRedis(settings.home)
    if settings.redis_url is None and not server.folder.exists():
        return ServiceState(server.name, "embedded", False, str(server.folder), error=_NOT_STARTED)
    source: Literal["configured", "embedded"] = "embedded" if settings.redis_url is None else "configured"
    where = str(server.folder) if settings.redis_url is None else _without_password(settings.redis_url)
    try:
        with redis.Redis.from_url(
            settings.redis_url or server.url,
            socket_timeout=_TIMEOUT_SECONDS,
            socket_connect_timeout=_TIMEOUT_SECONDS,
            retry=Retry(NoBackoff(), 0),
        ) as client:
            version = client.info("server")["redis_version"]
        return ServiceState(server.name, source, True, where, version)
    except (RedisError, ValueError, OSError, MetricsPipelineError) as error:
        return ServiceState(server.name, source, False, where, error=_said(error, source))


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="").geturl()


def _said(error: BaseException, source: str) -> str:
    absent = isinstance(error, (FileNotFoundError, ConnectionRefusedError)) or "No such file" in str(error)
    if source == "embedded" and (absent or "refused" in str(error)):
        return _NOT_STARTED
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
