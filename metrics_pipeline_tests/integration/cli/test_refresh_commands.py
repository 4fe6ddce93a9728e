"""`refresh` computes what is stale and nothing else; `warm` publishes what is stored and computes nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from decimal import Decimal

import pytest
from sqlalchemy import text

from metrics_pipeline.cache.keys import Entry, cache_key
from metrics_pipeline.metrics.payload import PeriodMetrics
from metrics_pipeline.periods import Grain, Period
from metrics_pipeline_tests.reference import Account, Data, Expense, insert

TODAY = datetime.now(timezone.utc).date()
START = {"METRICS_START_DATE": (TODAY - timedelta(days=40)).isoformat()}


@pytest.fixture
def calculated(database, cli) -> None:
    """Accounts 1 and 2 spend 10 a day, today and thirty days ago; all is computed."""
    at = [datetime(*day.timetuple()[:3], 0, tzinfo=timezone.utc) for day in (TODAY, TODAY - timedelta(days=30))]
    with database.engine.begin() as connection:
        insert(
            connection, Data([Account(1), Account(2)], [], [Expense(n, Decimal(10), t) for n in (1, 2) for t in at], [])
        )
    cli("calculate", "--all-history", **START)


@pytest.fixture
def edit(database) -> Callable[..., None]:
    def change(account: int, days_ago: int = 0) -> None:
        with database.engine.begin() as connection:
            changed = connection.execute(
                text("UPDATE expenses SET amount = 11 WHERE email_account_id = :account AND transaction_date = :at"),
                {"account": account, "at": f"{TODAY - timedelta(days=days_ago)} 00:00+00"},
            )
        assert changed.rowcount == 1

    return change


def day_total(redis_client, account: int, days_ago: int = 0) -> Decimal | None:
    value = redis_client.get(cache_key(account, Period(Grain.DAY, TODAY - timedelta(days=days_ago))))
    if value is None:
        return None
    return PeriodMetrics.model_validate_json(Entry.decode(value).payload).currencies["USD"].total


def refresh(cli, *words: object) -> dict:
    return json.loads(cli("refresh", *words, "--json", **START).stdout)


def test_nothing_stale_is_said_and_is_no_error(cli, calculated) -> None:
    assert "Absorbed 0 changes; refreshed 0 payloads" in cli("refresh", **START).stdout


def test_just_what_changed_is_computed_stored_and_published(cli, calculated, edit, redis_client) -> None:
    edit(1)
    done = refresh(cli)
    assert (done["changes"], done["payloads"], done["published"], done["periods_waiting"]) == (1, 4, 4, 0)
    assert [period["grain"] for period in done["periods"]] == ["day", "month", "week", "year"]
    assert (day_total(redis_client, 1), day_total(redis_client, 2)) == (11, 10)
    assert refresh(cli)["payloads"] == 0


def test_one_account_or_day_or_grain_is_refreshed_and_the_others_wait(cli, calculated, edit, redis_client) -> None:
    edit(1)
    edit(2, days_ago=30)
    done = refresh(cli, "--account", 1, "--grain", "day")
    assert (done["changes"], done["payloads"]) == (2, 1)
    assert day_total(redis_client, 1) == 11
    assert day_total(redis_client, 2, days_ago=30) is None  # dropped: whoever reads it gets it computed
    assert refresh(cli, "--date", TODAY - timedelta(days=30), "--grain", "day")["payloads"] == 1
    assert day_total(redis_client, 2, days_ago=30) == 11
    rest = refresh(cli)
    assert rest["changes"] == 0
    assert rest["payloads"] > 6
    assert rest["periods_waiting"] == 0


def test_warming_publishes_what_is_stored_and_leaves_what_is_stale(cli, calculated, edit, redis_client) -> None:
    edit(2)
    refresh(cli, "--account", 1)  # absorbs; nothing of this account is stale
    redis_client.flushdb()
    published = json.loads(cli("warm", "--json", **START).stdout)["published"]
    assert published == len(list(redis_client.scan_iter("metrics:{*}:*"))) > 10
    assert (day_total(redis_client, 1), day_total(redis_client, 2)) == (10, None)
    assert f"{published:,} stored payloads published." in cli("warm", **START).stdout
