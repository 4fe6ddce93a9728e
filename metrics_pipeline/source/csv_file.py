"""Reading a CSV file record by record: its header, and each record with the line it begins on."""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TextIO

from metrics_pipeline.errors import BadRequest
from metrics_pipeline.source.tables import Column, Table

_RECORDS_BETWEEN_PROGRESS = 5000


class Record(NamedTuple):
    """One record. `unreadable` says why it could not be split into fields; `fields` is then its first line."""

    line: int
    fields: list[str]
    unreadable: str | None = None


@dataclass(frozen=True)
class CsvFile:
    """A file named after its table. Header names count without blanks around them and in any case."""

    path: Path
    table: Table
    header: list[str]

    @classmethod
    def of(cls, path: Path, table: Table) -> CsvFile:
        """Read the header. Raises BadRequest where the file is unreadable or lacks a column."""
        try:
            with _opened(path) as file:
                first = next(_records(_Lines(file)), None)
        except OSError as error:
            raise BadRequest(f"{path} cannot be read: {error.strerror}.") from error
        if first is None or first.unreadable:
            raise BadRequest(f"{path} has no header; its first line must name the columns {_listed(table.required)}.")
        names = [_printable(name.strip().lower()) for name in first.fields]
        if missing := [name for name in table.required if name not in names]:
            raise BadRequest(
                f"{path} lacks the column {_listed(missing)}; its first line names {_listed(names)}. "
                "Columns are separated by commas."
            )
        if twice := [column.name for column in table.columns if names.count(column.name) > 1]:
            raise BadRequest(f"{path} names the column {_listed(twice)} more than once.")
        return cls(path, table, names)

    @property
    def columns(self) -> list[tuple[int, Column]]:
        """The table's columns that the file has, with their places in a record."""
        return [(self.header.index(c.name), c) for c in self.table.columns if c.name in self.header]

    @property
    def ignored_columns(self) -> tuple[str, ...]:
        known = {column.name for column in self.table.columns}
        return tuple(name for name in self.header if name not in known)

    def records(self, bytes_read: Callable[[int], None]) -> Iterator[Record]:
        """The records after the header; `bytes_read` is told from time to time how far the file is read."""
        with _opened(self.path) as file:
            records = _records(_Lines(file))
            next(records)
            for count, record in enumerate(records, 1):
                yield record
                if count % _RECORDS_BETWEEN_PROGRESS == 0:
                    bytes_read(file.buffer.tell())
            bytes_read(file.buffer.tell())


class _Lines:
    """The lines of a file; those of a record that turns out unreadable can be given back."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._waiting: deque[str] = deque()
        self.record: list[str] = []
        self.count = 0

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = self._waiting.popleft() if self._waiting else next(self._file)
        self.record.append(line)
        self.count += 1
        return line

    def give_back_all_but_first(self) -> str:
        first, *others = self.record
        self._waiting.extendleft(reversed(others))
        self.count -= len(others)
        return first


def _records(lines: _Lines) -> Iterator[Record]:
    """Every record but blank lines.

    A stray quote would swallow the records up to the next one: only the line on which the
    unreadable record begins is given up, and reading goes on with the line after it.
    """
    reader = csv.reader(lines, strict=True)
    while True:
        line = lines.count + 1
        lines.record.clear()
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield Record(line, [lines.give_back_all_but_first().rstrip("\r\n")], str(error))
            reader = csv.reader(lines, strict=True)
            continue
        if fields:
            yield Record(line, fields)


@contextmanager
def _opened(path: Path) -> Iterator[TextIO]:
    """The file as text; bytes that are no UTF-8 become surrogates, to be found cell by cell."""
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        yield file


def _printable(name: str) -> str:
    return name.encode("utf-8", "backslashreplace").decode()


def _listed(names: list[str]) -> str:
    return ", ".join(names) if names else "nothing"
