"""What README.md says there is, is there, and the other way round."""

from __future__ import annotations

import re
from pathlib import Path

from typer.main import get_command

from metrics_pipeline.cli import app
from metrics_pipeline.settings import Settings

README = (Path(__file__).parents[3] / "README.md").read_text(encoding="utf-8")


def first_cells(header: str) -> set[str]:
    """The first words in the first column of the table under a header line."""
    table = README.partition(f"\n| {header} |")[2].partition("\n\n")[0]
    return set(re.findall(r"^\| `([\w-]+)", table, re.MULTILINE))


def test_the_table_of_commands_is_complete() -> None:
    assert first_cells("Command") == set(get_command(app).commands)  # type: ignore[attr-defined]


def test_the_table_of_settings_is_complete() -> None:
    assert first_cells("Variable") == set(Settings.variables())


def test_defaults_are_those_of_the_code() -> None:
    said = dict(re.findall(r"^\| `(METRICS_\w+)` \| `([^`]+)` \|", README, re.MULTILINE))
    for name, field in Settings.variables().items():
        default = field.default
        if isinstance(default, tuple):
            default = ",".join(default)
        if default is not None:
            assert said[name] == (f"{default:g}" if isinstance(default, float) else str(default))
