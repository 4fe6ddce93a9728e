"""Exact numbers as JSON text, a whole column at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from metrics_pipeline.metrics.exact import Percentages

# Text after the decimal point of every remainder. Numbers lose their last zero, as JSON writers print them.
_MONEY_ENDINGS = [f'.{rest:02d}"' for rest in range(100)]
_NUMBER_ENDINGS = {
    places: [f".{rest:0{places}d}".rstrip("0").ljust(2, "0") for rest in range(10**places)] for places in (1, 2)
}


def money(cents: int) -> str:
    """Cents as a decimal with two places."""
    sign = "-" if cents < 0 else ""
    return f"{sign}{abs(cents) // 100}.{abs(cents) % 100:02d}"


def money_texts(cents: NDArray[Any]) -> list[str]:
    """Cents as JSON strings of decimals with two places."""
    return _decimals(cents, 100, _MONEY_ENDINGS, '"')


def percentage_texts(percentages: Percentages) -> list[str]:
    """Percentages as JSON numbers; null where undefined."""
    endings = _NUMBER_ENDINGS[percentages.places]
    texts = _decimals(percentages.scaled, len(endings), endings, "")
    for place in np.flatnonzero(~percentages.defined).tolist():
        texts[place] = "null"
    return texts


def truth_texts(values: NDArray[np.bool_]) -> list[str]:
    return ["true" if value else "false" for value in values.tolist()]


def json_text(value: object) -> str:
    """Any value that orjson knows, strings escaped."""
    return orjson.dumps(value).decode()


def template(*names: str) -> str:
    """A JSON object with these names and a `%s` for the text of each value."""
    return "{" + ",".join(f'"{name}":%s' for name in names) + "}"


def _decimals(scaled: NDArray[Any], unit: int, endings: list[str], start: str) -> list[str]:
    """Each number of units as text; the smallest 64-bit integer, whose size they can't hold, must not be among them."""
    size = abs(scaled)
    texts = [
        f"{start}{whole}{endings[rest]}"
        for whole, rest in zip((size // unit).tolist(), (size % unit).tolist(), strict=True)
    ]
    for place in np.flatnonzero(scaled < 0).tolist():
        texts[place] = f"{start}-{texts[place][len(start) :]}"
    return texts
