"""Where commands write: results to standard output; progress, remarks and errors to standard error."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from metrics_pipeline.planning.request import Outcome

console = Console(highlight=False)
remarks = Console(stderr=True, highlight=False)


def complain(message: str) -> None:
    """One error, on standard error. Not wrapped here, so that it can be searched for and copied."""
    remarks.print(Text.assemble(("Error: ", "bold red"), message), soft_wrap=True)


def remark(message: str) -> None:
    """A line for the person who looks on, kept out of what a program reads."""
    remarks.print(Text(message), soft_wrap=True)


def print_json(value: Any) -> None:
    """One JSON document on one line: dates as ISO 8601, Decimals and paths as strings."""
    import orjson

    print_line(orjson.dumps(value, default=str))


def print_line(line: bytes) -> None:
    """Bytes as they are: a console would wrap them."""
    sys.stdout.flush()
    sys.stdout.buffer.write(line + b"\n")
    sys.stdout.buffer.flush()


class Bar:
    """A running progress bar; on anything but a terminal nothing is shown."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress, self._task = progress, task

    def __call__(self, done: int, total: int) -> None:
        """How much is done, of how much: what loading and the sample report."""
        self._progress.update(self._task, completed=done, total=total)

    def follow(self, outcome: Outcome) -> None:
        """How far a computation is."""
        self(outcome.accounts_done, outcome.accounts_to_do)

    def say(self, doing: str) -> None:
        """What is being done now."""
        self._progress.update(self._task, description=doing)


@contextmanager
def progress_bar(doing: str) -> Iterator[Bar]:
    """A bar on standard error while the block runs; it moves to and fro until it is told how far things are."""
    from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(bar_width=24), TaskProgressColumn())
    with Progress(*columns, console=remarks, transient=True, disable=not remarks.is_terminal) as progress:
        yield Bar(progress, progress.add_task(doing, total=None))
