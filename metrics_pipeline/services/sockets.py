"""Where unix sockets live: in the given folder, or in a short private one where its path will not do."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from pathlib import Path

from metrics_pipeline.errors import ConfigurationError

# sockaddr_un holds 104 bytes on macOS, 108 on Linux, its closing NUL included.
_LONGEST_PATH = 103
_PLAIN_PATH = re.compile(r"[A-Za-z0-9_./-]+")


def socket_folder(preferred: Path, filename: str, owner: int | None = None) -> Path:
    """`preferred`, or a folder under /tmp when `preferred/filename` is too long for a socket or not plain.

    Blanks, commas and the like would have to be quoted differently in every URL and command line.
    The folder is named after a hash of `preferred`, so that every command finds the same one and
    no two homes share it. It belongs to `owner` (a user id; default: this user), closed to others.
    """
    path = str(preferred / filename)
    if len(path) <= _LONGEST_PATH and _PLAIN_PATH.fullmatch(path):
        return preferred
    owner = os.geteuid() if owner is None else owner
    name = hashlib.sha256(os.fsencode(preferred)).hexdigest()[:20]
    # Not tempfile.gettempdir(): TMPDIR may differ between two commands.
    folder = Path("/tmp") / f"metrics-pipeline-{owner}-{name}"
    try:
        folder.mkdir(mode=0o700)
        os.chown(folder, owner, -1)
    except FileExistsError:
        _check_private(folder, owner)
    return folder


def _check_private(folder: Path, owner: int) -> None:
    """Anybody may make files in /tmp: refuse a folder that somebody else put there."""
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != owner or found.st_mode & 0o077:
        raise ConfigurationError(
            f"{folder} is not a private folder of user id {owner}, so no socket is put there. "
            "Remove it, or set METRICS_HOME to a shorter path."
        )
