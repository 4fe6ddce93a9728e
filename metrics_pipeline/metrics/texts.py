"""Columns of exact numbers as JSON text.

A text is described by its parts in order: strings, which are the same in every row, and columns, which differ.
Descriptions nest; `written` then puts each row's text together at once. Many rows are written by polars: in a third of
the time that Python needs, and without holding its lock. For a few it takes longer to be told what to do.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum, auto
from typing import Any, NamedTuple

import numpy as np
import orjson
import polars as pl
from numpy.typing import NDArray

from metrics_pipeline.metrics.exact import Ints

_MANY = 500
"""Rows from which on polars is the faster one."""

_DIGITS = 38
"""As many as polars' decimals have; no amount, and no ratio of 64-bit amounts and counts in hundredths, has more."""


_PLACES = [f".{cents:02d}" for cents in range(100)]


class Kind(Enum):
    """What a column's values are written as."""

    PLAIN = auto()  # as they are: counts, and texts made before
    MONEY = auto()  # cents as strings of decimals with two places
    PERCENTAGE = auto()  # hundredths as numbers without a last zero, as JSON writers print them


class Column(NamedTuple):
    name: str
    kind: Kind


Part = str | Column


@dataclass(frozen=True)
class Nullable:
    """Integers, `null` where not defined."""

    values: NDArray[Any]
    defined: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.values)


@dataclass(frozen=True)
class Chosen:
    """In each row one of a few texts, by its place among them."""

    texts: Sequence[str]
    places: Ints

    def __len__(self) -> int:
        return self.places.size


Texts = list[str] | pl.Series
"""Texts of rows: a series where there are many."""

Values = NDArray[Any] | Nullable | Chosen | Texts


def plain(name: str) -> list[Part]:
    return [Column(name, Kind.PLAIN)]


def money(name: str) -> list[Part]:
    return [Column(name, Kind.MONEY)]


def percentage(name: str) -> list[Part]:
    return [Column(name, Kind.PERCENTAGE)]


def record(**values: Sequence[Part]) -> list[Part]:
    """A JSON object."""
    fields = [[f'"{name}":', *value] for name, value in values.items()]
    return ["{", *_with_commas(fields), "}"]


def array(values: Sequence[Sequence[Part]]) -> list[Part]:
    """A JSON array of as many values in every row."""
    return ["[", *_with_commas(values), "]"]


def json_text(value: object) -> str:
    """Any value that orjson knows, strings escaped."""
    return orjson.dumps(value).decode()


def money_text(cents: int) -> str:
    """Cents as a decimal with two places."""
    return f"{cents // 100}{_PLACES[cents % 100]}" if cents >= 0 else f"-{money_text(-cents)}"


def written(columns: Mapping[str, Values], parts: Sequence[Part]) -> Texts:
    """Each row's text. The columns are of one length."""
    many = len(next(iter(columns.values()))) > _MANY
    return (_by_polars if many else _by_python)(columns, parts)


def joined(texts: Texts, sizes: Ints) -> Texts:
    """For each size, so many of the next texts as one, separated by commas."""
    if isinstance(texts, pl.Series):
        owner = pl.Series(np.repeat(np.arange(sizes.size), sizes)).set_sorted()
        lists = pl.DataFrame({"owner": owner, "text": texts}).group_by("owner", maintain_order=True).agg("text")
        texts = lists["text"].list.join(",")
        return texts if sizes.all() else pl.repeat("", sizes.size, eager=True).scatter(lists["owner"], texts)
    rest = iter(texts)
    return [",".join(itertools.islice(rest, size)) for size in sizes.tolist()]


def encoded(texts: Texts) -> list[bytes]:
    """Each text in UTF-8."""
    return texts.cast(pl.Binary).to_list() if isinstance(texts, pl.Series) else [text.encode() for text in texts]


def _by_python(columns: Mapping[str, Values], parts: Sequence[Part]) -> list[str]:
    template = "".join("%s" if isinstance(part, Column) else part.replace("%", "%%") for part in parts)
    texts = [_texts(columns[part.name], part.kind) for part in parts if isinstance(part, Column)]
    return [template % row for row in zip(*texts, strict=True)]


def _texts(values: Values, kind: Kind) -> Sequence[object]:
    if isinstance(values, Nullable):
        texts = _texts(values.values, kind)
        return [text if there else "null" for text, there in zip(texts, values.defined.tolist(), strict=True)]
    if isinstance(values, Chosen):
        return [values.texts[place] for place in values.places.tolist()]
    if isinstance(values, list | pl.Series):
        return list(values)
    numbers: list[int] = values.tolist()
    if values.dtype == bool:
        return ["true" if number else "false" for number in numbers]
    if kind is Kind.PLAIN:
        return numbers
    decimals = map(money_text, numbers)
    return [f'"{text}"' if kind is Kind.MONEY else text.removesuffix("0") for text in decimals]


def _by_polars(columns: Mapping[str, Values], parts: Sequence[Part]) -> pl.Series:
    frame = pl.DataFrame({name: _series(values) for name, values in columns.items()})
    pieces: list[str | pl.Expr] = [""]
    for part in parts:
        for piece in [part] if isinstance(part, str) else _expressions(part, frame):
            if isinstance(piece, str) and isinstance(pieces[-1], str):
                pieces[-1] += piece
            else:
                pieces.append(piece)
    text = pl.concat_str([pl.lit(piece) if isinstance(piece, str) else piece for piece in pieces])
    return frame.select(text).to_series()


def _series(values: Values) -> pl.Series:
    if isinstance(values, Nullable):
        return _series(values.values).set(pl.Series(~values.defined), None)
    if isinstance(values, np.ndarray) and values.dtype == object:  # 64 bits were not enough
        return pl.Series(values.tolist(), dtype=pl.Int128)
    if isinstance(values, Chosen):
        return pl.Series(values.texts, dtype=pl.String).gather(values.places)
    return pl.Series(values)


def _expressions(column: Column, frame: pl.DataFrame) -> list[str | pl.Expr]:
    value = pl.col(column.name)
    if column.kind is not Kind.PLAIN:
        value = (value.cast(pl.Decimal(_DIGITS, 0)) * Decimal("0.01")).cast(pl.String)
    if column.kind is Kind.PERCENTAGE:
        value = value.str.strip_suffix("0")
    quote = '"' if column.kind is Kind.MONEY else ""
    if not frame[column.name].null_count():
        return [quote, value, quote]
    return [pl.concat_str(pl.lit(quote), value, pl.lit(quote)).fill_null("null")]


def _with_commas(values: Sequence[Sequence[Part]]) -> list[Part]:
    return [part for n, value in enumerate(values) for part in ([","] if n else []) + [*value]]
