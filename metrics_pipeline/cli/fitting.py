"""Lines that end with a whole part rather than in the middle of one."""

from __future__ import annotations

from rich.text import Text


def fitting(width: int, first: Text, *more: Text) -> Text:
    """`first` and as many of the others, in their order, as `width` characters hold."""
    line = first.copy()
    for part in more:
        if line.cell_len + part.cell_len > width:
            break
        line.append_text(part)
    return line
