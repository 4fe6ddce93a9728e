"""The embedded PostgreSQL of one home: made, started, found again and stopped. It opens no TCP port."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import time
from pathlib import Path

import psycopg
from psycopg.conninfo import make_conninfo
from psycopg.pq import PGconn, Ping
from sqlalchemy import URL

from metrics_pipeline.errors import ConfigurationError, DatabaseUnavailable
from metrics_pipeline.services.memory import shared_buffers
from metrics_pipeline.services.postgres_binaries import (
    let_server_user_in,
    let_server_user_run,
    program_folder,
    run_program,
    server_user,
)
from metrics_pipeline.services.processes import processes_in, stop_processes
from metrics_pipeline.services.sockets import socket_folder

# These and shared_buffers are written to postgresql.conf once, when the data folder is made: edit them there.
INITIAL_SETTINGS = {
    "work_mem": "32MB",
    "maintenance_work_mem": "128MB",
    "max_wal_size": "2GB",
    "max_connections": "200",
    "random_page_cost": "1.1",
    "jit": "off",  # its compiling costs more than these statements take
    "max_parallel_workers_per_gather": "0",  # workers share /dev/shm, which containers keep at 64 MB
}

_NAME = "metrics"  # of the role and of the database
_PORT = "5432"  # part of the socket's file name only
_SOCKET_LOCK = f".s.PGSQL.{_PORT}.lock"
_START_SECONDS = 300  # replaying the log after a crash may take this long


class EmbeddedPostgres:
    """PostgreSQL under `home/postgres`. Its methods expect that no other process calls them meanwhile."""

    name = "PostgreSQL"

    def __init__(self, home: Path) -> None:
        self.data = home / "postgres" / "data"
        self.log = self.data / "server.log"

    @property
    def url(self) -> str:
        """Where it listens, started or not, for SQLAlchemy with psycopg 3."""
        where = {"host": str(self._socket_folder()), "port": _PORT}
        url = URL.create("postgresql+psycopg", username=_NAME, database=_NAME, query=where)
        return url.render_as_string(hide_password=False)

    def ensure(self) -> str:
        """Make it and start it where needed. Returns its URL.

        Raises ConfigurationError (programs missing, data of another user), DatabaseUnavailable (did not start).
        """
        try:
            user = server_user(self.data)
            if not self.answers():
                self.stop()
                self._start(user)
            self._ensure_database()
        except OSError as error:
            raise ConfigurationError(
                f"PostgreSQL could not be started in {self.data}: {error}. "
                "Set METRICS_HOME to a folder on a local disk that this user may write, or METRICS_DATABASE_URL."
            ) from error
        return self.url

    def answers(self) -> bool:
        """Whether it accepts connections; waits for one that is starting or stopping."""
        if not self.data.exists():
            return False
        where = self._conninfo("postgres").encode()
        deadline = time.monotonic() + _START_SECONDS
        while (ping := PGconn.ping(where)) == Ping.REJECT:
            if time.monotonic() > deadline:
                raise DatabaseUnavailable(
                    f"PostgreSQL in {self.data} has been starting for {_START_SECONDS} s; see {self.log}."
                )
            time.sleep(0.1)
        return ping == Ping.OK

    def stop(self) -> bool:
        """Stop it, or what is left of one whose folder was moved or deleted. Returns whether there was one."""
        running = processes_in(self.data, "postgres")
        # SIGINT: end the sessions, write everything out, leave.
        stop_processes(running, seconds=60, first=signal.SIGINT)
        return bool(running)

    def _start(self, user: tuple[int, int]) -> None:
        programs = program_folder(self.data)
        self.data.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if os.geteuid() == 0:
            let_server_user_in(self.data, programs)
            let_server_user_run(programs)
        if not self.data.exists():
            self._create(programs, user)
        # No process works in this folder (see `ensure`): whatever has the numbers in these files now, or is
        # a zombie that nobody collects, is not its server, but would keep one from starting.
        for lock in (self.data / "postmaster.pid", self._socket_folder() / _SOCKET_LOCK):
            lock.unlink(missing_ok=True)
        options = ["-k", str(self._socket_folder()), "-p", _PORT, "-c", "listen_addresses="]
        # pg_ctl hands the paths to a shell: relative ones (it runs in the data folder) need no quoting.
        arguments = ["start", "-w", "-t", str(_START_SECONDS), "-D", ".", "-l", self.log.name]
        try:
            run_program(programs / "pg_ctl", [*arguments, "-o", shlex.join(options)], user, self.data)
        except DatabaseUnavailable as error:
            logged = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
            raise DatabaseUnavailable(f"{error} | {self.log} ends: {' | '.join(logged[-4:])}") from None

    def _create(self, programs: Path, user: tuple[int, int]) -> None:
        """Under another name first, so that a kill half-way leaves nothing that looks like a database."""
        fresh = self.data.with_name("data.new")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        os.chown(fresh, *user)
        # Any local connection is trusted, because only the owner and root can reach the socket's folder.
        arguments = ["-D", str(fresh), "-U", _NAME, "--auth-local=trust", "--auth-host=reject", "--encoding=UTF8"]
        arguments += ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        settings = {**INITIAL_SETTINGS, "shared_buffers": f"{shared_buffers()}MB"}
        arguments += [f"--set={name}={value}" for name, value in settings.items()]
        run_program(programs / "initdb", arguments, user, fresh)
        fresh.rename(self.data)

    def _ensure_database(self) -> None:
        with psycopg.connect(self._conninfo("postgres"), autocommit=True) as connection:
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [_NAME]).fetchone():
                connection.execute(f"CREATE DATABASE {_NAME}")
                # Else the schema of the role's name would come first: ours, which is not for the expenses' tables.
                connection.execute(f"ALTER DATABASE {_NAME} SET search_path = public")

    def _conninfo(self, database: str) -> str:
        folder = str(self._socket_folder())
        return make_conninfo(host=folder, port=_PORT, user=_NAME, dbname=database, connect_timeout=10)

    def _socket_folder(self) -> Path:
        owner = self.data.stat().st_uid if self.data.exists() else None
        return socket_folder(self.data, _SOCKET_LOCK, owner)
