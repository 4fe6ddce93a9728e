"""Exact integer arithmetic over arrays of cents: sums, half-up rounding, percentages.

Whatever could leave 64 bits is done with Python's integers instead, never with floats.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

_INT64_SAFE = 2**62

_BLOCK = 2**16
"""Rows whose intermediate values stay in the processor's cache. In memory that is new, and so has to be cleared first,
the same takes twice as long."""


def sum_by(index: NDArray[Any], values: Ints, size: int) -> Ints:
    """The sum of the values at each index, modulo 2**64: nine million of the largest amounts stay below."""
    return sum_in_blocks(slice(0, index.size), index.__getitem__, values, size)


def sum_in_blocks(rows: slice, index: Callable[[slice], NDArray[Any]], values: Ints | None, size: int) -> Ints:
    """For each index the sum of the values of some rows, modulo 2**64; without values, how many rows there are.

    `index` computes the indexes of a block of rows.
    """
    sums = np.zeros(size, np.int64)
    for first in range(rows.start, rows.stop, _BLOCK):
        block = slice(first, min(first + _BLOCK, rows.stop))
        np.add.at(sums, index(block).astype(np.intp, copy=False), 1 if values is None else values[block])
    return sums


def product_fits(*factors: NDArray[Any] | int) -> bool:
    """Whether products of these stay inside 64 bits."""
    bound = 1
    for factor in factors:
        bound *= factor if isinstance(factor, int) else max(_largest(factor), 1)
    return bound < _INT64_SAFE


def divide_half_up(numerator: NDArray[Any], divisor: NDArray[Any]) -> NDArray[Any]:
    """The quotient rounded half away from zero. Divisors must be positive."""
    if not (product_fits(numerator, 4) and product_fits(divisor, 4)):
        numerator, divisor = numerator.astype(object), divisor.astype(object)
    rounded = (2 * abs(numerator) + divisor) // (2 * divisor)
    signed: NDArray[Any] = np.where(numerator < 0, -rounded, rounded)
    return signed


@dataclass(frozen=True)
class Percentages:
    """Percentages as integers: `scaled` is each one times 10 to the `places`; meaningless where not `defined`."""

    scaled: NDArray[Any]
    defined: NDArray[np.bool_]
    places: int

    def __getitem__(self, index: Ints) -> Percentages:
        return Percentages(self.scaled[index], self.defined[index], self.places)


def percentages(numerator: NDArray[Any], divisor: NDArray[Any], places: int) -> Percentages:
    """100 × numerator / divisor, rounded half away from zero; undefined where the divisor is zero."""
    scale = 100 * 10**places
    if not product_fits(numerator, scale * 4):
        numerator = numerator.astype(object)
    defined, negative = divisor != 0, divisor < 0
    scaled = divide_half_up(np.where(negative, -numerator, numerator) * scale, np.where(defined, abs(divisor), 1))
    return Percentages(scaled, defined, places)


def percentage(numerator: int, divisor: int, places: int) -> float | None:
    """The same for one pair of integers; the divisor must not be negative."""
    if divisor == 0:
        return None
    unit: int = 10**places
    rounded = (2 * abs(numerator) * 100 * unit + divisor) // (2 * divisor)
    return (-rounded if numerator < 0 else rounded) / unit


def _largest(values: NDArray[Any]) -> int:
    """The largest absolute value; of -2**63 too, which numpy's abs cannot hold."""
    return max(int(values.max()), -int(values.min())) if values.size else 0


def ranges(first: Ints, end: Ints) -> Ints:
    """All numbers of each range, one range after the other."""
    sizes = end - first
    before = np.cumsum(sizes) - sizes
    return np.repeat(first - before, sizes) + np.arange(sizes.sum())
