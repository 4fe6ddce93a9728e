"""A command of `metrics-pipeline`, run in the process of the test: starting one costs seconds, most of them imports."""

from __future__ import annotations

import os
from collections.abc import Mapping
from unittest.mock import patch

from typer.testing import CliRunner, Result

from metrics_pipeline.cli import app


def run_command(environment: Mapping[str, str], *words: object) -> Result:
    """Run a command with these variables; what it changes of them is undone."""
    with patch.dict(os.environ, environment):
        return CliRunner().invoke(app, [str(word) for word in words])
