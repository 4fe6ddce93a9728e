"""How much memory the embedded PostgreSQL keeps tables in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import psutil

# Of a container: version 2 of Linux' control groups, and version 1.
_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
_LEAST, _MOST = 128, 8192


def shared_buffers(limits: Sequence[Path] = _LIMITS) -> int:
    """Megabytes for PostgreSQL's own cache: a quarter of the machine's memory, or of what its container may use.

    The share is PostgreSQL's recommendation: https://www.postgresql.org/docs/current/runtime-config-resource.html.
    A page that is not there is copied from the system's cache, which is most of what it takes to look up the expenses
    of a hundred accounts in a large table. Memory that no page came to is not used up.
    """
    allowed = [int(said) for limit in limits if limit.exists() and (said := limit.read_text().strip()).isdigit()]
    quarter = min([psutil.virtual_memory().total, *allowed]) // 4
    return min(max(quarter >> 20, _LEAST), _MOST)
