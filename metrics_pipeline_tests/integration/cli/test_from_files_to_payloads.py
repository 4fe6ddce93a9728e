"""`load DIR`, `calculate --all-history --today D`, `export`: what the reference computes from the same rows."""

from __future__ import annotations

import csv
import json
import random
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from metrics_pipeline_tests.reference import (
    Account,
    Budget,
    Category,
    Data,
    Expense,
    differences,
    expected_payload,
    expected_periods,
)

TODAY, START_DATE = date(2026, 3, 17), date(2025, 1, 6)
ZONE = ZoneInfo("America/Costa_Rica")


@pytest.fixture
def data() -> Data:
    """Two years of expenses, some before the start date; accounts with several currencies, one inactive."""
    draw = random.Random(7)
    newest = datetime(2026, 3, 20, tzinfo=timezone.utc)
    expenses = [
        Expense(
            account_id=draw.choice([1, 1, 2, 3]),
            amount=Decimal(draw.choice([1, 1999, draw.randrange(1, 10**10)])) / 100,
            at=newest - timedelta(minutes=draw.randrange(2 * 365 * 24 * 60)),
            currency=draw.choice(["USD", "USD", "CRC", "EUR"]),
            status=draw.choice(["processed", "processed", "pending", "failed", "duplicate"]),
            category_id=draw.choice([None, 1, 2, 3]),
            merchant=draw.choice([None, "Café", "Amazon", "amazon"]),
            deleted=draw.random() < 0.1,
        )
        for _ in range(250)
    ]
    budgets = [
        Budget(1, 1, "All", "month", Decimal("900.50"), "USD", date(2025, 1, 1)),
        Budget(2, 1, "Food", "week", Decimal(50), "USD", date(2025, 6, 1), date(2026, 1, 31), category_ids=(1, 2)),
        Budget(3, 2, "Year", "year", Decimal(0), "CRC", date(2026, 1, 1)),
    ]
    categories = [Category(1, "Food"), Category(2, "food"), Category(3, "Uncategorized")]
    return Data([Account(1), Account(2, "CRC"), Account(3, None, active=False)], categories, expenses, budgets)


def write_files(data: Data, directory: Path) -> None:
    grains = {"day": "daily", "week": "weekly", "month": "monthly", "year": "yearly"}
    tables: dict[str, list[dict[str, Any]]] = {
        "email_accounts": [
            {"id": a.id, "email": f"{a.id}@example.com", "currency": a.currency, "active": a.active}
            for a in data.accounts
        ],
        "categories": [{"id": c.id, "name": c.name} for c in data.categories],
        "expenses": [
            {
                "id": number,
                "email_account_id": e.account_id,
                "category_id": e.category_id,
                "amount": e.amount,
                "currency": e.currency.lower(),
                "status": e.status.upper(),
                "merchant_name": e.merchant,
                "transaction_date": e.at.astimezone(ZONE).isoformat(),
                "deleted_at": e.at.isoformat() if e.deleted else None,
            }
            for number, e in enumerate(data.expenses, 1)
        ],
        "budgets": [
            {
                "id": b.id,
                "email_account_id": b.account_id,
                "name": b.name,
                "period": grains[b.grain],
                "amount": b.amount,
                "currency": b.currency,
                "start_date": b.start_date,
                "end_date": b.end_date,
            }
            for b in data.budgets
        ],
        "budget_categories": [
            {"budget_id": b.id, "category_id": category_id} for b in data.budgets for category_id in b.category_ids
        ],
    }
    for table, rows in tables.items():
        with (directory / f"{table}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)


def test_each_account_and_period_with_expenses_has_the_payload_of_the_reference(cli, data, tmp_path) -> None:
    settings = {"METRICS_TIMEZONE": ZONE.key, "METRICS_START_DATE": START_DATE.isoformat()}
    files, output = tmp_path / "csv", tmp_path / "payloads.jsonl"
    files.mkdir()
    write_files(data, files)

    cli("load", files, **settings)
    cli("calculate", "--all-history", "--today", TODAY, **settings)
    cli("calculate", "--all-history", "--account", 3, "--today", TODAY, **settings)  # the inactive one
    cli("export", "--format", "jsonl", "-o", output, **settings)

    exported: dict[tuple[int, str, date], dict[str, Any]] = {}
    for line in output.read_text(encoding="utf-8").splitlines():
        payload = json.loads(line)
        key = payload["account_id"], payload["grain"], date.fromisoformat(payload["period_start"])
        assert key not in exported, f"{key} is there twice"
        exported[key] = payload
    assert set(exported) == expected_periods(data, today=TODAY, zone=ZONE, start_date=START_DATE)
    for (account_id, grain, start), payload in exported.items():
        wanted = expected_payload(data, account_id, grain, start, today=TODAY, zone=ZONE)
        assert differences(wanted, payload) == [], f"account {account_id}, {grain} {start}"
