"""Reading stored payloads: one for a reader, many for an export, flat rows for analysts."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Row

from metrics_pipeline.changes.keys import Key, as_arrays, key_of, period_arrays
from metrics_pipeline.metrics.payload import PeriodMetrics
from metrics_pipeline.periods import Grain, Period
from metrics_pipeline.planning.request import check_account_id
from metrics_pipeline.sql import query
from metrics_pipeline.store.versioned import Versioned, with_header

if TYPE_CHECKING:
    import pandas as pd

_EXPORT_BATCH = 1000


@dataclass(frozen=True)
class StoredPayload:
    """One stored payload as JSON, and what tells whether it may be served.

    `stale`: something changed since, or may have. The other columns tell whether it is outdated.
    """

    json: bytes
    version: int
    as_of: date
    is_current: bool
    fingerprint: str
    stale: bool


@dataclass(frozen=True)
class Selection:
    """Which stored payloads: grains, first days from `first` to `last`, accounts; None means all."""

    grains: Sequence[Grain] = tuple(Grain)
    first: date | None = None
    last: date | None = None
    account_ids: Sequence[int] | None = None

    def __post_init__(self) -> None:
        for account_id in self.account_ids or ():
            check_account_id(account_id)

    def parameters(self) -> dict[str, object]:
        return {
            "grains": [grain.value for grain in self.grains],
            "first": self.first,
            "last": self.last,
            "account_ids": None if self.account_ids is None else list(self.account_ids),
        }


def read_stored(connection: Connection, account_id: int, period: Period) -> StoredPayload | None:
    """The stored payload of one account and period, or None."""
    row = connection.execute(
        query("stored_payload"),
        {"account_id": account_id, "grain": period.grain.value, "period_start": period.start},
    ).one_or_none()
    if row is None:
        return None
    return StoredPayload(_json_of(row), row.version, row.as_of, row.is_current, row.fingerprint, row.stale)


def servable_heads(
    connection: Connection,
    periods: Sequence[Period],
    fingerprint: str,
    today: date,
    account_ids: Collection[int] | None,
) -> Iterator[tuple[Key, Row[Any]]]:
    """Of the stored payloads of these periods that may be served today, streamed by account: the key, and a row of
    the version, the content's hash and whether it is `settled`, that is written long enough ago to be in the cache."""
    wanted = None if account_ids is None else sorted(account_ids)
    result = connection.execution_options(yield_per=_EXPORT_BATCH).execute(
        query("servable_heads"), {**period_arrays(periods), "fingerprint": fingerprint, "account_ids": wanted}
    )
    for row in result:
        if _speaks_of(row, today):
            yield key_of(row), row


def servable_of(connection: Connection, keys: Sequence[Key], fingerprint: str, today: date) -> list[Versioned]:
    """Those of these stored payloads that may be served today."""
    rows = connection.execute(query("servable_payloads_of"), {**as_arrays(keys), "fingerprint": fingerprint})
    return [Versioned(key_of(row), row.version, _json_of(row)) for row in rows if _speaks_of(row, today)]


def export(connection: Connection, selection: Selection, *, include_empty: bool) -> Iterator[PeriodMetrics]:
    """Stored payloads by grain, period and account, streamed; those of periods with expenses only,
    unless `include_empty`."""
    result = connection.execution_options(yield_per=_EXPORT_BATCH).execute(
        query("stored_payloads"), {**selection.parameters(), "include_empty": include_empty}
    )
    for row in result:
        yield PeriodMetrics.model_validate_json(_json_of(row))


def read_frame(connection: Connection, selection: Selection) -> pd.DataFrame:
    """The analysts' view as a DataFrame: one row per account, period and currency; money as Decimal."""
    import pandas as pd

    return pd.read_sql(query("period_totals"), connection, params=selection.parameters(), coerce_float=False)


def _speaks_of(row: Row[tuple[Any, ...]], today: date) -> bool:
    """Whether the payload was computed as the period is today: up to the same day, still going on or closed."""
    _, period = key_of(row)
    return (row.as_of, row.is_current) == (period.as_of(today), period.is_current(today))


def _json_of(row: Row[tuple[Any, ...]]) -> bytes:
    """The payload as it was computed, to the byte."""
    return with_header(row.payload.encode(), row.version, row.computed_at, row.computed_by)
