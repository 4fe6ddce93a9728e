"""Ages and counts as people write them."""

from __future__ import annotations

from collections.abc import Sequence


def age(seconds: float) -> str:
    """In the two largest units that matter: 45 s, 12 min, 3 h 20 min, 2 d 4 h."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = int(seconds // 60)
    if minutes < 120:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h"


def counted(count: int, noun: str) -> str:
    """A count with its noun: no slow runs, 1 slow run, 2 slow runs, 3 refreshes."""
    plural = noun + ("es" if noun.endswith("sh") else "s")
    return f"{count:,} {noun if count == 1 else plural}" if count else f"no {plural}"


def listed(names: Sequence[str]) -> str:
    """Names in a sentence: a; a and b; a, b and c."""
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
