"""Who may see what: tokens, their scope and end, and that nothing leaks around them."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import jwt
import pytest

from metrics_pipeline.dashboard.access import COOKIE
from metrics_pipeline_tests.integration.dashboard.conftest import SECRET

PATHS = ["/api/accounts/1/metrics", "/api/accounts/1/metrics/year/2026-01-01", "/api/accounts/1/events", "/accounts/1"]


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def claims(**changes: object) -> dict[str, object]:
    now = datetime.now(timezone.utc)
    return {"aud": "metrics-dashboard", "iat": now, "exp": now + timedelta(days=1), "accounts": [1], **changes}


@pytest.mark.parametrize("path", PATHS)
def test_without_a_token_nothing_is_shown(guarded, path):
    answer = guarded.get(path)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert "10.50" not in answer.text


def test_a_token_shows_its_own_accounts(guarded, token_for):
    assert guarded.get(PATHS[0], headers=bearer(token_for(1))).status_code == 200
    both = bearer(token_for(1, 2))
    assert [guarded.get(f"/api/accounts/{id_}/metrics", headers=both).status_code for id_ in (1, 2)] == [200, 200]


@pytest.mark.parametrize("path", ["/api/accounts/{}/metrics", "/accounts/{}", "/api/accounts/{}/events"])
def test_another_account_is_refused_whether_or_not_it_exists(guarded, token_for, path):
    there, not_there = (guarded.get(path.format(id_), headers=bearer(token_for(1))) for id_ in (2, 999))
    assert (there.status_code, not_there.status_code) == (403, 403)
    assert there.text.replace("/2/", "/999/").replace("/2", "/999") == not_there.text


@pytest.mark.parametrize(
    "token",
    [
        jwt.encode(claims(), "another secret, which is long enough too", "HS256"),
        jwt.encode(claims(), SECRET, "HS512"),
        jwt.encode(claims(), None, "none"),
        jwt.encode(claims(aud="other"), SECRET, "HS256"),
        jwt.encode(claims(accounts="1"), SECRET, "HS256"),
        jwt.encode(claims(accounts=[True]), SECRET, "HS256"),
        jwt.encode(claims(accounts=None), SECRET, "HS256"),
        jwt.encode({"aud": "metrics-dashboard", "accounts": [1]}, SECRET, "HS256"),
        jwt.encode(claims(exp=10**18), SECRET, "HS256"),
        "",
        "not.a.token",
    ],
)
def test_a_token_made_otherwise_is_worthless(guarded, token):
    assert guarded.get(PATHS[0], headers=bearer(token)).status_code == 401
    guarded.cookies.set(COOKIE, token)
    assert guarded.get(PATHS[0]).status_code == 401


def test_a_token_ends(guarded, token_for):
    answer = guarded.get(PATHS[0], headers=bearer(token_for(1, days=1, ago=timedelta(days=1, seconds=1))))
    assert answer.status_code == 401
    assert "past its time" in answer.json()["detail"]


def test_a_link_trades_its_token_for_a_cookie(guarded, token_for):
    answer = guarded.get(f"/accounts/1?on=2026-01-05&token={token_for(1)}", follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/accounts/1?on=2026-01-05")
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert 86300 < int(cookie.partition("max-age=")[2].partition(";")[0]) <= 86400
    assert guarded.get("/accounts/1").status_code == 200
    assert guarded.get("/accounts/2").status_code == 403


def test_a_link_cannot_lead_to_another_site(guarded, token_for):
    answer = guarded.get(f"http://testserver//evil.example/?token={token_for(1)}", follow_redirects=False)
    assert not answer.headers.get("location", "").startswith("//")


def test_the_start_lists_only_ones_own(guarded, token_for):
    assert guarded.get("/").status_code == 401
    only = guarded.get("/", headers=bearer(token_for(1)), follow_redirects=False)
    assert only.headers["location"] == "/accounts/1"
    some = guarded.get("/", headers=bearer(token_for(1, 999)))
    assert "ann@x.org" in some.text
    assert "bob@secret.org" not in some.text


def test_a_foreign_name_for_loopback_is_refused(client):
    assert client.get("/", headers={"Host": "evil.example:8000"}).status_code == 421
    for host in ("localhost:8000", "127.0.0.1", "[::1]:8000", "[::1]"):
        assert client.get("/healthz", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("path", ["/", "/accounts/1", "/accounts/nobody", "/api/accounts/1/metrics", "/static/nothing"])
def test_every_answer_has_the_security_headers(client, path):
    headers = client.get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["cross-origin-resource-policy"] == "same-origin"
