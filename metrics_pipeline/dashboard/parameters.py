"""What a request asks for, checked: account, grain, day, freshness."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from zoneinfo import ZoneInfo

from starlette.requests import Request

from metrics_pipeline.dashboard.problems import Malformed, NotFound
from metrics_pipeline.errors import BadRequest
from metrics_pipeline.periods import Grain, Period
from metrics_pipeline.planning.request import check_account_id
from metrics_pipeline.settings import Settings

_NUMBER = re.compile(r"[0-9]{1,19}", re.ASCII)
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_FLAGS = {"true": True, "false": False}


@dataclass(frozen=True)
class Days:
    """The days that can be asked for: from the start date to today."""

    first: date
    today: date
    zone: ZoneInfo

    @classmethod
    def of(cls, settings: Settings) -> Days:
        return cls(settings.start_date, settings.today(), settings.zone)

    def check(self, day: date, name: str) -> date:
        if not self.first <= day <= self.today:
            raise NotFound(f"{name} is {day}, but there are metrics from {self.first} to {self.today}, today.")
        return day

    def holds(self, period: Period) -> bool:
        return period.last_day >= self.first and period.start <= self.today

    def check_period(self, period: Period) -> Period:
        if not self.holds(period):
            raise NotFound(f"There is no {period}: there are metrics from {self.first} to {self.today}, today.")
        return period


def account_of(request: Request) -> int:
    """The account in the path. Raises Malformed, or BadRequest when no account can have such an id."""
    text = str(request.path_params["account_id"])
    if not _NUMBER.fullmatch(text):
        raise Malformed("An account is named by its number: 1 or more, in digits.")
    return check_account_id(int(text))


def grain_of(text: str) -> Grain:
    try:
        return Grain(text)
    except ValueError:
        raise Malformed(f"There is no such grain; use {', '.join(grain.value for grain in Grain)}.") from None


def period_of(request: Request, days: Days) -> Period:
    """The period in the path; its day must be the first of it."""
    grain, start = grain_of(request.path_params["grain"]), day_of(request.path_params["start"], "The start")
    try:
        return days.check_period(Period(grain, start))
    except BadRequest as error:
        raise NotFound(f"There is no such period: {error}") from None


def day_of(text: str, name: str) -> date:
    if _DAY.fullmatch(text):
        try:
            return date.fromisoformat(text)
        except ValueError:
            pass
    raise Malformed(f"{name} is not a day; write it as YYYY-MM-DD, for example 2026-03-31.")


def query_of(request: Request, allowed: Sequence[str]) -> dict[str, str]:
    """The query's parameters, each known and given once: a misspelt one is not silently ignored."""
    found: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        if name not in allowed:
            raise Malformed(f"The query has an unknown parameter. Known here: {', '.join(allowed) or 'none'}.")
        if name in found:
            raise Malformed(f"The query has {name} more than once.")
        found[name] = value
    return found


def on_of(query: dict[str, str], days: Days) -> date:
    return days.check(day_of(query["on"], "`on`"), "`on`") if "on" in query else days.today


def fresh_of(query: dict[str, str]) -> bool:
    try:
        return _FLAGS[query.get("fresh", "false")]
    except KeyError:
        raise Malformed("`fresh` is neither true nor false.") from None
