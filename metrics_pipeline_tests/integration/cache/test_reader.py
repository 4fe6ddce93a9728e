"""Where a read's answer comes from, and what it does when a server is away."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from decimal import Decimal

import pytest
from redis.connection import AbstractConnection

from metrics_pipeline.cache import reader as reader_module
from metrics_pipeline.cache.keys import Entry, cache_key
from metrics_pipeline.cache.reader import MetricsReader, Reading
from metrics_pipeline.errors import BadRequest, DatabaseUnavailable
from metrics_pipeline.metrics.payload import PeriodMetrics
from metrics_pipeline.periods import Grain, Period
from metrics_pipeline_tests.world import CURRENT, TODAY, World, before

TOMORROW = TODAY + timedelta(days=1)
MONTH = Period.holding(Grain.MONTH, TODAY)


def read(world: World, account: int = 1, grain: Grain = Grain.MONTH, **how) -> tuple[str, Decimal | None]:
    """The source and the total in US dollars."""
    reading = world.pipeline.reader.get(account, grain, **{"today": TODAY, **how})
    return reading.source, total(reading)


def total(reading: Reading) -> Decimal | None:
    currencies = reading.payload.currencies
    return currencies["USD"].total if currencies else None


def tamper(world: World, **fields: object) -> None:
    """Change the cached month of account 1, so that whoever reads it shows that."""
    entry = Entry.decode(world.redis.get(cache_key(1, MONTH)))
    world.redis.set(cache_key(1, MONTH), entry._replace(**fields).encode())


def counting_reader(world: World, computed: list[object]) -> MetricsReader:
    pipeline = world.pipeline

    def compute(request) -> None:
        computed.append(request)
        pipeline.refresh(request)

    return MetricsReader(pipeline.settings, pipeline.engine, pipeline.redis, compute)


def test_a_published_payload_is_a_hit(world):
    assert read(world) == ("cache", Decimal("10.00"))
    tamper(world, payload=world.redis.get(cache_key(1, MONTH))[35:].replace(b'"10.00"', b'"77.00"'))
    assert read(world) == ("cache", Decimal("77.00"))


def test_a_payload_from_the_store_is_published_and_then_a_hit(world):
    world.redis.flushdb()
    assert read(world) == ("store", Decimal("10.00"))
    assert read(world) == ("cache", Decimal("10.00"))  # its JSON has another order: the fields are found all the same
    assert 3400 < world.redis.ttl(cache_key(1, MONTH)) < 3800


def test_nothing_stored_is_computed_stored_and_published(world):
    long_ago = date(2026, 1, 2)
    assert read(world, account=2, on=long_ago) == ("computed", None)
    assert read(world, account=2, on=long_ago) == ("cache", None)
    world.redis.flushdb()
    assert read(world, account=2, on=long_ago) == ("store", None)


@pytest.mark.parametrize("grain", Grain)
def test_a_current_period_is_computed_again_when_the_day_has_turned(world, grain):
    assert read(world, grain=grain)[0] == "cache"
    reading = world.pipeline.reader.get(1, grain, on=TODAY, today=TOMORROW)
    assert reading.source == "computed"
    assert reading.payload.as_of == min(TOMORROW, Period.holding(grain, TODAY).last_day)
    assert world.pipeline.reader.get(1, grain, on=TODAY, today=TOMORROW).source == "cache"


def test_a_period_that_closed_is_computed_again_though_its_as_of_is_the_same(world):
    sunday = date(2026, 3, 22)
    assert read(world, grain=Grain.WEEK, today=sunday)[0] == "computed"
    assert read(world, grain=Grain.WEEK, today=sunday)[0] == "cache"
    closed = world.pipeline.reader.get(1, Grain.WEEK, on=sunday, today=sunday + timedelta(days=1))
    assert (closed.source, closed.payload.is_current, closed.payload.as_of) == ("computed", False, sunday)


def test_an_entry_and_a_row_of_other_settings_are_passed_over(world):
    tamper(world, fingerprint="f" * 16, version=1)
    assert read(world) == ("store", Decimal("10.00"))
    world.redis.flushdb()
    world.sql("UPDATE metrics.period_metrics SET fingerprint = 'ffffffffffffffff'")
    assert read(world) == ("computed", Decimal("10.00"))


def test_each_name_that_is_looked_for_as_text_is_in_a_payload_once(world):
    json = world.pipeline.reader.get(1, Grain.MONTH, today=TODAY).json
    assert json.count(b'"as_of":') == json.count(b'"is_current":') == 1
    schema = str(PeriodMetrics.model_json_schema())
    assert schema.count("'as_of': {") == schema.count("'is_current': {") == 1


def unabsorbed(world: World) -> None:
    world.spend(1, 5)


def marked(world: World) -> None:
    world.spend(1, 5)
    world.absorb()


def marked_for_everybody(world: World) -> None:
    world.spend(1, 5)
    world.absorb()
    world.sql("UPDATE metrics.stale_periods SET account_id = 0 WHERE account_id = 1")


def missed(world: World) -> None:
    world.sql("ALTER TABLE expenses DISABLE TRIGGER USER")
    world.spend(1, 5)
    world.sql("SELECT nextval('metrics.missed_changes')")


@pytest.mark.parametrize("change", [unabsorbed, marked, marked_for_everybody, missed])
def test_what_may_have_changed_is_computed(world, change):
    change(world)
    world.redis.flushdb()
    assert read(world) == ("computed", Decimal("15.00"))


def test_fresh_never_reads_the_cache(world):
    tamper(world, payload=world.redis.get(cache_key(1, MONTH))[35:].replace(b'"10.00"', b'"77.00"'))
    assert read(world) == ("cache", Decimal("77.00"))
    assert read(world, fresh=True) == ("store", Decimal("10.00"))


def test_fresh_has_the_callers_own_writes(world):
    for cents in range(1, 6):
        world.spend(1, Decimal("0.01"))
        assert read(world, fresh=True) == ("computed", Decimal("10.00") + Decimal(cents) / 100)
    many = world.pipeline.reader.get_many(1, today=TODAY, fresh=True)
    assert {total(reading) for reading in many.values()} == {Decimal("10.05")}


def test_many_readers_of_one_missing_payload_compute_it_once(world):
    computed: list[object] = []
    reader, together = counting_reader(world, computed), threading.Barrier(8)
    world.sql("DELETE FROM metrics.period_metrics")
    world.redis.flushdb()

    def one(_: int) -> Reading:
        together.wait()
        return reader.get(1, Grain.MONTH, today=TODAY)

    with ThreadPoolExecutor(8) as pool:
        readings = list(pool.map(one, range(8)))
    assert {total(reading) for reading in readings} == {Decimal("10.00")}
    assert len(computed) == 1
    assert [reading.source for reading in readings].count("computed") == 1


def test_a_reader_that_comes_just_after_another_one_does_not_compute_again(world, monkeypatch):
    computed: list[object] = []
    reader = counting_reader(world, computed)
    world.sql("DELETE FROM metrics.period_metrics")
    world.redis.flushdb()
    with before(monkeypatch, reader_module, "alone", lambda: reader.get(1, Grain.MONTH, today=TODAY)):
        assert reader.get(1, Grain.MONTH, today=TODAY).source == "store"
    assert len(computed) == 1


def test_a_flight_whose_reader_died_is_not_waited_for_long(world):
    world.sql("DELETE FROM metrics.period_metrics")
    world.redis.flushdb()
    world.redis.set(f"metrics:flight:{cache_key(1, MONTH)}", "dead")
    started = time.monotonic()
    assert read(world) == ("computed", Decimal("10.00"))
    assert time.monotonic() - started < 4


def test_without_redis_the_store_answers_at_once(world, without):
    reader = without("redis_url").reader
    started = time.monotonic()
    readings = reader.get_many(1, today=TODAY)
    assert time.monotonic() - started < 1
    assert {(reading.source, total(reading)) for reading in readings.values()} == {("store", Decimal("10.00"))}
    world.spend(1, 5)
    reading = reader.get(1, Grain.MONTH, today=TODAY)
    assert (reading.source, total(reading)) == ("computed", Decimal("15.00"))


def test_without_postgresql_hits_are_served_and_what_is_outdated_says_so(world, without):
    reader = without("database_url").reader
    hit = reader.get(1, Grain.MONTH, today=TODAY)
    assert (hit.source, hit.outdated) == ("cache", False)
    old = reader.get(1, Grain.MONTH, today=TOMORROW)
    assert (old.source, old.outdated, total(old)) == ("cache", True, Decimal("10.00"))
    assert old.age_seconds() < 60


@pytest.mark.parametrize("how", [{"today": TOMORROW}, {"today": TODAY, "fresh": True}])
def test_without_postgresql_and_an_entry_the_error_says_what_to_do(without, how):
    reader = without("database_url").reader
    with pytest.raises(DatabaseUnavailable, match=r"Reading day .* of account 1: .*METRICS_DATABASE_URL"):
        reader.get(1, Grain.DAY, **how)


def test_four_periods_are_one_round_trip(world, monkeypatch):
    world.pipeline.reader.get(1, Grain.DAY, today=TODAY)  # opens the connection
    send, sent = AbstractConnection.send_packed_command, []

    def counted(connection, commands, *more, **options):
        sent.append(b"".join(commands))
        return send(connection, commands, *more, **options)

    monkeypatch.setattr(AbstractConnection, "send_packed_command", counted)
    readings = world.pipeline.reader.get_many(1, today=TODAY)
    assert {reading.source for reading in readings.values()} == {"cache"}
    (packet,) = sent
    assert [packet.count(cache_key(1, period).encode()) for period in CURRENT] == [1, 1, 1, 1]


def test_of_four_periods_only_the_missing_one_is_looked_for(world):
    world.redis.delete(cache_key(1, MONTH))
    readings = world.pipeline.reader.get_many(1, today=TODAY)
    assert [(grain.value, reading.source) for grain, reading in readings.items()] == [
        ("day", "cache"),
        ("week", "cache"),
        ("month", "store"),
        ("year", "cache"),
    ]
    assert [reading.payload.grain for reading in readings.values()] == list(Grain)


@pytest.mark.parametrize(
    ("account", "how", "why"),
    [
        (99, {}, "There is no account 99"),
        (0, {}, "Account id 0 is not a positive integer"),
        (1, {"on": TOMORROW}, "day 2026-03-19 has not begun: today is 2026-03-18"),
        (1, {"on": date(2025, 12, 31)}, "day 2025-12-31 ended before 2026-01-01.*METRICS_START_DATE"),
    ],
)
@pytest.mark.parametrize("fresh", [False, True])
def test_what_cannot_be_answered_is_an_error_of_the_caller(world, account, how, why, fresh):
    with pytest.raises(BadRequest, match=why):
        world.pipeline.reader.get(account, Grain.DAY, today=TODAY, fresh=fresh, **how)
    with pytest.raises(BadRequest, match=why):
        world.pipeline.reader.get_many(account, today=TODAY, fresh=fresh, **how)


def test_a_period_that_the_start_date_cuts_is_answered(world):
    assert read(world, grain=Grain.WEEK, on=date(2025, 12, 31))[0] == "computed"
