"""The rows that were not loaded: DIR/rejected/<table>.csv, to be mended and loaded again."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from metrics_pipeline.source.csv_file import CsvFile, Record
from metrics_pipeline.source.summary import Rejection, TableSummary

_EXAMPLES = 5
_ADDED = ("line", "reason")


class RejectedRows:
    """Counts a file's rejected rows and writes them, with their columns as read, line and reason.

    The file is made with the first of them. A line that could not be split into fields stands
    whole in the first column.
    """

    def __init__(self, source: CsvFile, summary: TableSummary) -> None:
        self._path = rejected_path(source.path)
        self._summary = summary
        self._header = source.header
        # A file of rejected rows that was mended and loaded again has these columns already.
        self._kept = [place for place, name in enumerate(source.header) if name not in _ADDED]
        self._file: TextIO | None = None

    def add(self, record: Record, reason: str) -> None:
        if self._file is None:
            self._path.parent.mkdir(exist_ok=True)
            self._file = self._path.open("w", encoding="utf-8", errors="surrogateescape", newline="")
            self._write([*(self._header[place] for place in self._kept), *_ADDED])
            self._summary.rejected_file = self._path
        fields = record.fields
        cells = [fields[place] if place < len(fields) else "" for place in self._kept]
        self._write([*cells, record.line, reason])
        self._summary.rejected += 1
        if len(self._summary.examples) < _EXAMPLES:
            self._summary.examples.append(Rejection(record.line, reason))

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def _write(self, cells: list[object]) -> None:
        csv.writer(self._file).writerow(cells)  # type: ignore[arg-type]


@contextmanager
def rejected_rows(source: CsvFile, summary: TableSummary) -> Iterator[RejectedRows]:
    rows = RejectedRows(source, summary)
    try:
        yield rows
    finally:
        rows.close()


def rejected_path(source: Path) -> Path:
    return source.parent / "rejected" / source.name


def remove_rejected(sources: Iterable[Path]) -> None:
    """Remove what an earlier load rejected, and the folder where nothing else is in it."""
    for path in map(rejected_path, sources):
        path.unlink(missing_ok=True)
        folder = path.parent
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
