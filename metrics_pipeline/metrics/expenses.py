"""Expenses as a computation keeps them: in narrow columns, made block by block while the next rows are on their way."""

from __future__ import annotations

import mmap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metrics_pipeline.metrics.checksum import checksums
from metrics_pipeline.metrics.exact import Ints
from metrics_pipeline.metrics.scope import Range
from metrics_pipeline.periods import start_of_day

ROW_FIELDS = ("account_id", "category_id", "kind", "cents", "merchant", "micros")
"""What is read of an expense. Kind: a hash of currency and status; merchant: a hash, 0 without one."""

SUM_FIELDS = ("account_id", "category_id", "kind", "cents", "count", "day", "micros", "end")
"""What is known of a sum of expenses. Day: the first of its range, an ordinal; micros and end: its instants."""

Sums = Mapping[str, Ints]
"""Columns called as in `SUM_FIELDS`."""

Kind = tuple[str, str]
"""A currency and a status."""

_LARGE_BYTES = 2**17
"""From which on memory is worth a request to the system, which takes as long as copying some kilobytes."""

_PG_EPOCH = datetime(2000, 1, 1, tzinfo=timezone.utc)


class Coded(NamedTuple):
    """A column as places among its distinct values."""

    codes: NDArray[np.int32]
    values: Ints


class Places(NamedTuple):
    """Distinct values of all blocks, and for each block the places of its own values among them."""

    values: Ints
    of_blocks: list[NDArray[np.int32]]


class Example(NamedTuple):
    """Where an expense is found: one of this account's between two instants, in `pg_micros`."""

    account_id: int
    begin: int
    end: int


class Block(NamedTuple):
    """Some expenses, or sums of earlier ones.

    Attributes:
        columns: `account` (its position among those computed), `day` (ordinal of the local day), `cents`, `checksum`
            (0 of sums); and `count` of sums only.
        coded: `kind`, `category` and `merchant`.
        examples: of each kind.
        rows_read: those of accounts that are not computed included.
    """

    columns: dict[str, NDArray[Any]]
    coded: dict[str, Coded]
    examples: dict[int, Example]
    rows_read: int


@dataclass(frozen=True)
class Expenses:
    """Sums of earlier expenses, by day, and the expenses.

    Attributes:
        blocks: the sums are the first one.
        kinds: currency and status of each.
    """

    blocks: Sequence[Block]
    kinds: Mapping[int, Kind]

    @property
    def rows_read(self) -> int:
        return sum(block.rows_read for block in self.blocks)

    @property
    def sum_counts(self) -> Ints:
        """How many expenses are in each of the sums."""
        return self.blocks[0].columns["count"]

    def places(self, name: str) -> Places:
        """The distinct values of a coded column."""
        of_blocks = [block.coded[name].values for block in self.blocks]
        codes, values = pd.factorize(np.concatenate(of_blocks))
        ends = np.cumsum([own.size for own in of_blocks])
        return Places(values, np.split(codes.astype(np.int32), ends[:-1]))


class Decoder:
    """Makes blocks of what is read; used by two threads at once."""

    def __init__(self, account_ids: Ints, days: Range, zone: ZoneInfo) -> None:
        """`account_ids`: those computed, ascending. `days`: what the rows are read of."""
        self._account_ids, self._days = account_ids, LocalDays(days, zone)

    def rows(self, read: Mapping[str, Ints]) -> Block:
        """`read`: the fields of `ROW_FIELDS`."""
        day = self._days.of(read["micros"])
        checksum = checksums(read["category_id"], read["kind"], read["cents"], read["merchant"], day)
        block = self._block({**read, "day": day, "end": read["micros"] + 1, "checksum": checksum})
        return block._replace(
            columns={name: _apart(column) for name, column in block.columns.items()},
            coded={name: Coded(_apart(column.codes), column.values) for name, column in block.coded.items()},
        )

    def sums(self, parts: Sequence[Sums]) -> Block:
        """All sums, by day."""
        nothing = np.zeros(0, np.int64)
        read = {name: np.concatenate([nothing, *(part[name] for part in parts)]) for name in SUM_FIELDS}
        by_day = np.argsort(read["day"], kind="stable")
        read = {name: column[by_day] for name, column in read.items()}
        none = np.zeros(by_day.size, np.int64)
        return self._block({**read, "merchant": none, "checksum": none})

    def _block(self, read: Mapping[str, Ints]) -> Block:
        rows_read, account = read["day"].size, positions(self._account_ids, read["account_id"])
        known = account >= 0
        if not known.all():
            account, read = account[known], {name: column[known] for name, column in read.items()}
        kind = _coded(read["kind"])
        examples = {}
        for n, value in enumerate(kind.values.tolist()):
            place = np.argmax(kind.codes == n)
            examples[value] = Example(*(int(read[name][place]) for name in ("account_id", "micros", "end")))
        as_read = {name: read[name] for name in ("cents", "checksum", "count") if name in read}
        return Block(
            {"account": account, "day": read["day"].astype(np.int32), **as_read},
            {"kind": kind, "category": _coded(read["category_id"]), "merchant": _coded(read["merchant"])},
            examples,
            rows_read,
        )


class LocalDays:
    """The local days of instants, by the bounds that windows have."""

    def __init__(self, days: Range, zone: ZoneInfo) -> None:
        self._starts, self._before = _starts(days, zone), days.first.toordinal() - 1

    def of(self, micros: Ints) -> Ints:
        """The ordinal of the day of each instant; all of them are within the days."""
        return np.searchsorted(self._starts, micros, side="right") + self._before


@lru_cache(maxsize=100)
def _starts(days: Range, zone: ZoneInfo) -> Ints:
    """When each day begins. Kept, as finding that out for a year takes half a millisecond."""
    count = (days.end - days.first).days
    return np.array([pg_micros(start_of_day(days.first + timedelta(days=n), zone)) for n in range(count)], np.int64)


def _coded(column: Ints) -> Coded:
    codes, values = pd.factorize(column)
    return Coded(codes.astype(np.int32), values)


def _apart(column: NDArray[Any]) -> NDArray[Any]:
    """The same in memory of its own, which goes back to the system as soon as a block is done with.

    From the allocator's heap, where the columns' blocks lie mixed, 400 MB of ten million expenses' never do.
    """
    if column.nbytes < _LARGE_BYTES:
        return column.copy()
    memory = mmap.mmap(-1, max(column.nbytes, 1), flags=mmap.MAP_PRIVATE)
    copy = np.frombuffer(memory, column.dtype, column.size)
    copy[:] = column
    return copy


def positions(sorted_ids: Ints, ids: Ints) -> NDArray[np.int32]:
    """Where each id stands among the sorted ones; -1 for ids that are not there."""
    if sorted_ids.size == 0:
        return np.full(ids.size, -1, np.int32)
    codes, distinct = pd.factorize(ids)
    place = np.minimum(np.searchsorted(sorted_ids, distinct), sorted_ids.size - 1)
    found: NDArray[np.int32] = np.where(sorted_ids[place] == distinct, place, -1).astype(np.int32)[codes]
    return found


def pg_micros(instant: datetime) -> int:
    """An instant as PostgreSQL's binary timestamptz: microseconds since 2000-01-01 UTC."""
    since = instant - _PG_EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
