"""Publishing on a real Redis: the newest version wins, whatever the order in which publishers arrive."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import date

import pytest
from redis import Redis

from metrics_pipeline.cache import publisher as publishing
from metrics_pipeline.cache.keys import Entry, cache_key
from metrics_pipeline.cache.publisher import Published, Publisher
from metrics_pipeline.errors import CacheUnavailable, MetricsPipelineError
from metrics_pipeline.periods import Grain, Period
from metrics_pipeline.services.redis import EmbeddedRedis

HOUR = 3600.0
MONTH = Period(Grain.MONTH, date(2026, 3, 1))


def entry(version: int, text: str = "", account_id: int = 1) -> tuple[str, bytes]:
    return cache_key(account_id, MONTH), Entry(version, "f" * 16, (text or f"v{version}").encode()).encode()


def cached(client: Redis, account_id: int = 1) -> bytes:
    return Entry.decode(client.get(cache_key(account_id, MONTH))).payload


@pytest.fixture
def others(redis_url: str) -> Iterator[Publisher]:
    """A publisher with a connection of its own."""
    with Redis.from_url(redis_url) as client:
        yield Publisher(client)


@pytest.fixture
def publisher(redis_client: Redis) -> Publisher:
    return Publisher(redis_client)


def test_an_older_version_does_nothing_to_a_newer_one(publisher: Publisher, others: Publisher, redis_client: Redis):
    assert publisher.publish([entry(10)], HOUR) == Published(published=1, bytes=len(entry(10)[1]))
    before = redis_client.pttl(entry(10)[0])
    assert others.publish([entry(9)], 4 * HOUR) == Published(superseded=1, bytes=len(entry(9)[1]))
    assert cached(redis_client) == b"v10"
    assert redis_client.pttl(entry(10)[0]) <= before
    assert others.publish([entry(11)], HOUR).published == 1
    assert cached(redis_client) == b"v11"


def test_versions_are_compared_as_numbers(publisher: Publisher, redis_client: Redis):
    publisher.publish([entry(9)], HOUR)
    publisher.publish([entry(1_700_000_000_000_000)], HOUR)
    publisher.publish([entry(10)], HOUR)
    assert cached(redis_client) == b"v1700000000000000"


def test_publishers_at_once_leave_the_newest(redis_url: str, redis_client: Redis):
    """Ten connections, each with every hundredth of a thousand versions of one key and of another."""

    def publish(first: int) -> None:
        with Redis.from_url(redis_url) as client:
            versions = range(first, 1001, 10)
            publisher = Publisher(client)
            together.wait()
            publisher.publish([entry(v, account_id=a) for v in versions for a in (1, 2)], HOUR)

    together = threading.Barrier(10)
    threads = [threading.Thread(target=publish, args=(n + 1,)) for n in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (cached(redis_client, 1), cached(redis_client, 2)) == (b"v1000", b"v1000")


def test_the_same_version_lives_longer_but_never_shorter(publisher: Publisher, others: Publisher, redis_client: Redis):
    key, _ = entry(5)
    publisher.publish([entry(5)], HOUR)
    assert others.publish([entry(5)], 4 * HOUR).published == 1
    renewed = redis_client.pttl(key)
    assert renewed > 3.7 * HOUR * 1000
    assert others.publish([entry(5)], HOUR).published == 1
    assert renewed - 5_000 < redis_client.pttl(key) <= renewed


def test_lifetimes_are_spread_five_percent_either_way(publisher: Publisher, redis_client: Redis):
    entries = [entry(1, account_id=n) for n in range(1, 10_001)]
    publisher.publish(entries, 4 * HOUR)
    lifetimes = [redis_client.pttl(key) / 1000 for key, _ in entries]
    assert 0.95 * 4 * HOUR - 5 <= min(lifetimes) < 0.96 * 4 * HOUR
    assert 1.04 * 4 * HOUR < max(lifetimes) <= 1.05 * 4 * HOUR


def test_what_was_published_reads_back_byte_by_byte(publisher: Publisher, redis_client: Redis):
    """In several batches; values that hold the protocol's own separators, and an empty payload."""
    texts = {n: f"\r\n$3\r\n*6\r\né{n}\0" * (n % 7) for n in range(1, 1203)}
    entries = [(cache_key(n, MONTH), Entry(n, "f" * 16, text.encode()).encode()) for n, text in texts.items()]
    done = publisher.publish(entries, HOUR)
    assert done == Published(published=1202, bytes=sum(len(value) for _, value in entries))
    assert {n: cached(redis_client, n).decode() for n in texts} == texts
    assert publisher.publish([], HOUR) == Published()


def test_a_server_that_forgets_its_scripts_loses_nothing(publisher: Publisher, redis_url: str, redis_client: Redis):
    stop = threading.Event()

    def flush() -> None:
        with Redis.from_url(redis_url) as client:
            while not stop.is_set():
                client.script_flush()
                stop.wait(0.002)

    flushing = threading.Thread(target=flush)
    flushing.start()
    try:
        for version in range(1, 21):
            assert publisher.publish([entry(version, account_id=n) for n in range(1, 501)], HOUR).published == 500
    finally:
        stop.set()
        flushing.join()
    assert {cached(redis_client, n) for n in range(1, 501)} == {b"v20"}


def test_listeners_hear_of_new_versions_only(publisher: Publisher, redis_client: Redis):
    with redis_client.pubsub(ignore_subscribe_messages=True) as heard:
        heard.subscribe(publishing.CHANNEL)
        heard.get_message(timeout=5)
        publisher.publish([entry(2, account_id=7)], HOUR)
        for version in (2, 1, 3):
            publisher.publish([entry(version, account_id=7), entry(version, account_id=8)], HOUR)
        seven, eight = (cache_key(account_id, MONTH) for account_id in (7, 8))
        messages = [heard.get_message(timeout=5)["data"].decode() for _ in range(3)]
        assert messages == [seven, eight, f"{seven} {eight}"]
        assert heard.get_message(timeout=0.2) is None


def test_newer_versions_are_counted_over_all_goes(publisher: Publisher, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(publishing, "_AT_ONCE", 3)
    publisher.publish([entry(9, account_id=n) for n in range(1, 9)], HOUR)
    again = publisher.publish([entry(5, account_id=n) for n in range(1, 11)], HOUR)
    assert (again.superseded, again.published) == (8, 2)


def test_what_is_no_entry_is_replaced(publisher: Publisher, redis_client: Redis):
    """A key of another type under the name of an entry must not keep its neighbours, or itself, from being set."""
    redis_client.lpush(cache_key(2, MONTH), "not an entry")
    assert publisher.publish([entry(1, account_id=n) for n in (1, 2, 3)], HOUR).published == 3
    assert [cached(redis_client, n) for n in (1, 2, 3)] == [b"v1"] * 3


def test_an_error_that_redis_gives_is_told_and_the_connection_stays_usable(redis_url: str, redis_client: Redis):
    """A user who may not set anything, as long as that lasts."""
    redis_client.acl_setuser("reader", enabled=True, nopass=True, keys="*", channels="*", commands=["+@all", "-set"])
    with Redis.from_url(redis_url, username="reader", single_connection_client=True) as reader:
        connection = reader.client_id()
        with pytest.raises(MetricsPipelineError, match=r"Publishing 120 payloads: Redis refused .*can't run"):
            Publisher(reader).publish([entry(1, account_id=n) for n in range(1, 121)], HOUR)
        redis_client.acl_setuser("reader", commands=["+set"])
        assert Publisher(reader).publish([entry(2)], HOUR).published == 1
        assert reader.client_id() == connection
    redis_client.acl_deluser("reader")


def test_without_redis_the_error_is_transient_and_it_works_again_afterwards(tmp_path_factory: pytest.TempPathFactory):
    server = EmbeddedRedis(tmp_path_factory.mktemp("away"))
    with Redis.from_url(server.ensure()) as client:
        publisher = Publisher(client)
        publisher.publish([entry(1)], HOUR)
        server.stop()
        try:
            with pytest.raises(CacheUnavailable, match="Publishing 1 payloads: Redis did not answer"):
                publisher.publish([entry(2)], HOUR)
            server.ensure()
            assert publisher.publish([entry(3)], HOUR).published == 1
            assert cached(client) == b"v3"
        finally:
            server.stop()
