"""A sample database: months of expenses of invented households, the same for the same seed and day."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Engine

from metrics_pipeline.database import domain_errors
from metrics_pipeline.errors import BadRequest
from metrics_pipeline.source import values
from metrics_pipeline.source.sampling.draw import draw_sample
from metrics_pipeline.source.sampling.rows import category_rows
from metrics_pipeline.source.sampling.writing import Progress, write
from metrics_pipeline.sql import query

_LOCK = 0x73616D706C65  # "sample": two at once wait for each other
_MOST_ACCOUNTS, _MOST_MONTHS = 100_000, 240


@dataclass(frozen=True)
class SampleSummary:
    """What was written, and the local days that its expenses cover."""

    accounts: int
    categories: int
    expenses: int
    budgets: int
    first_day: date
    last_day: date


def write_sample(
    engine: Engine,
    *,
    accounts: int = 200,
    months: int = 24,
    seed: int = 1,
    today: date,
    zone: ZoneInfo,
    default_currency: str = "USD",
    progress: Progress | None = None,
) -> SampleSummary:
    """Fill the empty expense tables, in one transaction.

    The expenses cover `months` whole months before today's and the days of this one, up to the
    local noon of `today`. The same arguments give the same rows on the same version of numpy.

    Raises:
        BadRequest: the tables hold data already, or an argument is out of range.
        DatabaseUnavailable: nothing was written; try again.
    """
    _check(accounts, months, seed, default_currency)
    with domain_errors("Writing the sample"), engine.begin() as connection:
        _lock_empty_tables(connection)
        sample = draw_sample(
            accounts=accounts,
            months=months,
            seed=seed,
            today=today,
            zone=zone,
            default_currency=default_currency.upper(),
        )
        write(connection, sample, progress)
    return SampleSummary(
        accounts=accounts,
        categories=len(category_rows()),
        expenses=sample.ledger.count,
        budgets=len(sample.budgets),
        first_day=sample.days[0],
        last_day=sample.days[-1],
    )


def _lock_empty_tables(connection: Connection) -> None:
    connection.execute(query("lock_sample"), {"lock": _LOCK})
    if filled := connection.execute(query("tables_with_data")).scalars().all():
        raise BadRequest(
            f"Writing the sample: {', '.join(filled)} already hold data, which a sample would mix with. "
            "Use an empty database."
        )


def _check(accounts: int, months: int, seed: int, default_currency: str) -> None:
    if not 1 <= accounts <= _MOST_ACCOUNTS:
        raise BadRequest(f"A sample has 1 to {_MOST_ACCOUNTS} accounts, not {accounts}.")
    if not 1 <= months <= _MOST_MONTHS:
        raise BadRequest(f"A sample covers 1 to {_MOST_MONTHS} months, not {months}.")
    if seed < 0:
        raise BadRequest(f"A sample's seed is 0 or more, not {seed}.")
    try:
        values.currency(default_currency)
    except values.BadValue as error:
        raise BadRequest(f"The default currency {error}.") from None
