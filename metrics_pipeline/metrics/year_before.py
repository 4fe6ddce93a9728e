"""The year before the window, of accounts whose payload of it is stored: only a part of its expenses need be read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import orjson

from metrics_pipeline.metrics.dimensions import NO_CATEGORY
from metrics_pipeline.metrics.expenses import SUM_FIELDS, Sums
from metrics_pipeline.metrics.scope import Scope

YearTotals = Mapping[int, Mapping[str, tuple[int, int]]]
"""Of each account, what it spent in each currency in a whole year: cents, and in how many expenses."""

_COUNTS = "\0"
"""The status of what counts for sure: PostgreSQL has no text like it, so that nobody can exclude it."""


def totals_of(payload: bytes) -> dict[str, tuple[int, int]]:
    """What a payload, as JSON, says of each currency. Its amounts have two decimals."""
    currencies: dict[str, dict[str, str | int]] = orjson.loads(payload)["currencies"]
    return {code: (int(str(of["total"]).replace(".", "")), int(of["count"])) for code, of in currencies.items()}


class YearBefore:
    """The year before the window, of accounts of which is known what they spent in it.

    Of its segments the longest one, most often half of the year or more, is not read: it is what the others leave.

    Attributes:
        account_ids: those accounts.
        to_read: the other segments, in stretches without a gap.
        kinds: currency and status of what `sums` adds.
    """

    def __init__(self, scope: Scope, totals: YearTotals) -> None:
        """`totals`: of accounts that need no sums by category."""
        self.account_ids, self._totals = [*totals], totals
        history = scope.history
        longest = max(range(len(history)), key=lambda n: history[n].end - history[n].first, default=0)
        self.to_read = [history[:longest], history[longest + 1 :]]
        self._day = history[longest].first.toordinal() if history else 0
        codes = sorted({code for of_account in totals.values() for code in of_account})
        self.kinds = {-1 - n: (code, _COUNTS) for n, code in enumerate(codes)}

    def sums(self, read: Sequence[Sums]) -> list[Sums]:
        """Of all segments, given those of `to_read`: in the longest stand the year's total and, less, the others."""
        less = [
            {**part, "cents": -part["cents"], "count": -part["count"], "day": np.full_like(part["day"], self._day)}
            for part in read
        ]
        kind_of = {code: kind for kind, (code, _) in self.kinds.items()}
        totals = [
            (account_id, NO_CATEGORY, kind_of[code], cents, count, self._day, 0, 0)
            for account_id, of_account in self._totals.items()
            for code, (cents, count) in of_account.items()
        ]
        columns = np.array(totals, np.int64).reshape(-1, len(SUM_FIELDS)).T
        return [*read, *less, dict(zip(SUM_FIELDS, columns, strict=True))]
