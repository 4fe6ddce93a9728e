"""The steps of a long command: each shown while it runs, then told in a line with its seconds."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.text import Text

from metrics_pipeline.cli.output import Bar, console, progress_bar


class Step:
    """A running step. `done` is the line that is printed at its end."""

    def __init__(self, bar: Bar, doing: str) -> None:
        self.bar, self.done = bar, doing


@contextmanager
def step(doing: str) -> Iterator[Step]:
    """Show `doing` while the block runs, then print what it set as `done`. Prints nothing when it fails."""
    started = time.perf_counter()
    with progress_bar(doing) as bar:
        running = Step(bar, doing)
        yield running
    seconds = time.perf_counter() - started
    console.print(Text.assemble(("✓ ", "green"), running.done, (f"  {seconds:.1f} s", "dim")), soft_wrap=True)
