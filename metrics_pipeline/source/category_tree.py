"""Parents of categories: known ones, in any order, and never in a circle."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from metrics_pipeline.source.rejected import RejectedRows
from metrics_pipeline.source.rows import Row


def rows_within_the_tree(
    rows: Iterable[Row], id_place: int, parent_place: int, stored: Mapping[int, int | None], rejected: RejectedRows
) -> list[Row]:
    """The rows whose parent exists and that are not on a circle of parents, once all of them are loaded.

    `stored` has the parent of every category in the database. A rejected row leaves the stored
    category as it is, or missing, which can reject more rows: hence the repetition.
    """
    waiting = {row.values[id_place]: row for row in rows}
    while reasons := _reasons({**stored, **{id_: row.values[parent_place] for id_, row in waiting.items()}}, waiting):
        for id_, reason in reasons.items():
            rejected.add(waiting.pop(id_).record, reason)
    return list(waiting.values())


def _reasons(parents: Mapping[int, int | None], changed: Iterable[int]) -> dict[int, str]:
    circles = _on_circles(parents)
    reasons = {}
    for id_ in changed:
        parent = parents[id_]
        if parent is not None and parent not in parents:
            reasons[id_] = f"parent_id {parent} is neither loaded nor in the table categories"
        elif id_ in circles:
            reasons[id_] = f"parent_id {parent} makes the category its own ancestor"
    return reasons


def _on_circles(parents: Mapping[int, int | None]) -> set[int]:
    found: set[int] = set()
    done: set[int] = set()
    for start in parents:
        path: dict[int, int] = {}
        node: int | None = start
        while node is not None and node in parents and node not in done and node not in path:
            path[node] = len(path)
            node = parents[node]
        if node in path:
            found.update(id_ for id_, place in path.items() if place >= path[node])
        done.update(path)
    return found
