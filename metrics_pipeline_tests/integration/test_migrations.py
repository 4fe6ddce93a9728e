"""Each revision takes back all it made, so that the release before it can be used again, and figures survive that."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, text

from metrics_pipeline import migrations
from metrics_pipeline.database import connect_engine
from metrics_pipeline.errors import BadRequest, SchemaError
from metrics_pipeline.migrations.apply import migrate, revisions, roll_back
from metrics_pipeline.pipeline import Pipeline
from metrics_pipeline_tests.conftest import database_named
from metrics_pipeline_tests.world import World

NEWEST = revisions()[0]

# What the schema consists of. Columns by name: one that is dropped and made again comes last.
DESCRIPTION = """
SELECT oid::regclass::text AS part, relkind::text || coalesce(reloptions::text, '') AS definition,
    obj_description(oid, 'pg_class') AS comment
FROM pg_class WHERE relnamespace = 'metrics'::regnamespace AND relkind IN ('r', 'S', 'v')
UNION ALL
SELECT attrelid::regclass || '.' || attname, format_type(atttypid, atttypmod) || attnotnull || attstorage::text,
    col_description(attrelid, attnum)
FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
WHERE relnamespace = 'metrics'::regnamespace AND relkind IN ('r', 'v') AND attnum > 0 AND NOT attisdropped
UNION ALL
SELECT conrelid::regclass || '.' || conname, pg_get_constraintdef(oid), NULL
FROM pg_constraint WHERE connamespace = 'metrics'::regnamespace
UNION ALL
SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid), NULL
FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid WHERE relnamespace = 'metrics'::regnamespace
UNION ALL
SELECT attrelid::regclass || '.' || attname || ' default', pg_get_expr(adbin, adrelid), NULL
FROM pg_attrdef JOIN pg_attribute ON (attrelid, attnum) = (adrelid, adnum) JOIN pg_class ON pg_class.oid = adrelid
WHERE relnamespace = 'metrics'::regnamespace
UNION ALL
SELECT viewname, definition, NULL FROM pg_views WHERE schemaname = 'metrics'
UNION ALL
SELECT oid::regprocedure::text, prosrc, NULL FROM pg_proc WHERE pronamespace = 'metrics'::regnamespace
ORDER BY 1, 2
"""


@pytest.fixture
def empty(servers) -> Iterator[Engine]:
    with database_named(servers, f"metrics_empty_{uuid.uuid4().hex[:12]}", "template0") as url:
        engine = connect_engine(url)
        yield engine
        engine.dispose()


def described(engine: Engine) -> list[tuple[str, ...]]:
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(DESCRIPTION))]


def migrate_to(engine: Engine, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    with engine.begin() as connection:
        connection.execute(text("CREATE SCHEMA IF NOT EXISTS metrics"))
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def test_each_revision_takes_back_what_it_made(empty):
    found = {}
    for revision in reversed(revisions()):
        migrate_to(empty, revision)
        found[revision] = described(empty)
    assert len({str(parts) for parts in found.values()}) == len(revisions())
    migrate(empty)
    for revision in revisions()[1:]:
        roll_back(empty, revision)
        left = described(empty)
        functions = [part for part in left if part[0].endswith("()")]  # of triggers, while these have their log
        assert [part for part in left if part not in functions] == found[revision]
        assert bool(functions) == (revision >= "0003")


def test_expenses_and_their_triggers_outlive_the_way_back(empty):
    migrate(empty)
    spending = (
        "INSERT INTO email_accounts (id, email) VALUES (:id, 'a' || :id); "
        "INSERT INTO expenses (email_account_id, amount, currency, transaction_date) VALUES (:id, 5, 'USD', now())"
    )
    for id, revision in enumerate(revisions()[1:]):
        roll_back(empty, revision)
        with empty.begin() as connection:
            for statement in spending.split("; "):
                connection.execute(text(statement), {"id": id})
            count = connection.execute(text("SELECT count(*) FROM expenses")).scalar_one()
        assert count == id + 1


def test_stored_figures_come_back_as_they_were(settings, redis_client, database):
    """Payloads were `jsonb` before revision 0007, which has another order of keys: all are computed again."""
    with Pipeline(settings) as pipeline:
        world = World(pipeline, redis_client, database.connect)
        world.sql("INSERT INTO email_accounts (id, email) VALUES (1, 'a')")
        world.spend(1, "12.50")
        first, before = world.hourly(), payloads(world)
        roll_back(database.engine, "0006")
        assert [json.loads(payload) for payload in payloads(world)] == [json.loads(payload) for payload in before]
        migrate(database.engine)
        again = world.hourly()
        assert again.payloads == first.payloads == len(before) > 0
        assert payloads(world) == before
        assert world.wrong() == []


def payloads(world: World) -> list[str]:
    with world.pipeline.engine.connect() as connection:
        stored = "SELECT payload::text FROM metrics.period_metrics ORDER BY grain, period_start"
        return list(connection.execute(text(stored)).scalars())


def test_who_may_read_the_view_may_read_it_after_a_migration(empty):
    migrate(empty)
    rights = "SELECT relacl FROM pg_class WHERE oid = 'metrics.period_totals'::regclass"
    with empty.begin() as connection:
        connection.execute(text("GRANT SELECT ON metrics.period_totals TO PUBLIC"))
        connection.execute(text("GRANT SELECT, DELETE ON metrics.period_totals TO pg_monitor WITH GRANT OPTION"))
        before = connection.execute(text(rights)).scalar_one()
    roll_back(empty, "0009")
    migrate(empty)
    with empty.connect() as connection:
        assert sorted(connection.execute(text(rights)).scalar_one()) == sorted(before)


def test_what_somebody_built_on_the_view_is_named_and_left_alone(empty):
    migrate(empty)
    with empty.begin() as connection:
        connection.execute(text("CREATE VIEW public.our_totals AS SELECT * FROM metrics.period_totals"))
    with pytest.raises(SchemaError, match=r"DETAIL:  view our_totals depends on .*Drop what depends on it"):
        roll_back(empty, "0009")
    assert migrate(empty) == NEWEST


def test_there_is_no_way_back_to_a_revision_that_the_database_never_had(empty):
    migrate(empty)
    roll_back(empty, "0009")
    for revision in (NEWEST, "9999", "head", "-1"):
        with pytest.raises(BadRequest, match=f"revision {revision}: the database is at 0009, .* 0001, .* 0008. Name"):
            roll_back(empty, revision)
    assert migrate(empty) == NEWEST


@pytest.mark.parametrize("change", [migrate, lambda engine: roll_back(engine, "0001")])
def test_the_schema_of_a_newer_release_is_left_as_it_is(database, change):
    with database.engine.begin() as connection:
        connection.execute(text("UPDATE metrics.schema_version SET version_num = '9999'"))
    before = described(database.engine)
    with pytest.raises(SchemaError, match=f"at revision 9999. A newer release made it: .* --back-to {NEWEST}"):
        change(database.engine)
    assert described(database.engine) == before
