"""Currencies of the sample: what a US dollar's worth is in each, and what prices are rounded to."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Currency:
    """`step` is the smallest usual price step, in hundredths."""

    code: str
    per_dollar: float
    step: int
    share: float


_KNOWN = (
    Currency("USD", 1, 1, 0.24),
    Currency("CRC", 515, 500, 0.28),
    Currency("EUR", 0.92, 1, 0.22),
    Currency("MXN", 18, 50, 0.10),
    Currency("GBP", 0.79, 1, 0.07),
    Currency("JPY", 150, 100, 0.05),
    Currency("CAD", 1.36, 1, 0.04),
)
_DEFAULT_SHARE = 0.45


def currencies(default: str) -> tuple[Currency, ...]:
    """The sample's currencies, the default one first; `share` is the part of accounts that live in it."""
    known = next((currency for currency in _KNOWN if currency.code == default), Currency(default, 1, 1, 0))
    others = [currency for currency in _KNOWN if currency.code != default]
    rest = sum(currency.share for currency in others)
    return (
        Currency(default, known.per_dollar, known.step, _DEFAULT_SHARE),
        *(
            Currency(other.code, other.per_dollar, other.step, (1 - _DEFAULT_SHARE) * other.share / rest)
            for other in others
        ),
    )
