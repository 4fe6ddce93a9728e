"""A home for embedded servers."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from metrics_pipeline.services.embedded import stop_services
from metrics_pipeline.settings import Settings
from metrics_pipeline_tests.scratch import scratch


@pytest.fixture
def home() -> Iterator[Path]:
    """Short enough for sockets, and with nothing running in it afterwards."""
    home = Path(tempfile.mkdtemp(prefix="metrics-home-", dir=scratch()))
    yield home
    stop_services(Settings(home=home))
    shutil.rmtree(home)
