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
from metrics_pipeline.sql import query, rows_of
from metrics_pipeline.store.versioned import Versioned, with_header

if TYPE_CHECKING:
    import pandas as pd

_EXPORT_BATCH = 1000


@dataclass(frozen=True)
class StoredPayload:
    """One stored payload as JSON, and what tells whether it is what its expenses give.

    `stale`: something changed since, or may have. The other columns tell whether it is outdated.
    """

    period: Period
    json: bytes
    version: int
    as_of: date
    is_current: bool
    fingerprint: str
    stale: bool

    def is_right(self, fingerprint: str, today: date) -> bool:
        """Whether computing it today would give the same."""
        return not self.stale and self.fingerprint == fingerprint and _speaks_of(self, self.period, today)


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


def read_stored(connection: Connection, account_ids: Collection[int], period: Period) -> dict[int, StoredPayload]:
    """The stored payloads of a period, by account."""
    rows = rows_of(
        connection,
        "payloads_of_period",
        {"account_ids": sorted(account_ids), "grain": period.grain.value, "period_start": period.start},
    )
    return {
        row.account_id: StoredPayload(
            period, _json_of(row), row.version, row.as_of, row.is_current, row.fingerprint, row.stale
        )
        for row in rows
    }


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
        key = key_of(row)
        if _speaks_of(row, key[1], today):
            yield key, row


def servable_of(connection: Connection, keys: Sequence[Key], fingerprint: str, today: date) -> list[Versioned]:
    """Those of these stored payloads that may be served today."""
    rows = connection.execute(query("servable_payloads_of"), {**as_arrays(keys), "fingerprint": fingerprint})
    of_keys = ((key_of(row), row) for row in rows)
    return [Versioned(key, row.version, _json_of(row)) for key, row in of_keys if _speaks_of(row, key[1], today)]


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


def _speaks_of(row: Row[tuple[Any, ...]] | StoredPayload, period: Period, today: date) -> bool:
    """Whether the payload was computed as the period is today: up to the same day, still going on or closed."""
    return (row.as_of, row.is_current) == (period.as_of(today), period.is_current(today))


def _json_of(row: Row[tuple[Any, ...]]) -> bytes:
    """The payload as it was computed, to the byte."""
    return with_header(row.payload.encode(), row.version, row.computed_at, row.computed_by)
