"""Cache keys and entries.

An entry is the version in fixed width, the fingerprint it was computed under, then the payload's
JSON: Redis compares versions as text without parsing, and a reader sees at once what is outdated.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from metrics_pipeline.metrics.fingerprint import FINGERPRINT_WIDTH
from metrics_pipeline.periods import Period

VERSION_WIDTH = 19
"""Digits of the largest bigint."""

_HEADER = VERSION_WIDTH + FINGERPRINT_WIDTH
_OF_ACCOUNT = re.compile(r"metrics:\{(\d+)\}:")


class Entry(NamedTuple):
    version: int
    fingerprint: str
    payload: bytes

    def encode(self) -> bytes:
        return encoded(self.version, self.fingerprint.encode(), self.payload)

    @classmethod
    def decode(cls, value: bytes) -> Entry:
        return cls(int(value[:VERSION_WIDTH]), value[VERSION_WIDTH:_HEADER].decode(), value[_HEADER:])


def encoded(version: int, fingerprint: bytes, payload: bytes) -> bytes:
    """An entry as Redis has it."""
    return b"%0*d%b%b" % (VERSION_WIDTH, version, fingerprint, payload)


def cache_key(account_id: int, period: Period) -> str:
    """The braces keep all keys of one account on one Redis Cluster slot, so that MGET takes them at once."""
    return f"metrics:{{{account_id}}}:{_name(period)}"


def account_of(key: str) -> int | None:
    """Whose entry a key is; None if it is no key of an entry."""
    found = _OF_ACCOUNT.match(key)
    return int(found[1]) if found else None


@lru_cache(maxsize=10_000)
def _name(period: Period) -> str:
    """Thousands of keys name the same few periods."""
    return f"{period.grain.value}:{period.key}"
