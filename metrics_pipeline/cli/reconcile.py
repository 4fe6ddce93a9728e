from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Optional

import typer
from rich.table import Table

from metrics_pipeline.cli.exits import ATTENTION
from metrics_pipeline.cli.opened import opened_pipeline
from metrics_pipeline.cli.options import AsJson
from metrics_pipeline.cli.output import console, print_json, progress_bar

if TYPE_CHECKING:
    from metrics_pipeline.reconciliation.findings import Reconciliation


def reconcile(
    full: Annotated[
        bool, typer.Option("--full", help="Compute every payload again, rather than compare checksums.")
    ] = False,
    sample: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option("--sample", metavar="N", min=1, help="Only N accounts, chosen by hash. Default: all."),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Another seed chooses other accounts.")] = 0,
    repair: Annotated[bool, typer.Option("--repair/--no-repair", help="Refresh what differs.")] = True,
    as_json: AsJson = False,
) -> None:
    """Find and mend what no trigger could see.

    Compares the expenses with what each stored payload was computed from, the
    stored rows with what was written, and the cache with the store: finds
    changes made while triggers were disabled, a restored dump, edits by hand.
    What differs is refreshed and compared again. What is known to be stale is
    no finding.

    The exit code is 0 when nothing differed, 1 when something did, repaired or
    not, 3 when a server is away.

    \b
    [bold]Examples[/bold]
      metrics-pipeline reconcile --no-repair
      metrics-pipeline reconcile --full --sample 100
    """
    from metrics_pipeline.reconciliation.findings import ReconcileRequest

    request = ReconcileRequest(full, sample, seed, repair)
    with opened_pipeline() as pipeline, progress_bar("Comparing"):
        result = pipeline.reconcile(request)
    if as_json:
        print_json(result.as_dict())
    else:
        _print(result)
    if result.total:
        raise typer.Exit(ATTENTION)


def _print(result: Reconciliation) -> None:
    if result.sample:
        table = Table(box=None, pad_edge=False)
        for name in ("Found", "Account", "Grain", "Period"):
            table.add_column(name)
        for name in ("Expenses", "Stored"):
            table.add_column(name, justify="right")
        for drift in result.sample:
            shown = drift.as_dict()
            table.add_row(*("" if value is None else str(value) for value in shown.values()))
        console.print(table)
        if result.total > len(result.sample):
            console.print(f"… and {result.total - len(result.sample):,} more.")
    for line in (_compared(result), _beside(result), _verdict(result)):
        if line:
            console.print(line, soft_wrap=True)


def _compared(result: Reconciliation) -> str:
    again = f", {result.recomputed:,} of them computed again" if result.recomputed else ""
    return (
        f"Compared {result.compared:,} payloads of {result.accounts:,} accounts{again}, and {result.cached:,} cache "
        f"entries, in {result.seconds:.2f} s. {result.deferred:,} more are known to be stale or outdated."
    )


def _beside(result: Reconciliation) -> str:
    """Expenses that no payload can contain."""
    parts = []
    if result.without_account:
        parts.append(f"{result.without_account:,} expenses belong to no account")
    if result.outside:
        parts.append(f"{result.outside:,} lie before METRICS_START_DATE's year or after this one")
    return f"{'; '.join(parts)}: no metrics contain them." if parts else ""


def _verdict(result: Reconciliation) -> str:
    if not result.total:
        return "Nothing differs."
    found = ", ".join(f"{count:,} {kind}" for kind, count in result.found.items() if count)
    if result.remaining is None:
        return f"Found {found}. Nothing was changed: run `metrics-pipeline reconcile` to mend it."
    if result.remaining:
        return (
            f"Found {found}. After a refresh of {result.marked or 0:,} payloads {result.remaining:,} still differ: "
            "look at `metrics-pipeline check`, then reconcile again."
        )
    return f"Found {found}. Repaired by a refresh of {result.marked or 0:,} payloads; compared again, nothing differs."
