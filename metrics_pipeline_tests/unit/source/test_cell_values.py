from __future__ import annotations

import pytest

from metrics_pipeline.source import values
from metrics_pipeline.source.values import BadValue


@pytest.mark.parametrize(
    ("cell", "amount"),
    [
        ("0.01", "0.01"),
        ("12", "12"),
        ("12.5", "12.5"),
        ("9999999999.99", "9999999999.99"),
        ("+7.10", "7.10"),
        ("1e3", "1000"),
        ("000000000000012.00", "12.00"),
        (".5", "0.5"),
    ],
)
def test_amounts_are_taken_exactly(cell: str, amount: str) -> None:
    assert values.positive_amount(cell) == amount


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ("0", "not above zero"),
        ("0.00", "not above zero"),
        ("0e5", "not above zero"),
        ("-1", "negative"),
        ("-0", "negative"),
        ("12.345", "more than 2 decimals"),
        ("1.000", "more than 2 decimals"),
        ("1e-3", "more than 2 decimals"),
        ("10000000000", "above 9999999999.99"),
        ("1e999999", "above 9999999999.99"),
        ("NaN", "not a finite number"),
        ("sNaN", "not a finite number"),
        ("Infinity", "not a finite number"),
        ("-inf", "not a finite number"),
        ("1,234.50", "not a number"),
        ("1_000", "not a number"),
        ("١٢", "not a number"),
        ("$5", "not a number"),
        ("12 USD", "not a number"),
    ],
)
def test_amounts_that_are_refused(cell: str, reason: str) -> None:
    with pytest.raises(BadValue, match=reason):
        values.positive_amount(cell)


def test_a_budget_may_be_zero_but_not_negative() -> None:
    assert values.amount_or_zero("0") == "0"
    with pytest.raises(BadValue, match="negative"):
        values.amount_or_zero("-0.01")


@pytest.mark.parametrize("cell", ["0", "-1", "1.0", "1e3", "9223372036854775808", "99999999999999999999", "x", "²"])
def test_ids_that_are_refused(cell: str) -> None:
    with pytest.raises(BadValue, match="not a whole number from 1 to"):
        values.identifier(cell)


def test_ids_are_taken_up_to_the_largest_bigint() -> None:
    assert values.identifier("9223372036854775807") == 2**63 - 1
    assert values.identifier("007") == 7


@pytest.mark.parametrize(("cell", "code"), [("usd", "USD"), ("Usdc20", "USDC20"), ("ABCDEFGHIJKL", "ABCDEFGHIJKL")])
def test_currencies_are_stored_upper_case(cell: str, code: str) -> None:
    assert values.currency(cell) == code


@pytest.mark.parametrize("cell", ["US", "ABCDEFGHIJKLM", "U$D", "US D", "ÄÖÜ"])
def test_currencies_that_are_refused(cell: str) -> None:
    with pytest.raises(BadValue, match="3 to 12 letters or digits"):
        values.currency(cell)


def test_statuses_are_known_in_any_case() -> None:
    assert [values.status(cell) for cell in ("PENDING", "Processed", "failed", "Duplicate")] == list(values.STATUSES)
    with pytest.raises(BadValue, match="none of pending, processed, failed, duplicate"):
        values.status("paid")


@pytest.mark.parametrize(("cells", "stored"), [(("true", "T", "1", "YES"), "t"), (("False", "f", "0", "no"), "f")])
def test_booleans(cells: tuple[str, ...], stored: str) -> None:
    assert {values.boolean(cell) for cell in cells} == {stored}
    with pytest.raises(BadValue, match="neither true nor false"):
        values.boolean("2")


def test_text_is_kept_exactly_but_must_be_utf8_without_nul() -> None:
    assert values.text(" Café\n☕ ") == " Café\n☕ "
    with pytest.raises(BadValue, match="not valid UTF-8"):
        values.text(b"caf\xe9".decode("utf-8", "surrogateescape"))
    with pytest.raises(BadValue, match="NUL"):
        values.text("a\0b")


def test_a_reason_quotes_long_cells_shortened_and_on_one_line() -> None:
    with pytest.raises(BadValue) as caught:
        values.status("x\n" * 500)
    assert len(str(caught.value)) < 200
    assert "\n" not in str(caught.value)
