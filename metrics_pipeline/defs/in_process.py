"""Runs that a command executes in its own process, where no worker holds them: a tag names that process."""

import os
import socket
from collections.abc import Mapping

import psutil

_TAG = "metrics/process"


def process_tag() -> dict[str, str]:
    """For a run that this process executes."""
    return {_TAG: f"{socket.gethostname()}:{os.getpid()}"}


def is_executed_elsewhere(tags: Mapping[str, str]) -> bool:
    """Whether a process that is no worker executes the run. That of another machine is taken for alive."""
    host, _, pid = tags.get(_TAG, "").rpartition(":")
    return bool(host) and (host != socket.gethostname() or psutil.pid_exists(int(pid)))
