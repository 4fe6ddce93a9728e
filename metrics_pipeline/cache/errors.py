"""Redis errors as this package's own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import OutOfMemoryError, RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from metrics_pipeline.errors import CacheUnavailable, MetricsPipelineError

_WRITES_NOTHING = ("READONLY", "NOREPLICAS", "MISCONF", "MASTERDOWN")
"""In errors of a replica, of a primary that has lost its replicas, of a full disk; a script's error has them inside."""


@contextmanager
def cache_errors(action: str) -> Iterator[None]:
    """Turn client errors into domain errors: `action` says what was attempted."""
    try:
        yield
    except (RedisConnectionError, RedisTimeoutError) as error:
        raise CacheUnavailable(
            f"{action}: Redis did not answer ({error}). Nothing is lost: the store has every payload. "
            "Check that Redis runs and that METRICS_REDIS_URL points to it; what is missing is published then."
        ) from error
    except RedisError as error:
        if is_full(error):
            raise CacheUnavailable(
                f"{action}: Redis' memory is full. Nothing is lost: the store has every payload. "
                "Raise its maxmemory or delete what is not needed there; what is missing is published then."
            ) from error
        if any(code in str(error) for code in _WRITES_NOTHING):
            raise CacheUnavailable(
                f"{action}: Redis takes no writes now ({error}). Nothing is lost: the store has every payload. "
                "Let METRICS_REDIS_URL point to the primary, or mend what it says; what is missing is published then."
            ) from error
        raise MetricsPipelineError(f"{action}: Redis refused ({error}).") from error


def is_full(error: RedisError) -> bool:
    """Whether Redis refused to store more; older ones word it otherwise when a script wanted to."""
    return "OOM command not allowed" in str(error) or isinstance(error, OutOfMemoryError)
