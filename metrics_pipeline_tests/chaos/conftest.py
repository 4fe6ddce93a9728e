from __future__ import annotations

from collections.abc import Iterator

import pytest

from metrics_pipeline_tests.chaos.record import Faults


@pytest.fixture(scope="package")
def faults() -> Iterator[Faults]:
    """What became of each fault; printed at the end (seen with -s)."""
    faults = Faults()
    yield faults
    faults.show()
