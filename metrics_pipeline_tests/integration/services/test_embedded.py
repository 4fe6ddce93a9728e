"""The embedded servers: started, found again, kept apart, stopped, and mended after an accident."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil
import psycopg
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from sqlalchemy.engine import make_url

from metrics_pipeline.errors import ConfigurationError
from metrics_pipeline.services import postgres_binaries
from metrics_pipeline.services.embedded import ServiceUrls, ensure_services, stop_services
from metrics_pipeline.services.processes import processes_in
from metrics_pipeline.services.redis import EmbeddedRedis
from metrics_pipeline.services.sockets import socket_folder
from metrics_pipeline.services.states import service_states
from metrics_pipeline.settings import Settings

AWAY_DATABASE = "postgresql+psycopg://nobody:secret@127.0.0.1:1/none"
AWAY_REDIS = "redis://:secret@127.0.0.1:1/0"


def ask(urls: ServiceUrls, statement: str) -> object:
    with psycopg.connect(_conninfo(urls), autocommit=True) as connection:
        cursor = connection.execute(statement)
        row = cursor.fetchone() if cursor.description else None
        return row and row[0]


def _conninfo(urls: ServiceUrls) -> str:
    return make_url(urls.database_url).set(drivername="postgresql").render_as_string(hide_password=False)


def pids(home: Path) -> set[int]:
    postgres = processes_in(home / "postgres" / "data", "postgres")
    return {process.pid for process in [*postgres, *processes_in(home / "redis", "redis-server")]}


def test_redis_writes_no_snapshot_while_it_runs_and_has_memory_of_payloads_at_hand(home: Path) -> None:
    client = redis.Redis.from_url(ensure_services(Settings(home=home)).redis_url)
    assert client.config_get("save") == {"save": f"{365 * 24 * 3600} 1"}
    assert "tcache_max=8192" in processes_in(home / "redis", "redis-server")[0].environ()["GLIBC_TUNABLES"]


def test_servers_are_found_again_keep_their_data_and_stop(home: Path) -> None:
    settings = Settings(home=home)
    first = ensure_services(settings)
    started = pids(home)
    ask(first, "CREATE TABLE kept AS SELECT 7 AS number")
    redis.Redis.from_url(first.redis_url).set("kept", "7")

    assert ensure_services(settings) == first
    assert pids(home) == started
    assert len(started) == 2

    assert stop_services(settings) == ["Redis", "PostgreSQL"]
    assert pids(home) == set()
    assert stop_services(settings) == []

    again = ensure_services(settings)
    assert ask(again, "SELECT number FROM kept") == 7
    assert redis.Redis.from_url(again.redis_url).get("kept") == b"7"


def test_servers_are_private_and_keep_what_they_confirmed(home: Path) -> None:
    urls = ensure_services(Settings(home=home))
    for pid in pids(home):
        listening = [c for c in psutil.Process(pid).net_connections("inet") if c.status == psutil.CONN_LISTEN]
        assert listening == []
    assert ask(urls, "SHOW fsync") == ask(urls, "SHOW synchronous_commit") == "on"
    assert ask(urls, "SHOW jit") == "off"
    client = redis.Redis.from_url(urls.redis_url)
    assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
    for private in (home / "redis", home / "redis" / "password", home / "redis" / "redis.conf"):
        assert private.stat().st_mode & 0o077 == 0
    assert (home / "postgres" / "data").stat().st_mode & 0o077 == 0


def test_redis_refuses_a_wrong_password(home: Path) -> None:
    url = EmbeddedRedis(home).ensure()
    password = (home / "redis" / "password").read_text()
    assert password in url
    once = Retry(NoBackoff(), 0)
    with pytest.raises(redis.AuthenticationError):
        redis.Redis.from_url(url.replace(password, "wrong"), retry=once).ping()
    with pytest.raises(redis.AuthenticationError):
        redis.Redis(unix_socket_path=str(home / "redis" / "redis.sock"), retry=once).ping()


def test_two_homes_do_not_meet(home: Path) -> None:
    one, other = Settings(home=home / "one"), Settings(home=home / "other")
    try:
        urls, other_urls = ensure_services(one), ensure_services(other)
        ask(urls, "CREATE TABLE only_here (id int)")
        redis.Redis.from_url(urls.redis_url).set("only", "here")
        assert ask(other_urls, "SELECT to_regclass('only_here')") is None
        assert redis.Redis.from_url(other_urls.redis_url).get("only") is None

        stop_services(other)
        assert len(pids(one.home)) == 2
        assert ask(urls, "SELECT 1") == 1
    finally:
        stop_services(one)
        stop_services(other)


def test_commands_at_the_same_time_start_one_server_each(home: Path) -> None:
    code = (
        "import sys; from metrics_pipeline.settings import load_settings;"
        "from metrics_pipeline.services.embedded import ensure_services;"
        "urls = ensure_services(load_settings(home=sys.argv[1])); print(urls.database_url, urls.redis_url)"
    )
    commands = [
        subprocess.Popen([sys.executable, "-c", code, str(home)], stdout=subprocess.PIPE, text=True) for _ in range(3)
    ]
    said = {command.communicate()[0] for command in commands}
    assert [command.returncode for command in commands] == [0, 0, 0]
    assert len(said) == 1
    assert len(pids(home)) == 2


@pytest.mark.parametrize("stranger", ["a process that lives", "nobody"])
def test_servers_start_after_being_killed(home: Path, stranger: str, request: pytest.FixtureRequest) -> None:
    """The pid file then names nobody, or, worse, a process that has got the number since."""
    settings = Settings(home=home)
    urls = ensure_services(settings)
    ask(urls, "CREATE TABLE kept AS SELECT 7 AS number")
    for pid in pids(home):
        family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
        for process in family:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        while any(_lives(process.pid) for process in family):
            time.sleep(0.01)
    pid_files = [home / "postgres" / "data" / name for name in ("postmaster.pid", ".s.PGSQL.5432.lock")]
    assert all(pid_file.exists() for pid_file in pid_files)
    assert (home / "redis" / "redis.sock").is_socket()
    if stranger == "a process that lives":
        uid, gid = postgres_binaries.server_user(home / "postgres" / "data")
        other = {"user": uid, "group": gid} if os.geteuid() == 0 else {}
        living = subprocess.Popen(["sleep", "60"], **other)
        request.addfinalizer(living.kill)
        for pid_file in pid_files:
            lines = pid_file.read_text().splitlines()
            pid_file.write_text("\n".join([str(living.pid), *lines[1:]]) + "\n")

    assert ask(ensure_services(settings), "SELECT number FROM kept") == 7


def test_servers_of_a_deleted_home_are_replaced(home: Path) -> None:
    """They would otherwise live on, and remove the new servers' sockets when they end."""
    settings = Settings(home=home / "checkout")
    ensure_services(settings)
    old = pids(settings.home)
    shutil.rmtree(settings.home)

    urls = ensure_services(settings)

    assert ask(urls, "SELECT 1") == 1
    assert len(pids(settings.home)) == 2
    assert not any(_lives(pid) for pid in old)
    stop_services(settings)


@pytest.mark.parametrize("name", ["a" * 120, "with blank, comma'quote and é"])
def test_homes_that_no_socket_path_can_name_use_a_short_private_folder(home: Path, name: str) -> None:
    settings = Settings(home=home / name)
    try:
        urls = ensure_services(settings)
        assert ask(urls, "SELECT 1") == 1
        assert redis.Redis.from_url(urls.redis_url).ping()
        assert ensure_services(settings) == urls

        folder = Path(str(make_url(urls.database_url).query["host"]))
        assert not folder.is_relative_to(settings.home)
        assert folder.stat().st_mode & 0o077 == 0
    finally:
        stop_services(settings)
        for kind, user in ((home / name / "redis", None), (home / name / "postgres" / "data", "data")):
            owner = kind.stat().st_uid if user else None
            shutil.rmtree(socket_folder(kind, "x" * 100, owner))


def test_a_short_folder_that_others_can_enter_is_refused(home: Path) -> None:
    folder = socket_folder(home / ("a" * 120), "redis.sock")
    try:
        folder.chmod(0o755)
        with pytest.raises(ConfigurationError, match="METRICS_HOME"):
            socket_folder(home / ("a" * 120), "redis.sock")
    finally:
        folder.rmdir()


def test_configured_servers_are_neither_started_nor_replaced(home: Path) -> None:
    settings = Settings(home=home / "unused", database_url=AWAY_DATABASE, redis_url=AWAY_REDIS)
    assert ensure_services(settings) == ServiceUrls(AWAY_DATABASE, AWAY_REDIS)
    assert not settings.home.exists()

    only_redis = Settings(home=home, database_url=AWAY_DATABASE)
    assert ensure_services(only_redis).database_url == AWAY_DATABASE
    assert not (home / "postgres").exists()
    assert len(pids(home)) == 1


def test_urls_are_not_printed_by_accident() -> None:
    assert "secret" not in repr(ServiceUrls(AWAY_DATABASE, AWAY_REDIS))


def test_dagster_gets_its_own_schema_next_to_the_options_given() -> None:
    url = make_url(ServiceUrls(AWAY_DATABASE + "?options=-cjit%3Doff&sslmode=require", AWAY_REDIS).dagster_url)
    assert url.drivername == "postgresql+psycopg2"
    assert url.query["options"] == "-cjit=off -csearch_path=dagster -ctimezone=UTC"
    assert url.query["sslmode"] == "require"


def test_states_say_what_runs_where_and_hide_passwords(home: Path) -> None:
    settings = Settings(home=home)
    assert [(state.source, state.running) for state in service_states(settings)] == [("embedded", False)] * 2
    assert list(home.iterdir()) == []

    ensure_services(settings)
    postgres, cache = service_states(settings)
    assert (postgres.running, postgres.error) == (cache.running, cache.error) == (True, None)
    assert postgres.version
    assert cache.version

    stop_services(settings)
    assert [(state.running, bool(state.error)) for state in service_states(settings)] == [(False, True)] * 2

    away = service_states(Settings(home=home, database_url=AWAY_DATABASE, redis_url=AWAY_REDIS))
    assert [(state.source, state.running) for state in away] == [("configured", False)] * 2
    assert "secret" not in str(away)
    assert all("refused" in str(state.error) for state in away)


def _lives(pid: int) -> bool:
    with suppress(psutil.NoSuchProcess):
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    return False
