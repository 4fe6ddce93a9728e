"""What a load did, table by table."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Rejection:
    """Why one row was not loaded. `line` counts the file's lines from 1, the header included."""

    line: int
    reason: str


@dataclass
class TableSummary:
    """One file. Rows read = inserted + updated + unchanged + rejected."""

    table: str
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    rejected: int = 0
    rejected_file: Path | None = None
    examples: list[Rejection] = field(default_factory=list)
    """The first few rejections; the file has all."""
    ignored_columns: tuple[str, ...] = ()

    @property
    def loaded(self) -> int:
        """Rows that the table now holds as the file has them."""
        return self.inserted + self.updated + self.unchanged

    @property
    def read(self) -> int:
        return self.loaded + self.rejected


@dataclass(frozen=True)
class LoadSummary:
    """A whole load: the tables in the order of loading, and the files of the directory left alone."""

    directory: Path
    tables: tuple[TableSummary, ...]
    unknown_files: tuple[str, ...]

    @property
    def read(self) -> int:
        return sum(table.read for table in self.tables)

    @property
    def loaded(self) -> int:
        return sum(table.loaded for table in self.tables)

    @property
    def rejected(self) -> int:
        return sum(table.rejected for table in self.tables)

    @property
    def rejected_files(self) -> tuple[Path, ...]:
        return tuple(table.rejected_file for table in self.tables if table.rejected_file)

    def of(self, table: str) -> TableSummary | None:
        """The summary of one table, or None where the directory had no file of it."""
        return next((found for found in self.tables if found.table == table), None)
