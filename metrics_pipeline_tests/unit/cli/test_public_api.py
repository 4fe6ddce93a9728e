"""`import metrics_pipeline`: cheap, without Dagster, and with every name it promises."""

from __future__ import annotations

import subprocess
import sys

import pytest

import metrics_pipeline
from metrics_pipeline import BadRequest, api
from metrics_pipeline.periods import Grain


def modules_loaded_by(code: str) -> set[str]:
    """Top-level modules in a fresh interpreter after running the code."""
    script = f"import sys\n{code}\nprint(' '.join({{name.partition('.')[0] for name in sys.modules}}))"
    return set(
        subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout.split()
    )


def test_importing_the_package_loads_no_library() -> None:
    heavy = {"pandas", "numpy", "sqlalchemy", "pydantic", "redis", "dagster"}
    assert not heavy & modules_loaded_by("import metrics_pipeline")


def test_no_public_name_needs_dagster() -> None:
    assert "dagster" not in modules_loaded_by("from metrics_pipeline import *")


def test_reading_loads_nothing_that_computes() -> None:
    """The command that shows an account would take twice as long."""
    heavy = {"pandas", "polars", "numpy", "alembic"}
    assert not heavy & modules_loaded_by("from metrics_pipeline import MetricsReader, open_pipeline, read_metrics")


@pytest.mark.parametrize("name", metrics_pipeline.__all__)
def test_a_public_name_is_there_and_listed(name: str) -> None:
    assert getattr(metrics_pipeline, name).__name__ == name
    assert name in dir(metrics_pipeline)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'read_metric'"):
        metrics_pipeline.read_metric  # noqa: B018


def test_grains_may_be_named() -> None:
    assert api._grains(["month", Grain.DAY]) == [Grain.MONTH, Grain.DAY]
    assert api._grains("week") == [Grain.WEEK]
    assert api._grains(None) is None
    with pytest.raises(BadRequest, match=r"'quarter'.*day, week, month, year"):
        api._grains(["quarter"])
