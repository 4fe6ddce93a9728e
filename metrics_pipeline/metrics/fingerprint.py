"""What tells a stored payload from the one that would be computed now: its content, and the rules it was made by."""

from __future__ import annotations

import hashlib

from xxhash import xxh3_128_hexdigest

from metrics_pipeline.metrics.payload import CODE_VERSION, SCHEMA
from metrics_pipeline.settings import Settings

FINGERPRINT_WIDTH = 16
"""Characters of a fingerprint: 64 bits in hexadecimal."""

_HASHED_BY = "xxh3-128"


def content_hash(json: bytes) -> str:
    """128 bits in hexadecimal, by which two payloads are told apart: XXH3, as nobody gains by forging one."""
    return xxh3_128_hexdigest(json)


def fingerprint(settings: Settings) -> str:
    """What a stored payload was computed under: another fingerprint means it is outdated."""
    parts = (SCHEMA, CODE_VERSION, _HASHED_BY, settings.timezone, settings.excluded_statuses, settings.default_currency)
    return hashlib.blake2b(repr(parts).encode(), digest_size=FINGERPRINT_WIDTH // 2).hexdigest()
