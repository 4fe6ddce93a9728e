"""`--help`: quick, complete, and within the width of a terminal."""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from metrics_pipeline.cli import app
from metrics_pipeline.cli.application import flowing

COMMANDS = sorted(get_command(app).commands)  # type: ignore[attr-defined]


def test_help_loads_nothing_that_is_slow() -> None:
    script = (
        "import sys\nfrom metrics_pipeline.cli import app\n"
        "try: app(['--help'])\nexcept SystemExit: pass\n"
        "print('LOADED', *sys.modules)"
    )
    said = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout
    loaded = {name.partition(".")[0] for name in said.rpartition("LOADED")[2].split()}
    assert not {"dagster", "pandas", "numpy", "sqlalchemy", "alembic", "redis"} & loaded


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_says_what_it_does_in_a_line(command: str) -> None:
    said = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "80"}).output
    (line,) = [line for line in said.splitlines() if line.startswith(f"│ {command} ")]
    assert len(line.rstrip(" │").removeprefix(f"│ {command} ").split()) > 2


@pytest.mark.parametrize("command", [[], *([name] for name in COMMANDS)])
def test_help_fills_the_lines_of_its_paragraphs(command: list[str]) -> None:
    result = CliRunner().invoke(app, [*command, "--help"], env={"COLUMNS": "80"})
    assert result.exit_code == 0
    lines = [line.rstrip() for line in result.output.partition("╭")[0].splitlines()]
    for line, following in pairwise(lines):
        if line.startswith(" ") and following.startswith(" ") and not following.startswith("  "):
            first_word = following.split()[0]
            assert len(line) + 1 + len(first_word) > 79, f"{line!r} was broken early"


def test_lines_are_kept_where_a_paragraph_asks_for_it() -> None:
    assert flowing("One\n two.\n\n\b\nThree\n  four\n\nFive\nsix.") == "One two.\n\n\b\nThree\n  four\n\nFive six."


def test_a_wrong_option_ends_with_code_2() -> None:
    result = CliRunner().invoke(app, ["calculate", "--date", "2026-02-30"])
    assert result.exit_code == 2
    assert "'2026-02-30' is not a day" in " ".join(result.output.replace("│", " ").split())
