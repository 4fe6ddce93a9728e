"""The pages as they are served, without a script."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import text

from metrics_pipeline.periods import Grain, Period


def test_four_cards_show_what_the_payloads_say(client, pipeline):
    page = client.get("/accounts/1", headers={"Accept-Language": "en-US"}).text
    for grain, reading in pipeline.reader.get_many(1).items():
        payload = reading.payload
        card = page.partition(f'id="card-{grain.value}"')[2].partition("</article>")[0]
        assert f"${payload.currencies['USD'].total:,.2f}</p>" in card
        assert f">{payload.transaction_count} expense" in card
        if payload.uncategorized_count:
            assert f"{payload.uncategorized_count} uncategorised" in card
    assert "Household" in page
    assert "ann@x.org" in page


def test_numbers_follow_the_visitor_unless_a_locale_is_set(client, serving):
    assert "10,50\xa0$" in client.get("/accounts/1", headers={"Accept-Language": "xx, de-DE;q=0.9"}).text
    fixed = serving(dashboard_locale="de_DE")
    assert "10,50\xa0$" in fixed.get("/accounts/1", headers={"Accept-Language": "en-US"}).text


def test_pages_have_nothing_inline_and_nothing_foreign(client, settings):
    for path in ("/", "/accounts/1", f"/accounts/1/month/{settings.today().replace(day=1)}", "/accounts/99"):
        page = client.get(path).text
        assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*src=)", page), path
        assert not re.search(r"(?:src|href|action)=\"(?:https?:)?//", page), path


def test_a_page_with_its_files_is_light(client, settings):
    month = f"/accounts/1/month/{settings.today().replace(day=1)}"
    static = sum(len(client.get(f"/static/{name}").content) for name in ("dashboard.css", "dashboard.js", "icon.svg"))
    for path in ("/accounts/1", month):
        assert len(client.get(path).content) + static < 60_000
    head = client.get("/accounts/1").text.partition("</head>")[0]
    assert head.count('rel="stylesheet"') == 1
    assert re.findall(r"<script[^>]*>", head) == re.findall(r"<script[^>]* defer>", head)


def test_files_are_kept_by_their_content(client):
    address = re.search(r'href="(/static/dashboard.css\?v=\w+)"', client.get("/accounts/1").text)[1]
    assert "immutable" in client.get(address).headers["cache-control"]
    assert client.get("/static/dashboard.css").headers["cache-control"] == "no-cache"
    assert client.get("/static/../app.py").status_code == 404


@pytest.mark.parametrize("grain", list(Grain))
def test_a_period_leads_to_the_ones_beside_it(client, settings, grain):
    current = Period.holding(grain, settings.today())
    page = client.get(f"/accounts/1/{grain.value}/{current.key}").text
    assert f'rel="prev" href="/accounts/1/{grain.value}/{current.shift(-1).key}"' in page
    assert 'rel="next"' not in page
    before = client.get(f"/accounts/1/{grain.value}/{current.shift(-1).key}").text
    assert f'rel="next" href="/accounts/1/{grain.value}/{current.key}"' in before
    first = client.get(f"/accounts/1/{grain.value}/{Period.holding(grain, settings.start_date).key}")
    assert first.status_code == 200
    assert 'rel="prev"' not in first.text
    assert f'value="{settings.start_date}" min="{settings.start_date}"' in first.text  # the picker's own rule


def test_names_are_text_not_markup(client, settings):
    page = client.get(f"/accounts/1/month/{settings.today().replace(day=1)}").text
    assert "Food &amp; &lt;drink&gt;" in page


@pytest.mark.parametrize(
    ("grain", "leads_to"),
    [
        ("month", "/accounts/1/month/2026-03-01"),
        ("week", "/accounts/1/week/2026-03-09"),
        ("all", "/accounts/1?on=2026-03-11"),
    ],
)
def test_the_picker_finds_the_period_that_holds_a_day(client, grain, leads_to):
    answer = client.get("/accounts/1/pick", params={"grain": grain, "on": "2026-03-11"}, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, leads_to)


def test_an_account_without_expenses_has_four_calm_cards(client, database):
    with database.engine.begin() as connection:
        connection.execute(text("INSERT INTO email_accounts (email, currency) VALUES ('new@x.org', 'EUR')"))
    page = client.get("/accounts/3").text
    assert page.count("No expenses, and none in the days before") == 4
    assert page.count("€0.00") == 4


def test_redis_away_is_said_and_everything_is_shown(serving, spending, tmp_path):
    without = serving(redis_url=f"unix://{tmp_path}/nothing.sock")
    page = without.get("/accounts/1").text
    assert "The cache is away" in page
    assert "$10.50" in page


def test_outdated_numbers_are_marked(client, serving, settings, redis_client):
    """PostgreSQL away, and the cached day is yesterday's: shown, and said so."""
    client.get("/accounts/1")
    for key in redis_client.keys("metrics:{1}:*"):
        value = redis_client.get(key)
        today = settings.today().isoformat().encode()
        redis_client.set(
            key,
            value.replace(
                b'"as_of":"' + today, b'"as_of":"' + (settings.today() - timedelta(days=1)).isoformat().encode()
            ),
        )
    without = serving(database_url="postgresql+psycopg://nobody@127.0.0.1:1/nothing")
    page = without.get("/accounts/1")
    assert page.status_code == 200
    assert "older than they should be" in page.text
    assert page.text.count('class="flag">Outdated') == 4
    assert without.get("/api/accounts/1/metrics").headers["metrics-outdated"].count("true") == 4


def test_errors_are_pages_that_lead_back(client):
    answer = client.get("/accounts/99")
    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("text/html")
    assert "There is no account 99" in answer.text
    assert 'href="/"' in answer.text


def test_times_are_those_of_the_configured_zone(serving, spending):
    abroad = serving(timezone="Pacific/Kiritimati")
    calculated = abroad.get("/api/accounts/1/metrics").json()["periods"]["day"]["calculated_at"]
    there = datetime.fromisoformat(calculated).astimezone(ZoneInfo("Pacific/Kiritimati"))
    page = abroad.get("/accounts/1").text
    assert f"at {there:%H:%M:%S}</time>" in page
    assert '<span class="zone">Pacific/Kiritimati</span>' in page
