"""Sorting and telling apart many integers: by polars, which takes a third of the time that numpy needs."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from metrics_pipeline.metrics.exact import Ints

_MANY = 2**14
"""From so many on; a few take polars longer."""


def ascending(values: Ints) -> Ints:
    """The values in order."""
    return pl.Series(values).sort(multithreaded=False).to_numpy() if values.size > _MANY else np.sort(values)


def distinct(values: NDArray[Any]) -> NDArray[Any]:
    """Each of the values once, in any order."""
    return pl.Series(values).unique().to_numpy() if values.size > _MANY else np.unique(values)
