"""What was measured, as one table and as JSON. Every ratio is of medians from one run on one machine."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.measure import Measured

_PHASES = ("pull", "sort", "compute", "assemble", "store", "publish")

console = Console()


class Results:
    """Lines in the order in which they were measured, each held against another one where that says something."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._found: dict[str, Measured] = {}
        self._against: dict[str, str] = {}
        self._notes: dict[str, str] = {}

    def keep(self, name: str, found: Measured, against: str | None = None, note: str = "") -> None:
        """Add a line. `against`: the line that its seconds are divided by."""
        self._found[name], self._notes[name] = found, note
        if against:
            self._against[name] = against
        console.print(f"[dim]{name}: {found.seconds:.3f} s  {note}")

    def seconds(self, name: str) -> float | None:
        """Of a line that there is by now."""
        return self._found[name].seconds if name in self._found else None

    def ratio(self, name: str) -> float | None:
        against = self._against.get(name)
        return self._found[name].seconds / self._found[against].seconds if against in self._found else None

    def table(self) -> Table:
        shown = Table(title=self._title)
        for column in ("", "seconds", "ratio", "to", *_PHASES, "CPU Python", "PostgreSQL", "Redis", "peak MB", ""):
            shown.add_column(column, justify="left" if column in ("", "to") else "right")
        for name, found in self._found.items():
            ratio = self.ratio(name)
            shown.add_row(
                name,
                f"{found.seconds:.3f}",
                f"{ratio:.1f}" if ratio else "",
                self._against[name] if ratio else "",
                *(f"{found.phases[phase]:.3f}" if phase in found.phases else "" for phase in _PHASES),
                f"{found.python_cpu:.2f}",
                "" if found.postgres_cpu is None else f"{found.postgres_cpu:.2f}",
                "" if found.redis_cpu is None else f"{found.redis_cpu:.2f}",
                f"{found.peak / 2**20:,.0f}",
                self._notes[name],
            )
        return shown

    def write_json(self, path: Path) -> None:
        figures = {
            name: {**asdict(found), "ratio": self.ratio(name), "note": self._notes[name]}
            for name, found in self._found.items()
        }
        path.write_text(json.dumps(figures, indent=1), encoding="utf-8")
