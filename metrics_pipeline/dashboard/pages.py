"""The pages: which account, its four cards, one period. All work without a script."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from metrics_pipeline.cache.reader import Reading
from metrics_pipeline.dashboard.access import COOKIE, Access
from metrics_pipeline.dashboard.cards import card_of, detail_of
from metrics_pipeline.dashboard.parameters import Days, account_of, day_of, grain_of, on_of, period_of, query_of
from metrics_pipeline.dashboard.reads import headers_of_four, headers_of_one
from metrics_pipeline.dashboard.rendering import render
from metrics_pipeline.dashboard.state import State, state_of
from metrics_pipeline.dashboard.wording import Wording
from metrics_pipeline.periods import Grain, Period

_ACCOUNTS_A_PAGE = 50


async def index(request: Request) -> Response:
    """The accounts that this visitor may see; the account itself where it is the only one."""
    if entered := _entering(request):
        return entered
    state = state_of(request)
    access = state.gate.access(request)
    query = query_of(request, ("account", "after"))
    if account := query.get("account", "").strip():
        request.path_params["account_id"] = account
        return RedirectResponse(f"/accounts/{account_of(request)}", 303)
    if access.accounts and len(access.accounts) == 1:
        return RedirectResponse(f"/accounts/{min(access.accounts)}", 303)
    after = int(query["after"]) if query.get("after", "").isdecimal() and len(query["after"]) < 19 else 0
    names = await state.names.listed(access.accounts, after, _ACCOUNTS_A_PAGE + 1)
    more = names[_ACCOUNTS_A_PAGE - 1].id if len(names) > _ACCOUNTS_A_PAGE else None
    return _html("index.html", names=names[:_ACCOUNTS_A_PAGE], more=more, after=after)


async def account(request: Request) -> Response:
    """The four cards of today, or of the day `on`."""
    if entered := _entering(request):
        return entered
    state, account_id, _ = _admitted(request)
    query, days = query_of(request, ("on",)), Days.of(state.settings)
    on = on_of(query, days)
    readings = await state.reads.four(account_id, on, days.today)
    wording = _wording(request, state)
    only = f"?{urlencode({'on': on.isoformat()})}" if "on" in query else ""
    return _html(
        "account.html",
        **await _frame(state, account_id, days, wording, list(readings.values())),
        cards=[card_of(reading, days, wording) for reading in readings.values()],
        on=on,
        etag=headers_of_four(readings)["ETag"],
        api=f"/api/accounts/{account_id}/metrics{only}",
    )


async def period(request: Request) -> Response:
    """Everything about one period."""
    if entered := _entering(request):
        return entered
    state, account_id, _ = _admitted(request)
    query_of(request, ())
    days = Days.of(state.settings)
    shown = period_of(request, days)
    reading = await state.reads.one(account_id, shown, days.today)
    wording = _wording(request, state)
    card, details = detail_of(reading, days, wording)
    return _html(
        "period.html",
        **await _frame(state, account_id, days, wording, [reading]),
        card=card,
        details=details,
        name=wording.name(shown),
        statuses=sorted(reading.payload.by_status.items()),
        previous=_neighbour(account_id, shown.shift(-1), days, wording) if shown.start > days.first else None,
        next=_neighbour(account_id, shown.shift(1), days, wording),
        grain=shown.grain.value,
        on=min(shown.last_day, days.today) if shown.is_current(days.today) else max(shown.start, days.first),
        etag=headers_of_one(reading)["ETag"],
        api=f"/api/accounts/{account_id}/metrics/{shown.grain.value}/{shown.key}",
    )


async def pick(request: Request) -> Response:
    """The period picker's form: on to the period of this grain that holds the day."""
    state, account_id, _ = _admitted(request)
    query, days = query_of(request, ("grain", "on")), Days.of(state.settings)
    day = days.check(day_of(query.get("on", ""), "The day"), "The day")
    if query.get("grain", "") == "all":
        return RedirectResponse(f"/accounts/{account_id}?on={day}", 303)
    chosen = Period.holding(grain_of(query.get("grain", "")), day)
    return RedirectResponse(f"/accounts/{account_id}/{chosen.grain.value}/{chosen.key}", 303)


ROUTES = [
    Route("/", index),
    Route("/accounts/{account_id}", account),
    Route("/accounts/{account_id}/pick", pick),
    Route("/accounts/{account_id}/{grain}/{start}", period),
]


def _admitted(request: Request) -> tuple[State, int, Access]:
    state = state_of(request)
    access = state.gate.access(request)
    account_id = account_of(request)
    access.check(account_id)
    return state, account_id, access


def _entering(request: Request) -> Response | None:
    """A link with `?token=`: keep the token in a cookie, out of the address that others may see."""
    token = request.query_params.get("token")
    if token is None:
        return None
    access = state_of(request).gate.verify(token)
    rest = urlencode([(name, value) for name, value in request.query_params.multi_items() if name != "token"])
    path = request.url.path
    response = RedirectResponse(f"{path}?{rest}" if rest else path, 303, {"Cache-Control": "no-store"})
    if access.expires:
        seconds = int((access.expires - datetime.now(timezone.utc)).total_seconds())
        secure = request.url.scheme == "https"
        response.set_cookie(COOKIE, token, max_age=seconds, httponly=True, samesite="lax", secure=secure)
    return response


async def _frame(
    state: State, account_id: int, days: Days, wording: Wording, readings: Sequence[Reading]
) -> dict[str, object]:
    """What both pages of an account say around the numbers."""
    name = await state.names.of(account_id)
    return {
        "account_id": account_id,
        "account_name": name.email if name else f"Account {account_id}",
        "account_bank": name.bank if name else None,
        "days": days,
        "grains": [grain.value for grain in Grain],
        "timezone": state.settings.timezone,
        "as_of": f"{wording.day(days.today, 'EEEE d MMMM y')}, {wording.moment(datetime.now(timezone.utc), days.zone)}",
        "now": datetime.now(timezone.utc),
        "outdated": any(reading.outdated for reading in readings),
        "cache_away": not state.live.connected,
    }


def _neighbour(account_id: int, period: Period, days: Days, wording: Wording) -> tuple[str, str] | None:
    """Address and name of a period to go on to; None where there are no metrics."""
    if not days.holds(period):
        return None
    return f"/accounts/{account_id}/{period.grain.value}/{period.key}", wording.name(period)


def _wording(request: Request, state: State) -> Wording:
    return Wording.for_visitor(state.settings.dashboard_locale, request.headers.get("accept-language", ""))


def _html(template: str, **context: object) -> Response:
    headers = {"Cache-Control": "private, no-cache", "Vary": "Accept-Language, Cookie"}
    return Response(render(template, **context), headers=headers, media_type="text/html")
