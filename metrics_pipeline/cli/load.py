from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from metrics_pipeline.cli.exits import ATTENTION
from metrics_pipeline.cli.opened import opened_pipeline
from metrics_pipeline.cli.options import AsJson
from metrics_pipeline.cli.output import console, print_json, progress_bar

if TYPE_CHECKING:
    from metrics_pipeline.source.summary import LoadSummary


def load(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Holds CSV files named after the tables.")],
    as_json: AsJson = False,
) -> None:
    """Load CSV files into the expense tables.

    DIR has any of email_accounts.csv, categories.csv, expenses.csv,
    budgets.csv and budget_categories.csv. Columns go by their header; unknown
    ones are ignored and an empty cell is NULL. Rows are matched by id, so that
    loading a file again changes nothing.

    A row that cannot be loaded goes to DIR/rejected/<table>.csv with its line
    and the reason, the others are loaded, and the exit code is 1. All of it is
    one transaction: a load that fails has loaded nothing.

    \b
    [bold]The least that works[/bold]
      email_accounts.csv  id,email
      expenses.csv        id,email_account_id,amount,currency,transaction_date

    \b
    [bold]Example[/bold]
      metrics-pipeline load my-csv-files
      metrics-pipeline calculate --all-history
    """
    from metrics_pipeline.source.load import load_directory

    with opened_pipeline() as pipeline, progress_bar(f"Loading {directory}") as progress:
        summary = load_directory(pipeline.engine, directory, zone=pipeline.settings.zone, progress=progress)
    if as_json:
        print_json(_as_json(summary))
    else:
        _print(summary)
    if summary.rejected:
        raise typer.Exit(ATTENTION)


def _print(summary: LoadSummary) -> None:
    table = Table(box=None, pad_edge=False)
    table.add_column("Table")
    for name in ("Inserted", "Updated", "Unchanged", "Rejected"):
        table.add_column(name, justify="right")
    for of in summary.tables:
        rejected = Text(f"{of.rejected:,}", "bold red" if of.rejected else "")
        table.add_row(of.table, f"{of.inserted:,}", f"{of.updated:,}", f"{of.unchanged:,}", rejected)
    console.print(table)
    for of in summary.tables:
        if of.ignored_columns:
            _say(f"{of.table}.csv: columns ignored: {', '.join(of.ignored_columns)}")
    if summary.unknown_files:
        _say(f"Files left alone: {', '.join(summary.unknown_files)}")
    for of in summary.tables:
        for rejection in of.examples:
            _say(f"{of.table}.csv line {rejection.line}: {rejection.reason}")
        if of.rejected_file:
            _say(f"All {of.rejected:,} rejected rows of {of.table}.csv, with reasons: {of.rejected_file}")


def _say(line: str) -> None:
    """As it is: file names and reasons may hold brackets, which are markup elsewhere."""
    console.print(line, markup=False, soft_wrap=True)


def _as_json(summary: LoadSummary) -> dict[str, Any]:
    return {
        "directory": str(summary.directory),
        "read": summary.read,
        "loaded": summary.loaded,
        "rejected": summary.rejected,
        "tables": {
            of.table: {
                "inserted": of.inserted,
                "updated": of.updated,
                "unchanged": of.unchanged,
                "rejected": of.rejected,
                "rejected_file": of.rejected_file and str(of.rejected_file),
                "ignored_columns": of.ignored_columns,
            }
            for of in summary.tables
        },
        "unknown_files": summary.unknown_files,
    }
