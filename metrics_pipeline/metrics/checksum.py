"""Numbers by which changes of expenses are noticed that nobody told of.

Each expense becomes a 64-bit number of the columns that payloads depend on; those of a period are added up, modulo
2**64. Sums do not depend on the order of rows, and those of days add up to those of weeks, months and years.
"""

from __future__ import annotations

import numpy as np

from metrics_pipeline.metrics.exact import Ints

_BLOCK = 2**15  # rows whose intermediate values stay in the processor's cache

# Odd constants without a pattern, one a column: swapped values give another number.
_FACTORS = [np.uint64(n) for n in (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9)]
_FACTORS += [np.uint64(n) for n in (0xD6E8FEB86659FD93, 0xA0761D6478BD642F)]


def checksums(category: Ints, kind: Ints, cents: Ints, merchant: Ints, day: Ints) -> Ints:
    """The number of each expense, the same in every run. `day`: ordinals of local days."""
    mixed = np.empty(cents.size, np.uint64)
    columns = [np.ascontiguousarray(column).view(np.uint64) for column in (category, kind, cents, merchant, day)]
    for first in range(0, cents.size, _BLOCK):
        part = slice(first, first + _BLOCK)
        value = np.zeros(mixed[part].size, np.uint64)
        for column, factor in zip(columns, _FACTORS, strict=True):
            value += column[part] * factor
        mixed[part] = _scattered(value)
    return mixed.view(np.int64)


def _scattered(value: np.ndarray[tuple[int], np.dtype[np.uint64]]) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    """Without this the sum would be linear: two expenses that swap their amounts would go unnoticed.

    The finalizer of splitmix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
    """
    value ^= value >> np.uint64(30)
    value *= np.uint64(0xBF58476D1CE4E5B9)
    value ^= value >> np.uint64(27)
    value *= np.uint64(0x94D049BB133111EB)
    value ^= value >> np.uint64(31)
    return value
