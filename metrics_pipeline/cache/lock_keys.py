"""Names of period locks, and what their tokens say."""

from __future__ import annotations

import json
import secrets
import socket
from datetime import datetime, timezone

from metrics_pipeline.errors import BadRequest
from metrics_pipeline.periods import Grain, Period, parse_day
from metrics_pipeline.planning.shards import Shard

LOCK_PREFIX = "metrics:lock:"


def lock_key(period: Period, shard: Shard | None = None) -> str:
    """Of a whole period, or of one shard of it. Without braces, so that a cache that is emptied keeps its locks."""
    whole = f"{LOCK_PREFIX}{period.grain.value}:{period.key}"
    return f"{whole}:{shard_name(shard)}" if shard else whole


def shard_name(shard: Shard) -> str:
    return f"{shard.index}-of-{shard.count}"


def parse_lock_key(key: str) -> tuple[Period | None, Shard | None]:
    """What a lock is of. None for what was not written here."""
    grain, _, rest = key.removeprefix(LOCK_PREFIX).partition(":")
    start, _, shard = rest.partition(":")
    try:
        return Period(Grain(grain), parse_day(start)), Shard.parse(shard.replace("-of-", "/")) if shard else None
    except (ValueError, BadRequest):
        return None, None


def new_token(holder: str, lease_seconds: float) -> str:
    """Of one taking: a later try of the same run is another owner."""
    return json.dumps(
        {
            "holder": holder,
            "host": socket.gethostname(),
            "since": datetime.now(timezone.utc).isoformat(),
            "lease": lease_seconds,
            "nonce": secrets.token_hex(8),
        }
    )


def holder_in(token: bytes | str) -> str:
    """The holder that a lock's token names; the token itself where it was not written here."""
    try:
        return str(json.loads(token)["holder"])
    except (ValueError, KeyError, TypeError):
        return (token if isinstance(token, str) else token.decode(errors="replace")) or "unknown"
