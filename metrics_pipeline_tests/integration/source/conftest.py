"""A directory of CSV files to load, and reading back what came of it."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Engine, text

from metrics_pipeline.source.load import load_directory
from metrics_pipeline.source.summary import LoadSummary

ZONE = ZoneInfo("America/Costa_Rica")


@dataclass
class Files:
    """CSV files in a directory of their own, and the database that they are loaded into."""

    directory: Path
    engine: Engine

    def write(self, table: str, content: str | bytes) -> None:
        path = self.directory / f"{table}.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())

    def load(self, progress: Callable[[int, int], None] | None = None) -> LoadSummary:
        return load_directory(self.engine, self.directory, zone=ZONE, progress=progress)

    def counts(self, table: str, summary: LoadSummary) -> tuple[int, int, int, int]:
        """Inserted, updated, unchanged and rejected rows."""
        found = summary.of(table)
        assert found is not None
        return found.inserted, found.updated, found.unchanged, found.rejected

    def rejected(self, table: str) -> list[dict[str, str]]:
        path = self.directory / "rejected" / f"{table}.csv"
        with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
            return list(csv.DictReader(file))

    def rows(self, statement: str, **parameters: Any) -> list[tuple[Any, ...]]:
        with self.engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(statement), parameters)]

    def one(self, statement: str, **parameters: Any) -> Any:
        ((value,),) = self.rows(statement, **parameters)
        return value


@pytest.fixture
def files(database: Any, tmp_path: Path) -> Files:
    directory = tmp_path / "csv"
    directory.mkdir()
    return Files(directory, database.engine)


@pytest.fixture
def household(files: Files) -> Files:
    """One account, two categories and three good expenses, in files."""
    files.write("email_accounts", "id,email,bank_name,currency,active\n1,ana@example.com,First Harbor Bank,crc,true\n")
    files.write("categories", "id,name,parent_id\n2,Groceries,1\n1,Food,\n")
    files.write(
        "expenses",
        "id,email_account_id,category_id,amount,currency,status,merchant_name,transaction_date\n"
        "1,1,2,12.50,usd,Processed,Café Aurora,2026-03-01T10:00:00Z\n"
        "2,1,,7,CRC,PENDING,,2026-03-02\n"
        '3,1,1,0.01,EUR,,"Bean, ""Barrel"" & Co",2026-03-03 23:59:59.999999-06:00\n',
    )
    return files
