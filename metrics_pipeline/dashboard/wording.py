"""Numbers, money, days and periods as people write them. Words are English; numbers follow the locale."""

from __future__ import annotations

import re
from datetime import date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from babel import Locale, localedata
from babel.core import UnknownLocaleError
from babel.dates import format_date, format_datetime
from babel.numbers import format_currency, format_decimal, get_currency_precision

from metrics_pipeline.periods import Grain, Period

_DEFAULT = Locale("en", "US")


class Wording:
    """How one visitor reads numbers and days."""

    def __init__(self, locale: Locale) -> None:
        self._numbers = locale
        english = f"en_{locale.territory}"
        self._days = Locale.parse(english if localedata.exists(english) else "en_US")

    @classmethod
    def for_visitor(cls, configured: str | None, accept_language: str) -> Wording:
        """The configured locale, else the first one of the browser's that is known, else American English."""
        for name in [configured] if configured else _by_preference(accept_language):
            try:
                locale = Locale.parse(name.replace("-", "_"))
            except (ValueError, UnknownLocaleError, TypeError):
                continue
            return cls(locale)
        return cls(_DEFAULT)

    def money(self, amount: Decimal, currency: str) -> str:
        """With the currency's own decimals; with two where those would hide cents."""
        whole = amount == round(amount, get_currency_precision(currency))
        text = format_currency(amount, currency, locale=self._numbers, currency_digits=whole)
        return re.sub(rf"({re.escape(currency)})(?=\d)", "\\1\u00a0", text)  # a code is no symbol: CRC 500

    def percent(self, share: float) -> str:
        return format_decimal(Decimal(str(share)), "#,##0.##", locale=self._numbers) + "\u202f%"

    def count(self, number: int, singular: str, plural: str) -> str:
        return f"{format_decimal(number, locale=self._numbers)} {singular if number == 1 else plural}"

    def day(self, day: date, style: str = "EEE d MMM") -> str:
        return format_date(day, self._ordered(style), locale=self._days)

    def moment(self, at: datetime, zone: ZoneInfo) -> str:
        return format_datetime(at.astimezone(zone), "HH:mm:ss", locale=self._days)

    def title(self, period: Period, today: date) -> str:
        """Today, This week, … for the current period; else its name."""
        if period.is_current(today):
            return "Today" if period.grain is Grain.DAY else f"This {period.grain.value}"
        return self.name(period)

    def name(self, period: Period) -> str:
        """What the period is called on its own: Mon 23 Nov 2026, Week 48, November 2026, 2026."""
        if period.grain is Grain.DAY:
            return self.day(period.start, "EEEE d MMMM y")
        if period.grain is Grain.WEEK:
            return f"Week {period.start.isocalendar().week}, {period.start.isocalendar().year}"
        return self.day(period.start, "MMMM y") if period.grain is Grain.MONTH else str(period.start.year)

    def span(self, period: Period) -> str:
        """Its days."""
        if period.grain is Grain.DAY:
            return self.day(period.start, "EEEE d MMMM y")
        first, last = period.start, period.last_day
        if period.grain is Grain.YEAR:
            return str(first.year)
        if period.grain is Grain.MONTH:
            return self.day(first, "MMMM y")
        return f"{self.day(first, 'd MMM')} – {self.day(last, 'd MMM y')}"

    def before(self, period: Period, today: date) -> str:
        """The period before, as a trend names it: yesterday, last week, October, 2025."""
        previous = period.shift(-1)
        if period.grain is Grain.DAY:
            return "yesterday" if previous.end == today else self.day(previous.start)
        if period.grain is Grain.WEEK:
            return "last week" if period.is_current(today) else "the week before"
        if period.grain is Grain.MONTH:
            same_year = previous.start.year == period.start.year
            return self.day(previous.start, "MMMM" if same_year else "MMMM y")
        return str(previous.start.year)

    def _ordered(self, style: str) -> str:
        """Day before month, except where English puts the month first."""
        if self._days.territory == "US":
            style = style.replace("EEEE d", "EEEE, d").replace("EEE d", "EEE, d")
            return style.replace("d MMMM y", "MMMM d, y").replace("d MMM y", "MMM d, y").replace("d MMM", "MMM d")
        return style


def _by_preference(accept_language: str) -> list[str]:
    weighted = []
    for place, part in enumerate(accept_language[:500].split(",")):
        name, _, weight = part.strip().partition(";q=")
        try:
            weighted.append((-float(weight or 1), place, name))
        except ValueError:
            continue
    return [name for _, _, name in sorted(weighted) if name and name != "*"]
