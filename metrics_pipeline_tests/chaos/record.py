"""What became of each fault, as a table."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median
from time import monotonic

from rich.console import Console
from rich.table import Table

LONG = int(os.environ.get("METRICS_CHAOS_FAULTS", "0"))
"""How many faults the long form makes; 0: the short form. Read at import, before tests clean their environment."""

SEED = int(os.environ.get("METRICS_CHAOS_SEED", "5"))


@dataclass
class Faults:
    """`seconds`: until all had come to rest, right. `lost`: faults after which something was wrong, and what."""

    seconds: dict[str, list[float]] = field(default_factory=dict)
    lost: dict[str, list[str]] = field(default_factory=dict)

    @contextmanager
    def recovering(self, fault: str) -> Iterator[None]:
        """Around what must hold after a fault: an AssertionError counts as one that was not recovered from."""
        began = monotonic()
        try:
            yield
        except AssertionError as error:
            self.lost.setdefault(fault, []).append(str(error))
            print(f"LOST after {fault}: {error}", flush=True)
            raise
        took = monotonic() - began
        self.seconds.setdefault(fault, []).append(took)
        if LONG:
            print(f"{took:6.1f} s  {fault}", flush=True)

    def show(self) -> None:
        table = Table("fault", "times", "recovered", "median s", "worst s", "lost", title="Faults")
        for fault in dict.fromkeys([*self.seconds, *self.lost]):
            took, lost = self.seconds.get(fault, []), self.lost.get(fault, [])
            times = [f"{median(took):.1f}", f"{max(took):.1f}"] if took else ["", ""]
            table.add_row(fault, str(len(took) + len(lost)), str(len(took)), *times, str(len(lost)))
        recovered, lost_ones = sum(map(len, self.seconds.values())), sum(map(len, self.lost.values()))
        table.add_section()
        table.add_row("all", str(recovered + lost_ones), str(recovered), "", "", str(lost_ones))
        Console(width=110).print(table)
