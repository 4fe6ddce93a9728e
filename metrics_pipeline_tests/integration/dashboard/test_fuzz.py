"""Anything may arrive: no answer is a 500, and none has another account's data."""

from __future__ import annotations

from urllib.parse import quote

from hypothesis import HealthCheck, given, settings, strategies

SLOW = settings(
    max_examples=150,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
TEXT = strategies.text(max_size=40)
IDS = strategies.one_of(
    strategies.sampled_from(["1", "2", "0", "-1", "01", "1e3", "٣", "%00", "1/2", "..", "1;2", "9" * 19, "9" * 400]),
    TEXT,
)
DAYS = strategies.one_of(
    strategies.sampled_from(["2026-01-01", "2026-1-1", "0000-00-00", "9999-12-31", "2026-W01-1", "20260101"]), TEXT
)
GRAINS = strategies.one_of(strategies.sampled_from(["day", "week", "month", "year", "Day", "metrics"]), TEXT)
HEADER_VALUES = strategies.binary(max_size=60).map(lambda raw: raw.replace(b"\r", b"").replace(b"\n", b"").strip())
OTHER = ("bob@secret.org", "777.77", "EUR")


@SLOW
@given(account=IDS, grain=GRAINS, day=DAYS, on=DAYS, header=HEADER_VALUES, name=strategies.data())
def test_no_request_breaks_or_leaks(guarded, token_for, account, grain, day, on, header, name):
    token = token_for(1).encode()
    field = name.draw(strategies.sampled_from(["if-none-match", "accept-language", "cookie", "x-forwarded-for"]))
    guarded.cookies.clear()
    path = name.draw(
        strategies.sampled_from(
            [
                f"/api/accounts/{quote(account)}/metrics?on={quote(on)}",
                f"/api/accounts/{quote(account)}/metrics/{quote(grain)}/{quote(day)}?fresh={quote(on)}",
                f"/accounts/{quote(account)}?on={quote(on)}",
                f"/accounts/{quote(account)}/{quote(grain)}/{quote(day)}",
                f"/accounts/{quote(account)}/pick?grain={quote(grain)}&on={quote(on)}",
                f"/?account={quote(account)}&after={quote(on)}",
            ]
        )
    )
    answer = guarded.get(path, headers=[(b"authorization", b"Bearer " + token), (field.encode(), header)])
    assert answer.status_code < 500, (path, field, header)
    assert not any(word in answer.text for word in OTHER)


@SLOW
@given(
    header=HEADER_VALUES,
    cookie=strategies.text(strategies.characters(min_codepoint=33, max_codepoint=126, exclude_characters=';,"\\')),
    query=TEXT,
    way=strategies.sampled_from(["header", "bearer", "cookie", "query"]),
)
def test_no_made_up_token_opens_anything(guarded, header, cookie, query, way):
    guarded.cookies.clear()
    headers = {
        "header": [(b"authorization", header)],
        "bearer": [(b"authorization", b"Bearer " + header)],
        "cookie": [(b"cookie", f"metrics_token={cookie}".encode())],
    }.get(way, [])
    suffix = f"?token={quote(query)}" if way == "query" else ""
    for path in ("/api/accounts/2/metrics", "/accounts/2", "/"):
        answer = guarded.get(path + suffix, headers=headers, follow_redirects=False)
        assert answer.status_code in (400, 401), (path, way)
        assert not any(word in answer.text for word in OTHER)
