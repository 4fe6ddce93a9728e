"""Reading days and instants from a CSV cell: ISO 8601 with dashes and colons."""

from __future__ import annotations

import re
from datetime import date, datetime, timezone
from zoneinfo import ZoneInfo

from metrics_pipeline.periods import start_of_day
from metrics_pipeline.source.values import BadValue, shown

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_INSTANT = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:[Tt ]([0-9]{2}:[0-9]{2})(?::([0-9]{2})(?:[.,]([0-9]{1,12}))?)?"
    r" ?(?:([Zz])|([+-][0-9]{2})(?::?([0-9]{2}))?)?)?"
)
_UTC_INSTANT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?(?:Z|\+00(?::00)?)"
)
"""What PostgreSQL reads as it stands, and what most files hold."""


def day(cell: str) -> str:
    """A calendar day, YYYY-MM-DD."""
    if not _DAY.fullmatch(cell):
        raise BadValue(f"{shown(cell)} is not a day such as 2026-03-31")
    try:
        return date.fromisoformat(cell).isoformat()
    except ValueError:
        raise BadValue(f"{shown(cell)} is a day that does not exist") from None


def instant(cell: str, zone: ZoneInfo) -> str:
    """An instant, in UTC.

    Without an offset it is taken as local time in `zone`: the first of two where clocks were set
    back, the instant after the change where they skipped it. A day alone is its local beginning.
    Digits beyond microseconds are cut, so that nothing moves into the next second, or day.
    """
    try:
        if _UTC_INSTANT.fullmatch(cell) and datetime.fromisoformat(cell[:19]):
            return cell
        return _in_utc(cell, zone)
    except OverflowError:
        raise BadValue(f"{shown(cell)} is outside the years 1 to 9999 in UTC") from None
    except BadValue:
        raise
    except ValueError:
        raise BadValue(f"{shown(cell)} is a day, time or offset that does not exist") from None


def _in_utc(cell: str, zone: ZoneInfo) -> str:
    match = _INSTANT.fullmatch(cell)
    if match is None:
        raise BadValue(f"{shown(cell)} is not a time such as 2026-03-31T14:05:00Z")
    on, clock, seconds, fraction, utc, hours, minutes = match.groups()
    if clock is None:
        return start_of_day(date.fromisoformat(on), zone).isoformat()
    offset = "+00:00" if utc else f"{hours}:{minutes or '00'}" if hours else ""
    moment = datetime.fromisoformat(f"{on}T{clock}:{seconds or '00'}.{(fraction or '0')[:6]:0<6}{offset}")
    if not offset:
        moment = moment.replace(tzinfo=zone)
    return moment.astimezone(timezone.utc).isoformat()
