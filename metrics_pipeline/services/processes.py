"""Finding and stopping the processes that belong to one folder.

Pid files name whatever process has that number now: after a crash or in a copied folder, a stranger.
A process's working directory cannot be mistaken: PostgreSQL and Redis enter their data folder, and
the supervisor starts Dagster's processes in theirs.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

import psutil

from metrics_pipeline.errors import TransientError


def processes_in(folder: Path, program: str) -> list[psutil.Process]:
    """The processes running `program` in `folder`, without those started by another of them.

    A folder that was deleted while they ran counts as the one that has its path now.
    """
    folder, found = folder.resolve(), dict[int, tuple[psutil.Process, int]]()
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if _runs(process, program) and Path(process.cwd()) == folder and process.pid != os.getpid():
                found[process.pid] = process, process.ppid()
    return [process for process, parent in found.values() if parent not in found]


def stop_processes(processes: list[psutil.Process], seconds: float, first: signal.Signals = signal.SIGTERM) -> None:
    """Ask with `first`, and kill what is still there, or was left by them, after `seconds`."""
    family = {member for process in processes for member in _with_children(process)}
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(first)
    for process in _wait(family, seconds):
        with suppress(psutil.NoSuchProcess):
            process.kill()
    if alive := _wait(family, 10):
        pids = ", ".join(str(process.pid) for process in alive)
        raise TransientError(f"Processes {pids} did not end, though killed; wait for their disk, then try again.")


def _wait(processes: set[psutil.Process], seconds: float) -> set[psutil.Process]:
    """Those still alive after `seconds`. A zombie is dead: in a container nobody may ever collect it."""
    deadline = time.monotonic() + seconds
    while (alive := {process for process in processes if _alive(process)}) and time.monotonic() < deadline:
        time.sleep(0.02)
    return alive


def _alive(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _runs(process: psutil.Process, program: str) -> bool:
    return bool(process.name() == program) or any(Path(part).name == program for part in process.cmdline()[:3])


def _with_children(process: psutil.Process) -> list[psutil.Process]:
    with suppress(psutil.Error):
        return [process, *process.children(recursive=True)]
    return [process]
