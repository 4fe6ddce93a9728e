"""Faults in a whole system under edits: afterwards it comes to rest by itself, and all is right."""

from __future__ import annotations

import time
from collections.abc import Iterator
from random import Random

import pytest

from metrics_pipeline_tests.chaos.faults import FAULTS
from metrics_pipeline_tests.chaos.record import LONG, SEED, Faults
from metrics_pipeline_tests.chaos.system import System, running_system

SHORT = ["the worker killed", "PostgreSQL killed"]


@pytest.fixture(scope="module")
def system() -> Iterator[System]:
    with running_system(Random(SEED)) as system:
        system.come_to_rest()
        yield system


def suffer(system: System, name: str, random: Random, faults: Faults) -> None:
    before = system.look()
    with faults.recovering(name):
        with system.being_edited(random):
            time.sleep(random.uniform(0, 3))
            FAULTS[name](system, random)
            time.sleep(random.uniform(0, 1))
        system.come_to_rest()
        after = system.look()
        assert after.wrong == []
        assert after.backwards(before.versions) == []


@pytest.mark.timeout(240)
@pytest.mark.parametrize("name", SHORT)
def test_the_system_comes_to_rest_by_itself_with_everything_right(system, name, faults):
    suffer(system, name, Random(f"{SEED} {name}"), faults)


@pytest.mark.skipif(not LONG, reason="part of the long form: METRICS_CHAOS_FAULTS")
@pytest.mark.timeout(7200)
def test_many_faults_one_after_the_other(system, faults):
    random = Random(SEED)
    failed = []
    for _ in range(-(-LONG // 4 // len(FAULTS))):
        for name in random.sample(list(FAULTS), len(FAULTS)):
            try:
                suffer(system, name, random, faults)
            except AssertionError as error:
                failed.append(f"{name}: {error}")
    assert failed == []
