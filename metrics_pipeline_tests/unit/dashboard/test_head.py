from __future__ import annotations

from datetime import date, datetime, timezone

import orjson
from hypothesis import given, strategies

from metrics_pipeline.dashboard.head import Head, head_of

AT = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)


@given(currency=strategies.text(max_size=600), reordered=strategies.booleans(), is_current=strategies.booleans())
def test_the_front_is_read_as_json_would_be(currency, reordered, is_current):
    fields = {
        "version": 17,
        "calculated_at": AT,
        "currency": currency + '","as_of":"1999-01-01","is_current":true,',
        "as_of": date(2026, 2, 28),
        "is_current": is_current,
        "rest": 1,
    }
    if reordered:
        fields = dict(reversed(fields.items()))
    assert head_of(orjson.dumps(fields)) == Head(AT, date(2026, 2, 28), is_current)
