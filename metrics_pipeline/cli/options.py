"""Options that several commands share."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Optional

import typer

from metrics_pipeline.errors import BadRequest
from metrics_pipeline.periods import Grain, parse_day


def _day(text: str) -> date:
    try:
        return parse_day(text)
    except BadRequest as error:
        raise typer.BadParameter(str(error).removeprefix("date ")) from None


def day_option(*names: str, help: str) -> typer.models.OptionInfo:
    """An option that takes a day."""
    return typer.Option(*names, parser=_day, metavar="YYYY-MM-DD", help=help)  # type: ignore[no-any-return]


# typer reads these as objects, so they can't be `date | None` on Python 3.10 with its older versions.
Today = Annotated[
    Optional[date],  # noqa: UP045
    day_option("--today", help="The day that counts as today. Default: the day it is in METRICS_TIMEZONE."),
]
Grains = Annotated[
    Optional[list[Grain]],  # noqa: UP045
    typer.Option("--grain", "-g", help="Only this length of period; repeat for more. Default: all four."),
]
Accounts = Annotated[
    Optional[list[int]],  # noqa: UP045
    typer.Option("--account", "-a", metavar="ID", min=1, help="Only this account, active or not; repeat for more."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a program to read.")]
