"""The refresh of some accounts, as the sensor's runs do it: what is marked stale of the current periods."""

from __future__ import annotations

from benchmarks.dataset import TODAY
from benchmarks.measure import Measured, Meter, median_of
from benchmarks.prepare import mark_stale
from metrics_pipeline.periods import Grain, Period
from metrics_pipeline.pipeline import Pipeline
from metrics_pipeline.planning.request import Outcome, RefreshRequest

CURRENT = [Period.holding(grain, TODAY) for grain in Grain]


class FewAccounts:
    """So many accounts out of a number, spread over all: stored and published anew, time after time.

    Attributes:
        done: what the last refresh did.
    """

    done: Outcome

    def __init__(self, pipeline: Pipeline, accounts: int, count: int) -> None:
        self.count, self.name, self._pipeline = count, f"{count} of {accounts:,} accounts", pipeline
        self._account_ids = range(1, accounts + 1, accounts // count)[:count]
        self._request = RefreshRequest(CURRENT, TODAY, self._account_ids, "refresh", only_stale=True)
        self._found: list[Measured] = []
        self._prepare()
        self._refresh()  # so that its rows are in memory, as those of the other cases are

    def measure(self, meter: Meter) -> None:
        """Once more."""
        self._found.append(meter.measure(1, self._refresh, before=self._prepare, phases=lambda done: done.seconds))

    def median(self) -> Measured:
        """Over all times that were measured."""
        return median_of(self._found)

    def _prepare(self) -> None:
        mark_stale(self._pipeline, CURRENT, self._account_ids)

    def _refresh(self) -> Outcome:
        self.done = self._pipeline.refresh(self._request)
        return self.done
