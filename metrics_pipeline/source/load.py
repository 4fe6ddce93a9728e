"""Loading a directory of CSV files into the expense tables, all of it or nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from zoneinfo import ZoneInfo

import psycopg
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from metrics_pipeline.database import domain_errors, is_retryable
from metrics_pipeline.errors import BadRequest, ConcurrentUpdate
from metrics_pipeline.source.category_tree import rows_within_the_tree
from metrics_pipeline.source.csv_file import CsvFile
from metrics_pipeline.source.merge import merge
from metrics_pipeline.source.rejected import RejectedRows, rejected_rows, remove_rejected
from metrics_pipeline.source.rows import Row, loadable_rows
from metrics_pipeline.source.stored import stored_ids, stored_parents
from metrics_pipeline.source.summary import LoadSummary, TableSummary
from metrics_pipeline.source.tables import expense_tables

Progress = Callable[[int, int], None]
"""Told (bytes read, bytes of all files) from time to time."""


def load_directory(engine: Engine, directory: Path, *, zone: ZoneInfo, progress: Progress | None = None) -> LoadSummary:
    """Load the CSV files of a directory that are named after the expense tables, in one transaction.

    Rows are upserted by id; a row that is already there as the file has it is not rewritten, and
    columns that a file lacks are left alone. What cannot be loaded goes to DIR/rejected/<table>.csv
    with its line and reason, and so do the rows that refer to it; the rest is loaded.

    Args:
        engine: the database; its expense tables must be there.
        directory: holds any of email_accounts.csv, categories.csv, expenses.csv, budgets.csv and
            budget_categories.csv, in UTF-8, separated by commas.
        zone: of the times that name no offset, and of days given where a time is expected.
        progress: told how far the files have been read.

    Raises:
        BadRequest: no directory, no such file in it, a column is missing, or the database's own
            rules refuse a row. Nothing was loaded.
        DatabaseUnavailable, ConcurrentUpdate: nothing was loaded; load again.
    """
    files, unknown = _files(directory, zone)
    with _one_load(directory, [file.path for file in files]), engine.begin() as connection:
        tables = tuple(_load(connection, file, _teller(files, file, progress)) for file in files)
    return LoadSummary(directory, tables, unknown)


def _load(connection: Connection, file: CsvFile, bytes_read: Callable[[int], None]) -> TableSummary:
    summary = TableSummary(file.table.name, ignored_columns=file.ignored_columns)
    columns = [column for _, column in file.columns]
    with rejected_rows(file, summary) as rejected:
        rows = _rows(connection, file, bytes_read, rejected)
        merge(connection, file.table, columns, (row.values for row in rows), summary)
    return summary


def _rows(
    connection: Connection, file: CsvFile, bytes_read: Callable[[int], None], rejected: RejectedRows
) -> Iterable[Row]:
    """The rows to load. Whatever they need of the database is read now: during COPY it can't be."""
    names = [column.name for _, column in file.columns]
    referred_to = {column.refers_to for _, column in file.columns if column.refers_to}
    known_ids = {table: stored_ids(connection, table) for table in referred_to}
    rows = loadable_rows(file, file.records(bytes_read), known_ids, rejected)
    if "parent_id" not in names:
        return rows
    parents = stored_parents(connection)
    return rows_within_the_tree(rows, names.index("id"), names.index("parent_id"), parents, rejected)


def _files(directory: Path, zone: ZoneInfo) -> tuple[list[CsvFile], tuple[str, ...]]:
    """The files to load, in loading order, and the names of the others."""
    try:
        present = sorted(path.name for path in directory.iterdir() if path.is_file() and path.name[0] != ".")
    except OSError as error:
        raise BadRequest(
            f"Loading {directory}: {error.strerror}. Give a directory with CSV files named after the tables."
        ) from error
    tables = {f"{table.name}.csv": table for table in expense_tables(zone)}
    files = [CsvFile.of(directory / name, table) for name, table in tables.items() if name in present]
    if not files:
        raise BadRequest(f"Loading {directory}: none of {', '.join(tables)} is in it. Name the files after the tables.")
    return files, tuple(name for name in present if name not in tables)


def _teller(files: list[CsvFile], file: CsvFile, progress: Progress | None) -> Callable[[int], None]:
    """What turns bytes read of one file into progress on all of them."""
    sizes = [each.path.stat().st_size for each in files]
    before, total = sum(sizes[: files.index(file)]), sum(sizes)
    return lambda done: progress(before + done, total) if progress else None


@contextmanager
def _one_load(directory: Path, paths: list[Path]) -> Iterator[None]:
    """What an earlier load rejected is removed; so is what this one did, if it fails and loads nothing."""
    action = f"Loading {directory}"
    try:
        remove_rejected(paths)
        try:
            with domain_errors(action):
                yield
        except BaseException:
            remove_rejected(paths)
            raise
    except OSError as error:
        raise BadRequest(f"{action}: {error.filename}: {error.strerror}. Nothing was loaded.") from error
    except Exception as error:
        cause = error.orig if isinstance(error, DBAPIError) else error
        if is_retryable(error):
            raise ConcurrentUpdate(
                f"{action}: another transaction changed the same rows. Nothing was loaded; load again."
            ) from error
        if isinstance(cause, (psycopg.IntegrityError, psycopg.DataError)):
            raise BadRequest(
                f"{action}: the database refused a row ({cause.diag.message_primary}; "
                f"{cause.diag.message_detail or cause.diag.context}). Nothing was loaded."
            ) from error
        raise
