"""A payload as the store gives it out: what its row's columns say, in front of the content as it was computed."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from typing import NamedTuple

import orjson

from metrics_pipeline.changes.keys import Key
from metrics_pipeline.metrics.payload import ComputedBy


class Versioned(NamedTuple):
    """A whole payload as JSON, and its version."""

    key: Key
    version: int
    json: bytes


def with_header(content: bytes, version: int, computed_at: datetime, computed_by: ComputedBy) -> bytes:
    """The whole payload of a computed content."""
    return b'{"version":%d,%b,%b' % (version, _computed(computed_at, computed_by), content[1:])


@lru_cache(maxsize=1000)
def _computed(at: datetime, by: ComputedBy) -> bytes:
    """All payloads of a chunk have it in common."""
    return b'"calculated_at":%b,"background_calculated":%b,"computed_by":"%b"' % (
        orjson.dumps(at),
        b"false" if by == "on_demand" else b"true",
        by.encode(),
    )
