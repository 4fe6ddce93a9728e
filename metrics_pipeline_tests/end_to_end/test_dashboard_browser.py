"""The dashboard as a person meets it: headless Chromium against a real server."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect, sync_playwright
from sqlalchemy import text

from metrics_pipeline.cache.reader import Reading
from metrics_pipeline.periods import Grain, Period
from metrics_pipeline.pipeline import Pipeline
from metrics_pipeline.planning.request import RefreshRequest
from metrics_pipeline.source.sample import write_sample
from metrics_pipeline_tests.dashboard_process import running_dashboard

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PHONE, DESKTOP = {"width": 390, "height": 844}, {"width": 1360, "height": 850}

pytestmark = [
    pytest.mark.timeout(240),
    pytest.mark.skipif(
        CHROMIUM is None and os.environ.get("CI") != "true",
        reason="No Chromium here: install it, for example with `apt-get install chromium`.",
    ),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    assert CHROMIUM, "No Chromium here, and CI must not skip these tests: install it before them."
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def pipeline(settings) -> Iterator[Pipeline]:
    """A sample of ten households, computed and published."""
    with Pipeline(settings) as pipeline:
        today = settings.today()
        write_sample(pipeline.engine, accounts=10, months=3, today=today, zone=settings.zone)
        with pipeline.engine.begin() as connection:  # the sample ends at noon: there is something today at any hour
            connection.execute(
                text(
                    "INSERT INTO expenses (email_account_id, amount, currency, transaction_date)"
                    " SELECT id, 12.34, coalesce(currency, 'USD'), :today FROM email_accounts"
                ),
                {"today": f"{today}T00:00Z"},
            )
        pipeline.absorb_changes()
        pipeline.calculate()
        yield pipeline


@pytest.fixture
def url(pipeline) -> Iterator[str]:
    with running_dashboard(pipeline.settings) as url:
        yield url


@pytest.fixture
def open_page(browser, url) -> Iterator[Callable[..., Page]]:
    """Open a path of the dashboard. Errors in the console, and requests elsewhere, fail the test."""
    contexts, wrong = [], []

    def make(path: str, **options: object) -> Page:
        context = browser.new_context(**{"viewport": DESKTOP, "locale": "en-US", **options})
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda said: wrong.append(said.text) if "Content Security" in said.text else None)
        page.on("request", lambda asked: None if asked.url.startswith(url) else wrong.append(asked.url))
        page.goto(url + path)
        return page

    yield make
    for context in contexts:
        context.close()
    assert not wrong


def digits(text_: str) -> str:
    """What is left of a number when its signs are taken away: 1,234.50 becomes 123450."""
    return re.sub(r"\D", "", text_)


def assert_card_shows(page: Page, reading: Reading) -> None:
    """Each number on a card against the payload."""
    payload = reading.payload
    card = page.locator(f"#card-{payload.grain.value}")
    shown = [card.locator(".total"), *card.locator(".other-total").all()]
    for place, metrics in zip(shown, payload.currencies.values(), strict=True):
        assert digits(place.inner_text()) == digits(f"{metrics.total:.2f}")
    first = next(iter(payload.currencies.values()))
    trend = first.trend.to_date if payload.grain is not Grain.DAY else first.trend
    line = card.locator(".trend").first.inner_text()
    if trend.amount_change_pct and trend.absolute_amount_change:
        assert f"{abs(trend.amount_change_pct):,.2f}".rstrip("0").rstrip(".") in line
        assert ("more than" if trend.is_increase else "less than") in line
        assert digits(f"{trend.absolute_amount_change:.2f}") in digits(line)
    tips = card.locator(".column .tip strong").all_text_contents()
    assert [digits(tip) for tip in tips] == [digits(f"{total:.2f}") for total in first.sparkline.days]
    budget = first.budgets and first.budgets.general
    if budget:
        words = card.locator(".budget").first.inner_text()
        assert f"{budget.usage_pct:,.1f}".removesuffix(".0") in words
        assert digits(f"{budget.spent:.2f}") in digits(words)
    counts = card.locator(".counts").inner_text()
    assert f"{sum(metrics.count for metrics in payload.currencies.values())} expense" in counts
    assert (f"{payload.uncategorized_count} uncategorised" in counts) == bool(payload.uncategorized_count)


def test_the_four_cards_show_the_payloads_numbers(open_page, pipeline):
    for account_id in (1, 2, 3):
        page = open_page(f"/accounts/{account_id}")
        assert page.locator("h2").all_inner_texts() == ["Today", "This week", "This month", "This year"]
        for reading in pipeline.reader.get_many(account_id).values():
            assert_card_shows(page, reading)


def test_the_keyboard_reaches_days_and_periods(open_page, settings):
    page = open_page("/accounts/1")
    expect(page.locator("[data-live]")).to_have_class(re.compile("is-live"))
    page.locator("#card-week .card-link").focus()
    page.keyboard.press("Tab")
    tips = page.locator("#card-week .tip")
    expect(tips.nth(6)).to_have_css("opacity", "1")
    page.keyboard.press("ArrowLeft")
    expect(tips.nth(5)).to_have_css("opacity", "1")
    expect(tips.nth(6)).to_have_css("opacity", "0")
    page.keyboard.press("Home")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/accounts/1/day/{settings.today() - timedelta(days=6)}")
    page.go_back()
    page.locator("#card-month .card-link").focus()
    page.keyboard.press("Enter")
    month = Period.holding(Grain.MONTH, settings.today())
    page.wait_for_url(f"**/accounts/1/month/{month.key}")
    expect(page.locator(".categories li").first).to_be_visible()
    page.locator("a[rel=prev]").press("Enter")
    page.wait_for_url(f"**/accounts/1/month/{month.shift(-1).key}")


def test_an_edit_appears_without_a_reload(open_page, pipeline):
    page = open_page("/accounts/1")
    expect(page.locator("[data-live]")).to_have_class(re.compile("is-live"))
    page.evaluate("document.body.dataset.same = 'page'")
    total = page.locator("#card-day .total")
    before = total.inner_text()
    with pipeline.engine.begin() as connection:
        connection.execute(
            text("UPDATE expenses SET amount = 4321.09 WHERE email_account_id = 1 AND transaction_date >= :today"),
            {"today": f"{pipeline.settings.today()}T00:00Z"},
        )
    today = pipeline.settings.today()
    pipeline.absorb_changes()
    pipeline.refresh(RefreshRequest([Period.holding(grain, today) for grain in Grain], today, [1]))
    expect(total).not_to_have_text(before, timeout=15_000)
    for grain, reading in pipeline.reader.get_many(1).items():
        version = re.compile(str(reading.version))
        expect(page.locator(f"#card-{grain.value}")).to_have_attribute("data-version", version, timeout=15_000)
    for reading in pipeline.reader.get_many(1).values():
        assert_card_shows(page, reading)
    expect(page.locator("[data-announce]")).to_contain_text("Updated: Today")
    assert page.evaluate("document.body.dataset.same") == "page"


def test_redis_stopped_the_page_answers_and_says_so_until_it_is_back(open_page, own_redis):
    page = open_page("/accounts/1")
    expect(page.locator("[data-live]")).to_have_class(re.compile("is-live"))
    own_redis.stop()
    expect(page.locator(".notice")).to_contain_text("The cache is away", timeout=15_000)
    expect(page.locator("[data-live]")).to_have_class(re.compile("is-away"))
    page.reload()
    expect(page.locator(".total").first).to_be_visible()
    expect(page.locator(".notice")).to_contain_text("The cache is away")
    own_redis.ensure()
    expect(page.locator(".notice")).to_have_count(0, timeout=15_000)
    expect(page.locator("[data-live]")).to_have_class(re.compile("is-live"), timeout=15_000)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_every_page_fits_and_is_accessible(open_page, settings, tmp_path, viewport, scheme):
    month = settings.today().replace(day=1)
    for path in (
        "/",
        "/accounts/1",
        f"/accounts/1/month/{month}",
        f"/accounts/1/year/{month.year}-01-01",
        "/accounts/99",
    ):
        page = open_page(path, viewport=viewport, color_scheme=scheme)
        assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"], path
        found = Axe().run(page)
        assert found.violations_count == 0, f"{path}\n{found.generate_report()}"
        light = page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(246, 246, 244)"
        assert light == (scheme == "light")


def test_the_four_cards_never_leave_one_alone_in_a_row(open_page):
    page = open_page("/accounts/1")
    columns = {}
    for width in (500, 800, 1200, 1300):
        page.set_viewport_size({"width": width, "height": 900})
        tracks = page.evaluate("getComputedStyle(document.querySelector('.cards')).gridTemplateColumns")
        columns[width] = len(tracks.split())
    assert columns == {500: 1, 800: 2, 1200: 2, 1300: 4}


def test_without_a_script_everything_is_there(open_page, pipeline):
    page = open_page("/accounts/1", java_script_enabled=False)
    for reading in pipeline.reader.get_many(1).values():
        assert_card_shows(page, reading)
    page.locator("#grain").select_option("week")
    page.locator(".picker button").click()
    page.wait_for_url("**/accounts/1/week/*")


def test_nothing_but_the_style_sheet_blocks_the_page(open_page):
    page = open_page("/accounts/1")
    resources = page.evaluate(
        "performance.getEntriesByType('resource').map(e => [new URL(e.name).pathname, e.renderBlockingStatus])"
    )
    assert [path for path, status in resources if status == "blocking"] == ["/static/dashboard.css"]
