"""What a reconciliation is asked, and what it found."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

from metrics_pipeline.changes.keys import Key
from metrics_pipeline.errors import BadRequest
from metrics_pipeline.periods import Grain, Period

Kind = Literal["missing", "extra", "mismatched", "edited", "cached"]

MOST_KEPT = 20_000
"""Drifts that are remembered one by one; of more than that only the periods are."""

_SAMPLE = 20


@dataclass(frozen=True)
class ReconcileRequest:
    """What to compare.

    Args:
        full: compute every payload again, rather than compare checksums of what each was computed from.
        sample: only so many accounts, chosen by a hash of their id and the seed; None: all.
        repair: refresh what differs, and compare again.
    """

    full: bool = False
    sample: int | None = None
    seed: int = 0
    repair: bool = True

    def __post_init__(self) -> None:
        if self.sample is not None and self.sample < 1:
            raise BadRequest(f"A sample of {self.sample} accounts compares nothing; ask for at least one.")


@dataclass(frozen=True)
class Drift:
    """One payload that is not what it should be.

    Attributes:
        kind: `missing` in the store; `extra`: its expenses are gone; `mismatched`: computed from other expenses
            than there are now, or to another result; `edited`: its row is not as it was written; `cached`: the
            cache has something else than the store.
        expenses: as many as the source has; stored: as many as the row says.
        delta: how far the source's checksum is from the stored one; None where the source is not to blame.
    """

    kind: Kind
    account_id: int
    period: Period
    expenses: int | None = None
    stored: int | None = None
    delta: int | None = None

    @property
    def key(self) -> Key:
        return self.account_id, self.period

    def as_dict(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "account_id": self.account_id,
            "grain": self.period.grain.value,
            "period_start": self.period.key,
            "expenses": self.expenses,
            "stored": self.stored,
        }


@dataclass
class Drifts:
    """Counted exactly; kept one by one up to a limit, beyond which `periods` tells where they are."""

    counts: dict[Kind, int] = field(default_factory=lambda: dict.fromkeys(get_args(Kind), 0))
    kept: dict[Key, Drift] = field(default_factory=dict)
    periods: set[Period] = field(default_factory=set)

    def add(self, drifts: Iterable[Drift]) -> None:
        for drift in drifts:
            if drift.key in self.kept:
                continue
            self.counts[drift.kind] += 1
            self.periods.add(drift.period)
            if len(self.kept) < MOST_KEPT:
                self.kept[drift.key] = drift

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    @property
    def all_kept(self) -> bool:
        return self.total == len(self.kept)

    @property
    def account_ids(self) -> set[int] | None:
        """The accounts concerned; None when there are too many to know."""
        return {account_id for account_id, _ in self.kept} if self.all_kept else None

    def only(self, confirmed: Collection[Key]) -> Drifts:
        """Those that a second look found too."""
        found = Drifts()
        found.add(drift for key, drift in self.kept.items() if key in confirmed)
        return found


@dataclass
class Comparison:
    """One look at all there is, or at some accounts.

    Attributes:
        deferred: payloads that are known to be stale or outdated, or whose account has unabsorbed changes: no drift.
        recomputed: payloads that were computed again, all of them or those without a checksum.
        with_expenses: keys of a grain that have expenses; of these, `with_payload` have a stored payload.
        covered: the periods that were computed for everybody, where a payload that is absent is missing.
        without_account: expenses that belong to nobody; outside: expenses before the first or after the last partition.
    """

    drifts: Drifts = field(default_factory=Drifts)
    account_ids: list[int] = field(default_factory=list)
    compared: int = 0
    deferred: int = 0
    recomputed: int = 0
    with_expenses: dict[Grain, int] = field(default_factory=dict)
    with_payload: dict[Grain, int] = field(default_factory=dict)
    covered: set[Period] = field(default_factory=set)
    without_account: int = 0
    outside: int = 0


@dataclass(frozen=True)
class Reconciliation:
    """What was found, and what became of it.

    Attributes:
        coverage: by grain, the share of accounts' periods with expenses that have a stored payload.
        cached: entries of the cache that were compared with the store.
        marked: payloads marked stale for the repair; None: nothing was to be repaired, or it was not asked for.
        remaining: payloads that differed still after the repair; None without one.
    """

    mode: Literal["checksum", "full"]
    accounts: int
    compared: int
    recomputed: int
    cached: int
    found: dict[Kind, int]
    deferred: int
    coverage: dict[str, float]
    without_account: int
    outside: int
    sample: list[Drift]
    marked: int | None
    remaining: int | None
    seconds: float

    @property
    def total(self) -> int:
        return sum(self.found.values())

    @property
    def verified(self) -> bool:
        """Whether everything is as it should be now: nothing differed, or nothing does after the repair."""
        return self.total == 0 or self.remaining == 0

    def as_dict(self) -> dict[str, Any]:
        return {
            **asdict(self),
            "total": self.total,
            "verified": self.verified,
            "sample": [drift.as_dict() for drift in self.sample],
        }


def shown(drifts: Drifts) -> list[Drift]:
    """A few of them, for people to look at."""
    return sorted(drifts.kept.values(), key=lambda drift: (drift.kind, drift.key))[:_SAMPLE]
