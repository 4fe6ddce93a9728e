"""Log files under METRICS_HOME: kept below a size, with one older file beside each."""

from __future__ import annotations

import shutil
from pathlib import Path

_DEPTHS = ("*/*.log", "*/*/*.log")  # redis/redis.log, postgres/data/server.log


def cap_logs(home: Path, most_bytes: int, dry_run: bool = False) -> dict[Path, int]:
    """Empty each log above the size, after copying it to `<name>.1`. Returns those, with their bytes.

    The servers append to an open file: emptied in place it is written from its beginning again, where
    one that was renamed would be written on under its new name. A line written meanwhile may be lost.
    """
    large = {
        path: size
        for depth in _DEPTHS
        for path in sorted(home.glob(depth))
        if path.is_file() and (size := path.stat().st_size) > most_bytes
    }
    if not dry_run:
        for path in large:
            shutil.copyfile(path, path.with_name(f"{path.name}.1"))
            with path.open("r+b") as log:
                log.truncate()
    return large
