"""The typer application: its help, and how every command ends."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import typer
from typer.core import TyperGroup

from metrics_pipeline.cli.exits import INTERRUPTED, exit_code
from metrics_pipeline.cli.output import complain
from metrics_pipeline.errors import MetricsPipelineError

Command = TypeVar("Command", bound=Callable[..., Any])

_HELP = """Expense metrics per day, week, month and year, pre-computed and exact.

Servers that have no URL configured are started under METRICS_HOME (default
.metrics) by the commands that need them; [bold]down[/bold] stops them.

\b
[bold]Try it[/bold]
  metrics-pipeline run                      everything once, on sample data
  metrics-pipeline up                       Dagster's web UI, until Ctrl-C

\b
[bold]Your own expenses[/bold]
  metrics-pipeline load my-csv-files        CSV files named after the tables
  metrics-pipeline calculate --all-history
  metrics-pipeline show 17 --grain month
  metrics-pipeline export --format parquet -o metrics.parquet

\b
[bold]Exit codes[/bold]
  0    done
  1    done or failed in part: the output says what needs attention
  2    an option, a setting or the schema must be changed first
  3    a server was away or busy: the same command may work later
  130  interrupted by Ctrl-C
"""


class _Group(TyperGroup):
    """Ends commands: errors of our own become one message and an exit code, never a traceback."""

    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]
        _print_what_the_terminal_cannot()
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
            return result
        except MetricsPipelineError as error:
            complain(str(error))
            raise typer.Exit(exit_code(error)) from error
        except KeyboardInterrupt:
            complain("Interrupted.")
            raise typer.Exit(INTERRUPTED) from None
        except BrokenPipeError:
            # Whoever read our output has seen enough (`| head`). Python would complain when it flushes at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(0) from None


class _Application(typer.Typer):
    """Takes each command's docstring for its help."""

    def command(self, name: str | None = None, **options: Any) -> Callable[[Command], Command]:
        def register(function: Command) -> Command:
            options.setdefault("help", flowing(inspect.getdoc(function) or ""))
            return super(_Application, self).command(name, **options)(function)

        return register


def flowing(text: str) -> str:
    """Each paragraph as one line, for the terminal to break; those that begin with a backspace keep their lines."""
    paragraphs = text.strip().split("\n\n")
    return "\n\n".join(part if part.startswith("\b") else " ".join(part.split()) for part in paragraphs)


def application() -> typer.Typer:
    """An application without commands."""
    app = _Application(
        name="metrics-pipeline",
        cls=_Group,
        help=flowing(_HELP),
        no_args_is_help=True,
        rich_markup_mode="rich",
        pretty_exceptions_show_locals=False,  # they hold URLs, and URLs hold passwords
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_version_option)
    return app


def _print_what_the_terminal_cannot() -> None:
    """Where output is not UTF-8, print `?` for a character that it lacks rather than fail."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure") and stream.encoding.lower().replace("-", "") != "utf8":
            stream.reconfigure(errors="replace")


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"metrics-pipeline {version('metrics_pipeline')}")
        raise typer.Exit


def _version_option(
    version: bool = typer.Option(False, "--version", callback=_show_version, is_eager=True, help="Print the version."),
) -> None:
    pass
