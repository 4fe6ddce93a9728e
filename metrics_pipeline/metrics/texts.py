"""Columns of exact numbers as JSON text, written by polars: quickly, and without holding Python's lock.

A text is described by its parts in order: strings, which are the same in every row, and expressions
over a frame's columns. Descriptions nest; `written` then puts each row's text together at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import orjson
import polars as pl
from numpy.typing import NDArray

from metrics_pipeline.metrics.exact import Ints

Part = str | pl.Expr

_DIGITS = 38
"""As many as polars' decimals have; no amount, and no ratio of 64-bit amounts and counts in hundredths, has more."""


def money(cents: int) -> str:
    """Cents as a decimal with two places."""
    sign = "-" if cents < 0 else ""
    return f"{sign}{abs(cents) // 100}.{abs(cents) % 100:02d}"


def json_text(value: object) -> str:
    """Any value that orjson knows, strings escaped."""
    return orjson.dumps(value).decode()


def table(columns: Mapping[str, Any]) -> pl.DataFrame:
    """A frame of arrays, series and lists of text; integers that 64 bits were not enough for come as Python's own."""
    return pl.DataFrame({name: _column(values) for name, values in columns.items()})


def nullable(values: NDArray[Any], defined: NDArray[np.bool_]) -> pl.Series:
    """A column of integers, null where not defined."""
    return _column(values).set(pl.Series(~defined), None)


def money_text(column: str) -> list[Part]:
    """A column of cents as JSON strings of decimals with two places."""
    return ['"', _decimal(column, 2), '"']


def money_or_null(column: str) -> list[Part]:
    """The same of a column that may have nulls."""
    return [pl.concat_str(pl.lit('"'), _decimal(column, 2), pl.lit('"')).fill_null("null")]


def percentage_text(column: str) -> list[Part]:
    """Hundredths of percents as JSON numbers, without a last zero, as JSON writers print them; or null."""
    return [_decimal(column, 2).str.strip_suffix("0").fill_null("null")]


def plain(column: str) -> list[Part]:
    """A column as it is: counts, or texts made before."""
    return [pl.col(column)]


def record(**values: Sequence[Part]) -> list[Part]:
    """A JSON object."""
    fields = (
        part for n, (name, value) in enumerate(values.items()) for part in (f'{"," if n else ""}"{name}":', *value)
    )
    return ["{", *fields, "}"]


def array(values: Sequence[Sequence[Part]]) -> list[Part]:
    """A JSON array of as many values in every row."""
    return ["[", *(part for n, value in enumerate(values) for part in ([","] if n else []) + [*value]), "]"]


def written(frame: pl.DataFrame, parts: Sequence[Part]) -> pl.Series:
    """Each row's text."""
    pieces: list[Part] = []
    for part in parts:
        if isinstance(part, str) and pieces and isinstance(pieces[-1], str):
            pieces[-1] += part
        else:
            pieces.append(part)
    return frame.select(pl.concat_str(*(pl.lit(p) if isinstance(p, str) else p for p in pieces))).to_series()


def lists(texts: pl.Series, owners: Ints, wanted: Ints) -> pl.Series:
    """For each wanted owner the texts that it has, in their order and separated by commas; empty without any."""
    found = (
        pl.DataFrame({"owner": owners, "text": texts})
        .group_by("owner", maintain_order=True)
        .agg(pl.col("text").str.join(","))
    )
    rows = pl.DataFrame({"owner": wanted}).join(found, on="owner", how="left", maintain_order="left")
    return rows["text"].fill_null("")


def _column(values: Any) -> pl.Series:
    if isinstance(values, np.ndarray) and values.dtype == object:
        return pl.Series(values.tolist(), dtype=pl.Int128)
    return pl.Series(values)


def _decimal(column: str, places: int) -> pl.Expr:
    whole = pl.col(column).cast(pl.Decimal(_DIGITS, 0))
    return (whole * Decimal(1).scaleb(-places)).cast(pl.String)
