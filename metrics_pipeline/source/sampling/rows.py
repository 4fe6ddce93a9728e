"""The sample as text for PostgreSQL's COPY."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from metrics_pipeline.source.sampling.catalogue import TREE
from metrics_pipeline.source.sampling.currencies import Currency
from metrics_pipeline.source.sampling.events import CATEGORIES, CATEGORY_ID, MERCHANTS, Ints
from metrics_pipeline.source.sampling.households import Households
from metrics_pipeline.source.sampling.ledger import NEVER, Ledger
from metrics_pipeline.source.values import STATUSES

EXPENSE_COLUMNS = (
    *("id", "email_account_id", "category_id", "amount", "currency", "status", "merchant_name", "description"),
    *("transaction_date", "deleted_at", "created_at", "updated_at"),
)
_NULL = r"\N"


def category_rows() -> list[tuple[int, str, int | None]]:
    """Id, name and parent of each category."""
    parent_of = {child: CATEGORY_ID[parent] for parent, children in TREE.items() for child in children}
    return [(CATEGORY_ID[name], name, parent_of.get(name)) for name in CATEGORIES]


def expense_block(ledger: Ledger, first: int, end: int, homes: Households, currencies: tuple[Currency, ...]) -> str:
    """The rows from place `first` up to, and without, `end`, in COPY's text format; ids are places + 1."""
    part = slice(first, end)
    events = ledger.events
    columns = (
        range(first + 1, min(end, ledger.count) + 1),
        events.account[part] + 1,
        [category or _NULL for category in ledger.category[part].tolist()],
        [f"{cents // 100}.{cents % 100:02d}" for cents in events.cents[part].tolist()],
        [currencies[place].code for place in events.currency[part].tolist()],
        [STATUSES[place] for place in ledger.status[part].tolist()],
        [MERCHANTS[code] if code >= 0 else _NULL for code in ledger.merchant[part].tolist()],
        [
            "Automatic payment" if automatic else homes.cards[account]
            for automatic, account in zip(events.automatic[part].tolist(), events.account[part].tolist(), strict=True)
        ],
        _times(ledger.occurred[part]),
        _times(ledger.deleted[part]),
        _times(ledger.created[part]),
        _times(ledger.updated[part]),
    )
    return "".join("\t".join(map(str, row)) + "\n" for row in zip(*columns, strict=True))


def _times(seconds: Ints) -> Iterator[str]:
    texts = np.datetime_as_string(seconds.astype("datetime64[s]"))
    return (f"{text}Z" if moment != NEVER else _NULL for text, moment in zip(texts.tolist(), seconds, strict=True))
