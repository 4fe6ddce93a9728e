"""Where the tests' servers keep their files."""

from __future__ import annotations

import shutil
from pathlib import Path

import psutil

_MEMORY = Path("/dev/shm")
_ROOM_BYTES = 8 * 2**30


def scratch() -> str:
    """A folder with a short name, as sockets are in it; in memory where that has room.

    Every test makes a database of three hundred files: on disk that can take ten times as long.
    """
    if _MEMORY.is_dir() and min(shutil.disk_usage(_MEMORY).free, psutil.virtual_memory().available) > _ROOM_BYTES:
        return str(_MEMORY)
    return "/tmp"
