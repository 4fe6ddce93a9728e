from __future__ import annotations

import sys
from datetime import date
from enum import Enum
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any, Optional

import typer

from metrics_pipeline.cli.opened import opened_pipeline
from metrics_pipeline.cli.options import Accounts, Grains, day_option
from metrics_pipeline.cli.output import remark
from metrics_pipeline.errors import BadRequest

if TYPE_CHECKING:
    from metrics_pipeline.pipeline import Pipeline


class Format(str, Enum):
    """What an export is written as."""

    JSONL = "jsonl"
    CSV = "csv"
    PARQUET = "parquet"


def export(
    grains: Grains = None,
    first: Annotated[
        Optional[date],  # noqa: UP045
        day_option("--from", help="Only periods that start on this day or later."),
    ] = None,
    last: Annotated[
        Optional[date],  # noqa: UP045
        day_option("--to", help="Only periods that start on this day or earlier."),
    ] = None,
    accounts: Accounts = None,
    format: Annotated[Format, typer.Option("--format", "-f", help="How to write it.")] = Format.JSONL,
    output: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--output", "-o", metavar="FILE", help="Default: standard output."),
    ] = None,
) -> None:
    """Write stored metrics to a file or to standard output.

    jsonl is the payloads, one a line, of every account and period with
    expenses. csv and parquet are flat: a row for each account, period and
    currency, amounts as decimals.

    Only what was calculated is there: calculate --all-history fills the rest.
    A file is replaced once all of it is written, else left as it was.

    \b
    [bold]Examples[/bold]
      metrics-pipeline export --grain month --from 2026-01-01 > months.jsonl
      metrics-pipeline export --format parquet -o metrics.parquet
      metrics-pipeline export -g day -a 17 -f csv | column -s, -t
    """
    from metrics_pipeline.cli.whole_file import whole_file

    if first and last and first > last:
        raise BadRequest(f"--from {first} is after --to {last}: no period lies between them.")
    if format is Format.PARQUET and output is None and sys.stdout.isatty():
        raise BadRequest("Parquet is binary: give a file with -o, or redirect the output.")
    chosen = {"grains": grains or None, "first": first, "last": last, "account_ids": accounts or None}
    with opened_pipeline() as pipeline:
        if output is None:
            written = _write(pipeline, chosen, format, sys.stdout.buffer)
            sys.stdout.buffer.flush()
        else:
            with whole_file(output) as file:
                written = _write(pipeline, chosen, format, file)
    what = "payloads" if format is Format.JSONL else "rows"
    if written == 0:
        remark(f"Nothing was stored for this: 0 {what}. `metrics-pipeline calculate` computes and stores.")
    elif output is not None:
        remark(f"Wrote {written:,} {what} to {output}.")


def _write(pipeline: Pipeline, chosen: dict[str, Any], format: Format, file: IO[bytes]) -> int:
    """Returns how many payloads or rows were written."""
    if format is Format.JSONL:
        written = 0
        for payload in pipeline.export(**chosen):
            file.write(payload.model_dump_json(by_alias=True).encode() + b"\n")
            written += 1
        return written
    from metrics_pipeline.cli.flat_file import write_csv, write_parquet

    frame = pipeline.read_metrics(**chosen)
    (write_csv if format is Format.CSV else write_parquet)(frame, file)
    return len(frame)
