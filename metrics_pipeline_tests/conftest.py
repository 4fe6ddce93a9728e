"""Real servers for the tests: one PostgreSQL and one Redis a session, an own database a test.

METRICS_TEST_DATABASE_URL and METRICS_TEST_REDIS_URL replace the embedded servers. The role needs
CREATEDB; the Redis database is flushed.
"""

from __future__ import annotations

import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import hypothesis
import pytest
import redis
from celery.contrib.testing.worker import start_worker
from sqlalchemy import Connection, Engine, text
from sqlalchemy.engine import make_url

from metrics_pipeline.database import connect_engine
from metrics_pipeline.defs.celery_app import celery_app
from metrics_pipeline.migrations.apply import migrate
from metrics_pipeline.services.embedded import ServiceUrls, ensure_services
from metrics_pipeline.settings import Settings, load_settings
from metrics_pipeline_tests.scratch import scratch

# Ctrl-C is ignored by what was started in the background, and by what that starts: so would be the commands that are
# interrupted here.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Stops the servers when its standard input ends: at the end of the session, and when pytest is killed.
_GUARD = """
import pathlib, shutil, sys
from metrics_pipeline.services.embedded import stop_services
from metrics_pipeline.settings import load_settings
sys.stdin.read()
stop_services(load_settings(home=sys.argv[1]))
shutil.rmtree(sys.argv[1], ignore_errors=True)
"""


@dataclass
class Database:
    """A migrated, otherwise empty database of one test."""

    url: str
    engine: Engine
    _opened: list[Connection] = field(default_factory=list)

    def connect(self) -> Connection:
        """A new connection, for tests that need several; closed when the test ends."""
        self._opened.append(self.engine.connect())
        return self._opened[-1]

    def close(self) -> None:
        for connection in self._opened:
            connection.close()
        self.engine.dispose()


# Speed is measured in benchmarks/: an example that had to wait for a processor has not failed.
hypothesis.settings.register_profile("metrics", deadline=None)
hypothesis.settings.load_profile("metrics")


@pytest.fixture(autouse=True)
def _clean_environment() -> Iterator[None]:
    """No test depends on the settings of the shell that runs it, or on those that a command set for Dagster."""
    before = dict(os.environ)
    for name in before:
        if name.startswith(("METRICS_", "DAGSTER_")) and not name.startswith("METRICS_TEST_"):
            del os.environ[name]
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="session")
def servers() -> Iterator[ServiceUrls]:
    """Embedded servers of this session (with pytest-xdist: of this worker), or the ones named."""
    given = os.environ.get("METRICS_TEST_DATABASE_URL"), os.environ.get("METRICS_TEST_REDIS_URL")
    home = tempfile.mkdtemp(prefix="metrics-tests-", dir=scratch())
    guard = subprocess.Popen([sys.executable, "-c", _GUARD, home], stdin=subprocess.PIPE, start_new_session=True)
    try:
        urls = ensure_services(Settings(home=Path(home), database_url=given[0], redis_url=given[1]))
        if given[0] is None:
            _forgo_durability(urls.database_url)
        yield urls
    finally:
        guard.communicate()
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def template(servers: ServiceUrls) -> Iterator[str]:
    """The name of a database that was migrated once, for `database` to clone."""
    name = f"metrics_template_{uuid.uuid4().hex[:12]}"
    with database_named(servers, name, "template0") as url:
        engine = connect_engine(url)
        migrate(engine)
        engine.dispose()
        yield name


@pytest.fixture
def database(servers: ServiceUrls, template: str) -> Iterator[Database]:
    """A database of this test's own."""
    with database_named(servers, f"metrics_test_{uuid.uuid4().hex[:12]}", template) as url:
        database = Database(url, connect_engine(url))
        yield database
        database.close()


@pytest.fixture
def redis_url(servers: ServiceUrls) -> str:
    """An empty Redis database."""
    url = redis_database(servers)
    with redis.Redis.from_url(url) as client:
        client.flushdb()
    return url


@pytest.fixture
def redis_client(redis_url: str) -> Iterator[redis.Redis]:
    """A client of that database; answers are bytes."""
    with redis.Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
def settings(database: Database, redis_url: str, tmp_path: Path) -> Settings:
    """Settings for this test's database, Redis and home; everything else is at its default."""
    return load_settings(database_url=database.url, redis_url=redis_url, home=tmp_path)


@pytest.fixture
def worker(redis_url: str) -> Iterator[None]:
    """A real worker on this test's Redis, which answers and does nothing."""
    level = logging.root.level
    with start_worker(celery_app(redis_url), perform_ping_check=False, pool="solo"):
        yield
    logging.root.setLevel(level)  # Celery takes the root logger for its own


def redis_database(servers: ServiceUrls) -> str:
    """The database to use. On a Redis shared by pytest-xdist's workers each has its own."""
    number = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
    return urlsplit(servers.redis_url)._replace(query=f"db={int(number) % 16}").geturl()


@contextmanager
def database_named(servers: ServiceUrls, name: str, template: str) -> Iterator[str]:
    """A database copied from `template`, dropped after the block."""
    admin = connect_engine(servers.database_url).execution_options(isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name} TEMPLATE {template}"))
        try:
            yield make_url(servers.database_url).set(database=name).render_as_string(hide_password=False)
        finally:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    admin.dispose()


def _forgo_durability(database_url: str) -> None:
    """A test server's data need not survive a power cut: nothing waits for the disk, and little of its log is kept."""
    admin = connect_engine(database_url).execution_options(isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            connection.execute(text(f"ALTER SYSTEM SET {setting} = off"))
        connection.execute(text("ALTER SYSTEM SET max_wal_size = '256MB'"))
        connection.execute(text("SELECT pg_reload_conf()"))
    admin.dispose()
