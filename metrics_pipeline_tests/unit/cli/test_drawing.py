"""The sparkline and the budget bar."""

from __future__ import annotations

from decimal import Decimal

import pytest

from metrics_pipeline.cli.budget_bar import bar_of
from metrics_pipeline.cli.sparkline import sparkline


def drawn(*values: str) -> str:
    return sparkline([Decimal(value) for value in values])


def test_the_largest_value_is_the_highest_block_and_zero_a_dot() -> None:
    assert drawn("0", "1", "2", "3", "4", "5", "6", "7", "8") == "·▂▃▄▅▆▇██"


def test_a_cent_beside_millions_is_still_seen() -> None:
    assert drawn("0.01", "99999999.99") == "▁█"


def test_nothing_at_all_is_drawn_as_nothing() -> None:
    assert drawn("0.00", "0.00") == "··"
    assert drawn() == ""


@pytest.mark.parametrize(
    ("usage", "bar"),
    [(0, "░" * 8), (50, "████░░░░"), (12.5, "█░░░░░░░"), (100, "█" * 8), (250, "█" * 8), (6.3, "▌░░░░░░░")],
)
def test_a_bar_shows_the_used_share_and_never_overflows(usage: float, bar: str) -> None:
    assert bar_of(usage, 8) == bar
