"""What the store says, as columns of numbers; and what already counts as stale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, NamedTuple, overload

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from metrics_pipeline.metrics.copied import read_bigints
from metrics_pipeline.metrics.exact import Ints
from metrics_pipeline.periods import Grain, Period
from metrics_pipeline.planning.affected import EVERYBODY
from metrics_pipeline.source.capture import missed_changes
from metrics_pipeline.sql import query

GRAINS = list(Grain)


class Rows(NamedTuple):
    """Stored payloads. `grain`: its place in GRAINS. `start`, `as_of`: ordinals of days; `as_of` is 0 for a
    payload that was computed under other settings."""

    account: Ints
    grain: Ints
    start: Ints
    checksum: Ints
    expenses: Ints
    has_checksum: Ints
    edited: Ints
    as_of: Ints


def read_rows(connection: Connection, account_ids: Sequence[int], fingerprint: str) -> Rows:
    parameters = {
        "account_ids": list(account_ids),
        "grains": [grain.value for grain in GRAINS],
        "fingerprint": fingerprint,
    }
    return Rows(*read_bigints(connection, "stored_checksums", parameters, columns=len(Rows._fields)))


@dataclass(frozen=True)
class Waiting:
    """What is known to be stale. Periods as `period_codes`.

    Attributes:
        account_ids: accounts with a change that was not absorbed.
        everything: a change of everybody, or one that could not be logged, was not absorbed.
    """

    marks: dict[int, list[int]]
    wildcards: list[int]
    account_ids: list[int]
    everything: bool

    def covers(self, account: Ints, grain: Ints, start: Ints) -> NDArray[np.bool_]:
        """Which of these accounts and periods wait for a refresh."""
        if self.everything:
            return np.ones(account.size, bool)
        codes = period_codes(grain, start)
        waits = np.isin(account, self.account_ids) | np.isin(codes, self.wildcards)
        for account_id, marked in self.marks.items():
            of_account = slice(*np.searchsorted(account, [account_id, account_id + 1]))
            waits[of_account] |= np.isin(codes[of_account], marked)
        return waits


def read_waiting(connection: Connection, account_ids: Sequence[int]) -> Waiting:
    """The marks of these accounts, and everybody's changes that were not absorbed."""
    marks: dict[int, list[int]] = {}
    for row in connection.execute(query("stale_keys"), {"account_ids": list(account_ids)}):
        code = period_codes(GRAINS.index(Grain(row.grain)), row.period_start.toordinal())
        marks.setdefault(row.account_id, []).append(code)
    logged = list(connection.execute(query("logged_accounts")).scalars())
    state = connection.execute(query("tick_state")).one()
    return Waiting(
        wildcards=marks.pop(EVERYBODY, []),
        marks=marks,
        account_ids=logged,
        everything=EVERYBODY in logged or missed_changes(connection) != state.missed_seen or not state.misses_settled,
    )


@overload
def period_codes(grain: int, start: int) -> int: ...
@overload
def period_codes(grain: Ints, start: Ints) -> Ints: ...
def period_codes(grain: Any, start: Any) -> Any:
    """A grain and the ordinal of a first day as one number."""
    return grain * 2**22 + start


def outdated(rows: Rows, today: date) -> NDArray[np.bool_]:
    """Which payloads do not speak of today, or of all of their closed period: nobody is served those."""
    codes, place = np.unique(period_codes(rows.grain, rows.start), return_inverse=True)
    periods = [Period(GRAINS[code // 2**22], date.fromordinal(code % 2**22)) for code in codes.tolist()]
    wanted = np.array([period.as_of(today).toordinal() for period in periods], np.int64)
    different: NDArray[np.bool_] = rows.as_of != wanted[place]
    return different
