from __future__ import annotations

from datetime import date, datetime, timezone

from metrics_pipeline.periods import Grain, Period
from metrics_pipeline.planning.affected import EVERYBODY
from metrics_pipeline.reconciliation import findings
from metrics_pipeline.reconciliation.findings import Drift, Drifts
from metrics_pipeline.reconciliation.spans import changed_spans, marking_for

EARLIEST, TODAY = date(2026, 1, 1), date(2026, 12, 31)
AT = datetime(2026, 12, 31, tzinfo=timezone.utc)


def drift(grain: Grain, on: date, delta: int | None, account: int = 1, kind: findings.Kind = "mismatched") -> Drift:
    return Drift(kind, account, Period.holding(grain, on), delta=delta)


def drifts(*each: Drift) -> Drifts:
    found = Drifts()
    found.add(each)
    return found


DAY = date(2026, 6, 10)
OF_ALL_GRAINS = [drift(grain, DAY, 7) for grain in Grain]


def test_a_day_explains_the_week_the_month_and_the_year_that_hold_it() -> None:
    assert list(changed_spans(reversed(OF_ALL_GRAINS))) == OF_ALL_GRAINS[:1]


def test_a_month_that_differs_by_more_than_its_days_counts_as_a_whole() -> None:
    more = drift(Grain.MONTH, DAY, 8)
    assert list(changed_spans([*OF_ALL_GRAINS[:2], more, drift(Grain.YEAR, DAY, 8)])) == [
        OF_ALL_GRAINS[0],
        more,
        drift(Grain.YEAR, DAY, 8),  # the day and the month together are more than the year: nobody knows
    ]


def test_differences_of_two_days_wrap_around() -> None:
    large = 2**63 + 5
    other = date(2026, 6, 20)
    month = drift(Grain.MONTH, DAY, (2 * large) % 2**64)
    days = [drift(Grain.DAY, DAY, large), drift(Grain.DAY, other, large)]
    assert list(changed_spans([*days, month])) == days


def test_another_accounts_day_explains_nothing() -> None:
    month = drift(Grain.MONTH, DAY, 7, account=2)
    assert list(changed_spans([OF_ALL_GRAINS[0], month])) == [OF_ALL_GRAINS[0], month]


def test_a_changed_day_marks_what_looks_back_at_it_and_an_edited_row_itself() -> None:
    edited = drift(Grain.MONTH, date(2026, 1, 1), None, account=2, kind="edited")
    marked = set(marking_for(drifts(*OF_ALL_GRAINS, edited), EARLIEST, TODAY, 1000, AT))
    assert {period for account, period in marked if account == 2} == {edited.period}
    days = sorted(period.start for account, period in marked if account == 1 and period.grain is Grain.DAY)
    assert (days[0], days[-1], len(days)) == (DAY, date(2026, 6, 16), 7)


def test_what_is_wrong_in_the_cache_alone_marks_nothing() -> None:
    assert marking_for(drifts(drift(Grain.DAY, DAY, None, kind="cached")), EARLIEST, TODAY, 1000, AT) == {}


def test_more_than_is_known_by_name_marks_the_periods_for_everybody(monkeypatch) -> None:
    monkeypatch.setattr(findings, "MOST_KEPT", 1)
    marked = marking_for(drifts(*(drift(Grain.DAY, DAY, 1, account) for account in (1, 2))), EARLIEST, TODAY, 1000, AT)
    assert {account for account, _ in marked} == {EVERYBODY}
    assert (EVERYBODY, Period(Grain.DAY, DAY)) in marked
