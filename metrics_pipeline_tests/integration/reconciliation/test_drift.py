"""Each way in which store and cache come to differ from the expenses without anybody being told: found and mended."""

from __future__ import annotations

from typing import Any

import pytest

from metrics_pipeline.cache.keys import Entry, cache_key
from metrics_pipeline.periods import Grain, Period
from metrics_pipeline.reconciliation import compare
from metrics_pipeline_tests.integration.reconciliation.conftest import Unwatched
from metrics_pipeline_tests.world import CURRENT

OF_ACCOUNT_1 = "(SELECT id FROM expenses WHERE email_account_id = 1 AND transaction_date = '2026-01-12 12:00+00')"

INSERT = "INSERT INTO expenses (email_account_id, amount, currency, transaction_date) VALUES"

UNSEEN = {
    "amount": ([f"UPDATE expenses SET amount = amount + 1 WHERE id = {OF_ACCOUNT_1}"], {"mismatched": 4}),
    "category": ([f"UPDATE expenses SET category_id = 2 WHERE id = {OF_ACCOUNT_1}"], {"mismatched": 4}),
    "no category": ([f"UPDATE expenses SET category_id = NULL WHERE id = {OF_ACCOUNT_1}"], {"mismatched": 4}),
    "merchant": ([f"UPDATE expenses SET merchant_name = 'other' WHERE id = {OF_ACCOUNT_1}"], {"mismatched": 4}),
    "status": ([f"UPDATE expenses SET status = 'failed' WHERE id = {OF_ACCOUNT_1}"], {"mismatched": 4}),
    "currency": ([f"UPDATE expenses SET currency = 'CRC' WHERE id = {OF_ACCOUNT_1}"], {"mismatched": 4}),
    "moved within the month": (
        [f"UPDATE expenses SET transaction_date = '2026-01-24' WHERE id = {OF_ACCOUNT_1}"],
        # The day that it left, the one where it came (which has no payload), two weeks, the month, the year.
        {"mismatched": 4, "extra": 1},
    ),
    "amounts swapped": (
        [
            "UPDATE expenses SET amount = CASE amount WHEN 10 THEN 11 WHEN 11 THEN 10 END "
            "WHERE email_account_id = 1 AND amount IN (10, 11)",
        ],
        None,
    ),
    "inserted on a day without": (
        [f"{INSERT} (2, 5, 'USD', '2026-02-02')"],
        {"mismatched": 3},
    ),
    "inserted on a day with": (
        [f"{INSERT} (2, 5, 'USD', '2026-01-12')"],
        {"mismatched": 4},
    ),
    "deleted": ([f"DELETE FROM expenses WHERE id = {OF_ACCOUNT_1}"], {"mismatched": 3, "extra": 1}),
    "deleted softly": (
        [f"UPDATE expenses SET deleted_at = now() WHERE id = {OF_ACCOUNT_1}"],
        {"mismatched": 3, "extra": 1},
    ),
    "another account's": (
        [f"UPDATE expenses SET email_account_id = 3 WHERE id = {OF_ACCOUNT_1}"],
        {"mismatched": 7, "extra": 1},
    ),
    "an older dump": (
        ["DELETE FROM expenses WHERE transaction_date > '2026-02-10'", "UPDATE expenses SET amount = amount - 0.01"],
        None,
    ),
    "everything gone": (["DELETE FROM expenses"], None),
    "account gone": (
        ["DELETE FROM expenses WHERE email_account_id = 2", "DELETE FROM email_accounts WHERE id = 2"],
        None,
    ),
}


@pytest.mark.parametrize("name", UNSEEN)
def test_unseen_changes_of_expenses_are_found_and_mended(world: Unwatched, name: str) -> None:
    statements, expected = UNSEEN[name]
    world.unseen(*statements)
    assert world.wrong() != [] or name in ("merchant", "account gone")
    found = world.found()
    assert found
    assert expected in (None, found)
    assert world.wrong() != [] or name in ("merchant", "account gone")  # looking changes nothing

    result = world.reconcile()
    assert result.total == sum(found.values())
    assert (result.verified, result.remaining) == (True, 0)
    assert world.wrong() == []
    assert world.found() == {}
    assert world.pipeline.backlog() == []


def test_of_a_changed_day_just_what_depends_on_it_is_refreshed(world: Unwatched) -> None:
    """Seven days, seven weeks, three months and the year: not every day of the year."""
    world.unseen(f"UPDATE expenses SET amount = amount + 1 WHERE id = {OF_ACCOUNT_1}")
    assert world.reconcile().marked == 7 + 7 + 3 + 1


@pytest.mark.parametrize(
    "edit",
    [
        "payload = jsonb_set(payload::jsonb, '{transaction_count}', '7')::text",
        "content_hash = 'other'",
        "transaction_count = 9",
        "source_checksum = source_checksum + 1",
    ],
)
def test_a_stored_row_edited_by_hand_is_found_and_mended(world: Unwatched, edit: str) -> None:
    where = "account_id = 1 AND grain = 'month' AND period_start = '2026-01-01'"
    before = world.sql(f"SELECT payload FROM metrics.period_metrics WHERE {where}")
    world.sql(f"UPDATE metrics.period_metrics SET {edit} WHERE {where}")
    assert sum(world.found().values()) == 1
    assert world.reconcile().verified
    assert world.found() == {}
    assert world.sql(f"SELECT payload FROM metrics.period_metrics WHERE {where}") == before
    assert world.wrong() == []


def test_a_deleted_row_of_a_period_that_others_have_is_missing(world: Unwatched) -> None:
    world.sql(
        "DELETE FROM metrics.period_metrics WHERE account_id = 1 AND grain = 'month' AND period_start = '2026-02-01'"
    )
    assert world.found() == {"missing": 1}
    assert world.reconcile().verified
    assert (
        world.sql("SELECT count(*) FROM metrics.period_metrics WHERE grain = 'month' AND period_start = '2026-02-01'")
        == 3
    )


def test_a_period_that_was_never_computed_for_everybody_is_not_missing(world: Unwatched) -> None:
    world.sql(
        "DELETE FROM metrics.period_metrics WHERE account_id > 1 AND grain = 'month' AND period_start = '2026-02-01'"
    )
    result = world.reconcile()
    assert result.total == 0
    assert result.coverage == {"day": 1.0, "week": 1.0, "month": pytest.approx(7 / 9, abs=1e-4), "year": 1.0}


def forge(world: Unwatched, account: int, period: Period, **changes: Any) -> None:
    key = cache_key(account, period)
    entry = Entry.decode(world.redis.get(key))
    world.redis.set(
        key, entry._replace(**{"payload": entry.payload.replace(b'"total":"', b'"total":"9'), **changes}).encode()
    )


@pytest.mark.parametrize("ahead", [0, 10**9])
def test_a_cache_entry_that_differs_from_its_row_is_dropped(world: Unwatched, ahead: int) -> None:
    version = Entry.decode(world.redis.get(cache_key(2, CURRENT[3]))).version
    forge(world, 2, CURRENT[3], version=version + ahead)
    assert world.found() == {"cached": 1}
    assert world.wrong() != []
    result = world.reconcile()
    assert result.verified
    assert world.redis.get(cache_key(2, CURRENT[3])) is None
    assert world.wrong() == []


def test_what_is_no_entry_at_all_is_dropped(world: Unwatched) -> None:
    world.redis.set(cache_key(2, CURRENT[3]), "anything")
    assert world.reconcile().found["cached"] == 1
    assert world.redis.get(cache_key(2, CURRENT[3])) is None


def test_an_entry_older_than_its_row_is_dropped_once_the_row_had_time_to_be_published(world: Unwatched) -> None:
    world.sql("UPDATE metrics.period_metrics SET version = version + 1 WHERE account_id = 2 AND grain = 'year'")
    assert world.found() == {}
    world.sql("UPDATE metrics.period_metrics SET computed_at = computed_at - interval '2 minutes'")
    assert world.found() == {"cached": 1}


def test_entries_published_from_the_store_are_no_drift(world: Unwatched) -> None:
    world.redis.flushdb()
    assert world.pipeline.warm() > 0 or world.pipeline.tend_cache()
    assert world.reconcile().total == 0


def test_what_is_known_to_be_stale_is_deferred(world: Unwatched) -> None:
    world.sql(f"UPDATE expenses SET amount = amount + 1 WHERE id = {OF_ACCOUNT_1}")
    result = world.reconcile()
    assert (result.total, result.deferred) == (0, 13)
    world.settle()
    assert world.reconcile().deferred == 0


def test_what_was_stored_without_a_checksum_is_computed_again(world: Unwatched) -> None:
    world.sql("UPDATE metrics.period_metrics SET source_checksum = NULL, seal = NULL WHERE account_id = 1")
    result = world.reconcile(repair=False)
    assert result.total == 0
    assert result.recomputed == world.sql("SELECT count(*) FROM metrics.period_metrics WHERE account_id = 1")
    world.unseen(f"UPDATE expenses SET amount = amount + 1 WHERE id = {OF_ACCOUNT_1}")
    assert world.found()["mismatched"] > 4  # also those whose trend or sparkline looks back at it
    assert world.reconcile().verified
    assert world.wrong() == []


def test_full_finds_what_a_payload_says_of_other_things_than_its_expenses(world: Unwatched) -> None:
    """A renamed category is in no checksum."""
    world.unseen("UPDATE categories SET name = 'Groceries' WHERE id = 1")
    assert world.found() == {}
    assert world.found(full=True)["mismatched"] > 10
    assert world.reconcile(full=True).verified
    assert world.wrong() == []


def test_a_sample_is_the_same_for_the_same_seed(world: Unwatched) -> None:
    world.unseen("UPDATE expenses SET amount = amount + 1")

    def accounts(seed: int) -> set[int]:
        result = world.reconcile(repair=False, sample=1, seed=seed)
        assert result.accounts == 1
        return {drift.account_id for drift in result.sample}

    assert accounts(1) == accounts(1)
    assert {*accounts(1), *accounts(2), *accounts(3), *accounts(4), *accounts(5)} == {1, 2, 3}


def test_expenses_that_no_payload_can_contain_are_counted(world: Unwatched) -> None:
    world.spend(None, 5)
    world.spend(1, 5, "2025-12-28")
    world.spend(1, 5, "2027-01-01")
    world.settle()
    result = world.reconcile()
    assert (result.without_account, result.outside, result.total) == (1, 2, 0)


def test_in_parts_the_same_is_found(world: Unwatched, monkeypatch: pytest.MonkeyPatch) -> None:
    world.unseen("DELETE FROM expenses WHERE id % 3 = 0", "UPDATE expenses SET amount = 1 WHERE id % 4 = 0")
    world.sql("DELETE FROM metrics.period_metrics WHERE account_id = 1 AND grain = 'week'")
    whole = world.reconcile(repair=False)
    monkeypatch.setattr(compare, "_MOST_ROWS", 1)
    parts = world.reconcile(repair=False)
    assert (parts.found, parts.compared, parts.sample) == (whole.found, whole.compared, whole.sample)


def test_more_drift_than_is_kept_by_name_is_mended_in_whole_periods(world, monkeypatch: pytest.MonkeyPatch) -> None:
    from metrics_pipeline.reconciliation import findings

    monkeypatch.setattr(findings, "MOST_KEPT", 5)
    world.unseen("UPDATE expenses SET amount = amount + 1")
    result = world.reconcile()
    assert result.total == 90
    assert result.verified
    assert world.wrong() == []
    assert world.sql("SELECT count(*) FROM metrics.stale_periods") == 0


def test_a_grain_without_rows_is_no_trouble(world: Unwatched) -> None:
    world.sql("DELETE FROM metrics.period_metrics")
    world.redis.flushdb()
    result = world.reconcile()
    assert (result.total, result.coverage["day"]) == (0, 0.0)
    assert Grain.DAY.value in result.as_dict()["coverage"]
