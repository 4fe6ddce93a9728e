"""`locks` and `locks clear-stale`, with Dagster's records in this test's own database."""

from __future__ import annotations

import json
from datetime import date

import pytest

from metrics_pipeline.cache.held_locks import list_locks
from metrics_pipeline.cache.lock_keys import lock_key
from metrics_pipeline.cache.locks import period_locks
from metrics_pipeline.periods import Grain, Period

MONTH = Period(Grain.MONTH, date(2026, 3, 1))


def test_locks_are_listed(cli, redis_client, database) -> None:
    with period_locks(redis_client, database.engine, [MONTH], holder="a-run", policy="skip"):
        (told,) = json.loads(cli("locks", "--json").stdout)
        table = cli("locks", COLUMNS="160").stdout
    assert (told["grain"], told["period_start"], told["holder"]) == ("month", "2026-03-01", "a-run")
    assert told["remaining_seconds"] > 50
    assert "month 2026-03-01  a-run" in table
    assert cli("locks").stdout == "No period is locked: nothing is being computed.\n"


@pytest.mark.parametrize("as_json", [False, True])
def test_only_locks_that_outlived_their_run_are_cleared(cli, redis_client, database, as_json, monkeypatch) -> None:
    monkeypatch.setenv("DAGSTER_HOME", "")  # set by the command
    option = ["--json"] if as_json else []
    with period_locks(
        redis_client, database.engine, [MONTH, MONTH.shift(1)], holder="unknown-to-dagster", policy="skip"
    ):
        redis_client.expire(lock_key(MONTH), 10)  # as after 50 seconds without a renewal
        said = cli("locks", "clear-stale", *option).stdout
        assert [lock.period for lock in list_locks(redis_client)] == [MONTH.shift(1)]
        again = cli("locks", "clear-stale").stdout
    if as_json:
        assert [told["key"] for told in json.loads(said)] == ["metrics:lock:month:2026-03-01"]
    else:
        assert said == "Cleared metrics:lock:month:2026-03-01 of run unknown-to-dagster\n"
    assert again == "No lock is stale; 1 held.\n"
