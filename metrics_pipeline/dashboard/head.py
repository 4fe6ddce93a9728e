"""The few fields at the front of a payload that every answer needs, without parsing all of it."""

from __future__ import annotations

import re
from datetime import date, datetime
from functools import lru_cache
from typing import NamedTuple

import orjson

# No value before these fields can hold an unescaped quote, so that none can look like one of them.
_FRONT = re.compile(
    rb'\{"version":\d+,"calculated_at":"([^"]+)".+?,"as_of":"(\d{4}-\d\d-\d\d)","is_current":(true|false),'
)
_FRONT_BYTES = 512


class Head(NamedTuple):
    calculated_at: datetime
    as_of: date
    is_current: bool


def head_of(payload: bytes) -> Head:
    """From a payload's JSON; parsed whole where its fields are in another order."""
    if head := _front(payload[:_FRONT_BYTES]):
        return head
    fields = orjson.loads(payload)
    return Head(
        datetime.fromisoformat(fields["calculated_at"]), date.fromisoformat(fields["as_of"]), fields["is_current"]
    )


@lru_cache(maxsize=20_000)
def _front(front: bytes) -> Head | None:
    found = _FRONT.match(front)
    if found is None:
        return None
    calculated_at, as_of, is_current = found.groups()
    return Head(
        datetime.fromisoformat(calculated_at.decode()), date.fromisoformat(as_of.decode()), is_current == b"true"
    )
