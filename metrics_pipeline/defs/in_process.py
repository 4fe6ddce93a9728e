"""Runs that a command executes in its own process, where no worker holds them: a tag names that process."""

import os
import socket
import time
from collections.abc import Mapping

import psutil

_TAG = "metrics/process"
_TRUSTED_SECONDS = 3600


def process_tag() -> dict[str, str]:
    """For a run that this process executes from now on."""
    return {_TAG: f"{socket.gethostname()}:{os.getpid()}:{time.time():.0f}"}


def is_executed_by_command(tags: Mapping[str, str]) -> bool:
    """Whether a command executes the run. One on another machine, which can't be asked, is trusted for an hour."""
    if _TAG not in tags:
        return False
    host, pid, since = tags[_TAG].split(":")
    if host == socket.gethostname():
        return psutil.pid_exists(int(pid))
    return time.time() - int(since) < _TRUSTED_SECONDS
