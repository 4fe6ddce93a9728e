"""Exact numbers as JSON text, a whole column at a time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from metrics_pipeline.metrics.exact import Ints, Percentages

_SMALL = 2**14
"""Below this many cents, or hundredths, lies most of what there is to write: those texts are made once."""


def money(cents: int) -> str:
    """Cents as a decimal with two places."""
    sign = "-" if cents < 0 else ""
    return f"{sign}{abs(cents) // 100}.{abs(cents) % 100:02d}"


def money_texts(cents: NDArray[Any]) -> list[str]:
    """Cents as JSON strings of decimals with two places."""
    return _texts(cents, _money())


def percentage_texts(percentages: Percentages) -> list[str]:
    """Percentages as JSON numbers; null where undefined."""
    texts = _texts(percentages.scaled, _numbers(percentages.places))
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


def filled(pattern: str, cents: Ints) -> Iterable[str]:
    """The pattern with each row of a table of amounts."""
    width = cents.shape[1]
    texts = iter(money_texts(cents.ravel()))
    return map(pattern.__mod__, zip(*[texts] * width, strict=True)) if width else [pattern] * len(cents)


def joined(texts: list[str], first: Ints, end: Ints, around: str) -> list[str]:
    """One text for each range of texts, separated by commas."""
    return [around % ",".join(texts[a:b]) for a, b in zip(first.tolist(), end.tolist(), strict=True)]


def null_where(missing: NDArray[np.bool_], texts: list[str]) -> list[str]:
    for place in np.flatnonzero(missing).tolist():
        texts[place] = "null"
    return texts


@dataclass(frozen=True)
class _Decimals:
    """How to write integers as decimals: what comes first, and what comes after the whole part for each remainder."""

    start: str
    endings: list[str]
    small: list[str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "small", [self.text(size) for size in range(_SMALL)])

    def text(self, size: int) -> str:
        return f"{self.start}{size // len(self.endings)}{self.endings[size % len(self.endings)]}"


@cache
def _money() -> _Decimals:
    return _Decimals('"', [f'.{rest:02d}"' for rest in range(100)])


@cache
def _numbers(places: int) -> _Decimals:
    """Without a last zero, as JSON writers print them."""
    return _Decimals("", [f".{rest:0{places}d}".rstrip("0").ljust(2, "0") for rest in range(10**places)])


def _texts(scaled: NDArray[Any], decimals: _Decimals) -> list[str]:
    """Each integer as a decimal; -2**63 must not be among them: numpy has no absolute value of it."""
    small, start, endings, unit = decimals.small, decimals.start, decimals.endings, len(decimals.endings)
    texts = [
        small[size] if size < _SMALL else f"{start}{size // unit}{endings[size % unit]}"
        for size in abs(scaled).tolist()
    ]
    for place in np.flatnonzero(scaled < 0).tolist():
        texts[place] = f"{decimals.start}-{texts[place][len(decimals.start) :]}"
    return texts
