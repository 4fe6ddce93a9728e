"""Where a program enters: a pipeline on the configured servers, or on embedded ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from typing import TYPE_CHECKING

from metrics_pipeline.errors import BadRequest
from metrics_pipeline.periods import Grain
from metrics_pipeline.pipeline import Pipeline
from metrics_pipeline.services.embedded import ensure_services
from metrics_pipeline.settings import Settings, load_settings

if TYPE_CHECKING:
    import pandas as pd


def open_pipeline(settings: Settings | None = None) -> Pipeline:
    """A pipeline, to be used in a `with` block.

    Servers without a configured URL are started. The embedded database is brought to the newest
    schema; a configured one is left as it is, for `metrics-pipeline migrate` to change.

    Args:
        settings: default: those of the environment.

    Raises:
        ConfigurationError: a setting is wrong, or there is nothing to start a server from.
        DatabaseUnavailable, CacheUnavailable: an embedded server did not start.
    """
    settings = settings or load_settings()
    pipeline = Pipeline(with_servers(settings))
    if settings.database_url is None:
        try:
            pipeline.migrate()
        except BaseException:
            pipeline.close()
            raise
    return pipeline


def with_servers(settings: Settings) -> Settings:
    """The settings with both URLs filled in; servers that have none are started. Raises as `open_pipeline`."""
    urls = ensure_services(settings)
    return settings.model_copy(update={"database_url": urls.database_url, "redis_url": urls.redis_url})


def read_metrics(
    *,
    grains: Iterable[Grain | str] | None = None,
    first: date | None = None,
    last: date | None = None,
    account_ids: Sequence[int] | None = None,
    settings: Settings | None = None,
) -> pd.DataFrame:
    """The stored metrics as a DataFrame: one row per account, period and currency; money as Decimal.

    Args:
        grains: "day", "week", "month", "year" or `Grain`s; default: all.
        first, last: bounds of the periods' first days, both included.
        account_ids: default: every account that has stored metrics.
    """
    with open_pipeline(settings) as pipeline:
        return pipeline.read_metrics(grains=_grains(grains), first=first, last=last, account_ids=account_ids)


def _grains(names: Iterable[Grain | str] | None) -> list[Grain] | None:
    try:
        return None if names is None else [Grain(name) for name in ([names] if isinstance(names, str) else names)]
    except ValueError as error:
        raise BadRequest(f"{error}; a grain is one of {', '.join(grain.value for grain in Grain)}.") from None
