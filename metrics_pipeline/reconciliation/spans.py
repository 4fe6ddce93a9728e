"""From payloads that differ to the changes that explain them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date, datetime
from itertools import groupby

from metrics_pipeline.periods import Grain
from metrics_pipeline.planning.affected import EVERYBODY, Change, Marking, marking_of
from metrics_pipeline.reconciliation.findings import Drift, Drifts

_SHORTEST_FIRST = list(Grain)


def marking_for(drifts: Drifts, earliest: date, today: date, most: int, at: datetime) -> Marking:
    """What to mark stale so that a refresh mends everything: as a change of the expenses behind it would.

    What is wrong in the store alone concerns nothing but itself. Where not every drift is known by
    name, whole periods are marked.
    """
    if not drifts.all_kept:
        everywhere = [Change(EVERYBODY, tuple(Grain), each.start, each.last_day, at) for each in drifts.periods]
        return marking_of(everywhere, earliest, today, most)
    by_source = [drift for drift in drifts.kept.values() if drift.delta is not None]
    changes = [
        Change(drift.account_id, tuple(Grain), drift.period.start, drift.period.last_day, at)
        for drift in changed_spans(by_source)
    ]
    alone = {drift.key: (at, at) for drift in drifts.kept.values() if drift.delta is None and drift.kind != "cached"}
    return alone | marking_of(changes, earliest, today, most)


def changed_spans(drifts: Iterable[Drift]) -> Iterator[Drift]:
    """Of each account the shortest periods in which all of the differences lie.

    Checksums add up: when the differences of the days found make up that of their month, nothing else
    in the month has changed, and the month need not be refreshed day by day.
    """
    ordered = sorted(drifts, key=lambda drift: (drift.account_id, _SHORTEST_FIRST.index(drift.period.grain)))
    for _, of_account in groupby(ordered, key=lambda drift: drift.account_id):
        kept: list[Drift] = []
        for drift in of_account:
            inside = [each for each in kept if _holds(drift, each)]
            if (sum(each.delta or 0 for each in inside) - (drift.delta or 0)) % 2**64 or not inside:
                kept.append(drift)
        yield from kept


def _holds(outer: Drift, inner: Drift) -> bool:
    return outer.period.start <= inner.period.start and inner.period.end <= outer.period.end
