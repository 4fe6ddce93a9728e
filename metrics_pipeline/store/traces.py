"""Who has stored rows."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import Connection

from metrics_pipeline.changes.keys import period_arrays
from metrics_pipeline.metrics.copied import read_bigints
from metrics_pipeline.metrics.exact import Ints
from metrics_pipeline.periods import Period


def accounts_with_rows(
    connection: Connection, periods: Sequence[Period], account_ids: Collection[int] | None
) -> dict[Period, Ints]:
    """Who has a stored row of each period: of everybody, or of these accounts."""
    wanted = None if account_ids is None else sorted(account_ids)
    place, accounts = read_bigints(
        connection, "accounts_with_rows", {**period_arrays(periods), "account_ids": wanted}, columns=2
    )
    return {period: accounts[place == n] for n, period in enumerate(periods, 1)}
