"""All settings, read from the environment (METRICS_*) and validated once."""

from __future__ import annotations

from datetime import date, datetime, timezone
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from babel import localedata
from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from metrics_pipeline.errors import ConfigurationError
from metrics_pipeline.monitor.limits import Limits
from metrics_pipeline.periods import local_today


class Settings(BaseSettings):
    """What the pipeline needs to know. Each field is the environment variable METRICS_<FIELD>."""

    model_config = SettingsConfigDict(
        env_prefix="METRICS_",
        env_nested_delimiter="_",
        env_nested_max_split=1,
        frozen=True,
        extra="ignore",
        env_ignore_empty=True,
    )

    database_url: str | None = Field(
        None, description="PostgreSQL with the expense tables; unset starts an embedded server."
    )
    redis_url: str | None = Field(None, description="Redis for the cache; unset starts an embedded server.")
    broker_url: str | None = Field(
        None, description="Redis for the queue of runs; unset uses METRICS_REDIS_URL. It must not evict keys."
    )
    home: Path = Field(Path(".metrics"), description="Folder for embedded servers, logs and Dagster's files.")
    timezone: str = Field("UTC", description="IANA zone in which days begin, for example America/Costa_Rica.")
    start_date: date = Field(date(2020, 1, 1), description="The first day covered by partitions.")
    excluded_statuses: Annotated[tuple[str, ...], NoDecode] = Field(
        ("failed", "duplicate"), description="Expense statuses that do not count, separated by commas."
    )
    default_currency: str = Field("USD", description="Currency shown first for accounts that name none.")
    ttl_background_seconds: int = Field(4 * 3600, gt=0, description="Cache lifetime of background results.")
    ttl_on_demand_seconds: int = Field(3600, gt=0, description="Cache lifetime of results made for one read.")
    chunk_payloads: int = Field(1000, gt=0, description="Payloads stored by one transaction.")
    memory_budget_mb: float = Field(
        1500.0,
        gt=0,
        description="Megabytes that the expenses of one run may take; more are computed in portions of accounts.",
    )
    shards: int = Field(1, gt=0, le=1024, description="Runs that share the accounts of one hourly computation.")
    worker_concurrency: int = Field(4, gt=0, description="Runs that one worker does at once: the four of a change.")
    max_concurrent_runs: int | None = Field(
        None,
        gt=0,
        description="Runs at once, at most the sum of what all workers do at once; unset: METRICS_WORKER_CONCURRENCY.",
    )
    debounce_quiet_seconds: float = Field(
        1.0, ge=0, description="Changes are refreshed once there was none for so long."
    )
    debounce_longest_seconds: float = Field(
        10.0, gt=0, description="A burst of changes that does not pause is refreshed after so long all the same."
    )
    refresh_patience_seconds: float = Field(
        300.0,
        gt=0,
        description="An unfinished refresh is requested again after so long; the longest pause after failures.",
    )
    dagster_port: int = Field(3000, gt=0, lt=65536, description="Port of the Dagster web UI on 127.0.0.1.")
    dashboard_host: str = Field("127.0.0.1", description="Address the dashboard listens on.")
    dashboard_port: int = Field(8000, gt=0, lt=65536, description="Port of the dashboard.")
    dashboard_url: str | None = Field(None, description="Where browsers reach the dashboard, for links to it.")
    dashboard_secret: SecretStr | None = Field(
        None, description="Signs access tokens, 32 characters or more; unset leaves the dashboard open, on loopback."
    )
    dashboard_locale: str | None = Field(
        None, description="How numbers are written, for example de_DE; unset follows each browser."
    )
    retention_run_days: float = Field(
        30.0, ge=1, description="Dagster's records of runs are deleted after so long, unless a page still needs them."
    )
    monitor: Limits = Field(default_factory=Limits, description="Where the monitor draws its lines.")
    alert_webhook_url: SecretStr | None = Field(
        None, description="Told by POST when health changes and when runs fail for good; Slack's webhooks do."
    )
    alert_secret: SecretStr | None = Field(
        None, description="Signs what the webhook is told, 32 characters or more; unset sends it unsigned."
    )
    heartbeat_url: SecretStr | None = Field(
        None, description="Fetched after each hourly calculation that went well, for a dead man's switch."
    )

    @field_validator("database_url")
    @classmethod
    def _postgresql_url(cls, url: str | None) -> str | None:
        if url is None:
            return None
        try:
            parsed = make_url(url)
        except ArgumentError:
            raise ValueError("is not a URL; write it as postgresql://user:password@host:5432/database") from None
        if parsed.get_backend_name() not in ("postgresql", "postgres"):
            raise ValueError(f"names {parsed.drivername}, but only PostgreSQL works: postgresql://user@host/database")
        return parsed.set(drivername="postgresql+psycopg").render_as_string(hide_password=False)

    @field_validator("redis_url", "broker_url")
    @classmethod
    def _redis_scheme(cls, url: str | None) -> str | None:
        if url is not None and not url.startswith(("redis://", "rediss://", "unix://")):
            raise ValueError("is not a Redis URL; write it as redis://:password@host:6379/0 or unix:///path")
        return url

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (KeyError, ValueError, OSError):
            raise ValueError(f"{name!r} is not a known zone; use an IANA name such as America/Costa_Rica") from None
        return name

    @field_validator("excluded_statuses", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(sorted({part.strip().lower() for part in value.split(",") if part.strip()}))
        return value

    @field_validator("dashboard_secret", "alert_secret")
    @classmethod
    def _long_enough(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret is not None and len(secret.get_secret_value()) < 32:
            raise ValueError("is shorter than 32 characters; make one with `openssl rand -hex 32`")
        return secret

    @field_validator("dashboard_url")
    @classmethod
    def _web_address(cls, url: str | None) -> str | None:
        if url is not None and not url.startswith(("http://", "https://")):
            raise ValueError("is not a web address; write it as https://metrics.example.org")
        return url.rstrip("/") if url else None

    @field_validator("alert_webhook_url", "heartbeat_url")
    @classmethod
    def _secret_web_address(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None and not url.get_secret_value().startswith(("http://", "https://")):
            raise ValueError("is not a web address; write it as https://hooks.example.org/path")
        return url

    @field_validator("dashboard_locale")
    @classmethod
    def _known_locale(cls, name: str | None) -> str | None:
        if name is not None and not localedata.exists(name):
            raise ValueError(f"{name!r} is not a known locale; write it as en_US, de_DE or es_CR")
        return name

    @field_validator("default_currency")
    @classmethod
    def _upper(cls, code: str) -> str:
        if not (3 <= len(code) <= 12 and code.isalnum()):
            raise ValueError(f"{code!r} is not a currency code; use 3 to 12 letters or digits such as USD")
        return code.upper()

    @field_validator("home")
    @classmethod
    def _absolute(cls, home: Path) -> Path:
        return home.expanduser().resolve()

    def model_post_init(self, _: Any) -> None:
        if self.start_date > self.today():
            raise ConfigurationError(
                f"METRICS_START_DATE is {self.start_date}, in the future; set it to the first day of your expenses."
            )

    @cached_property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)

    @cached_property
    def dashboard_address(self) -> str:
        """Where a browser reaches the dashboard, without a slash at the end."""
        if self.dashboard_url:
            return self.dashboard_url
        # "All addresses" is not one to visit.
        host = "127.0.0.1" if self.dashboard_host in ("0.0.0.0", "::") else self.dashboard_host
        return f"http://{f'[{host}]' if ':' in host else host}:{self.dashboard_port}"

    def today(self, now: datetime | None = None) -> date:
        """The local day that holds `now` (aware; default: the machine's clock)."""
        return local_today(now or datetime.now(timezone.utc), self.zone)

    @classmethod
    def variables(cls) -> dict[str, FieldInfo]:
        """Every environment variable, with what it sets."""
        fields = {name: field for name, field in cls.model_fields.items() if name != "monitor"}
        fields |= {f"monitor_{name}": field for name, field in Limits.model_fields.items()}
        return {f"METRICS_{name.upper()}": field for name, field in fields.items()}


def load_settings(**overrides: Any) -> Settings:
    """Read the environment. Raises ConfigurationError, one line a wrong setting, saying what to set."""
    try:
        return Settings(**overrides)
    except ValidationError as error:
        lines = [
            f"METRICS_{'_'.join(part for part in item['loc'] if isinstance(part, str)).upper()}: "
            f"{item['msg'].removeprefix('Value error, ')}"
            for item in error.errors()
        ]
        raise ConfigurationError("\n".join(lines)) from None
