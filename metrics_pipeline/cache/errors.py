"""Redis errors as this package's own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import OutOfMemoryError, RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from metrics_pipeline.errors import CacheUnavailable, MetricsPipelineError


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
        raise MetricsPipelineError(f"{action}: Redis refused ({error}).") from error


def is_full(error: RedisError) -> bool:
    """Whether Redis refused to store more; older ones word it otherwise when a script wanted to."""
    return "OOM command not allowed" in str(error) or isinstance(error, OutOfMemoryError)
