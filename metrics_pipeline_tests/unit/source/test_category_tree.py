from __future__ import annotations

import csv
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from metrics_pipeline.source.category_tree import rows_within_the_tree
from metrics_pipeline.source.csv_file import CsvFile
from metrics_pipeline.source.rejected import rejected_rows
from metrics_pipeline.source.rows import loadable_rows
from metrics_pipeline.source.summary import TableSummary
from metrics_pipeline.source.tables import expense_tables

CATEGORIES = next(table for table in expense_tables(ZoneInfo("UTC")) if table.name == "categories")


def screened(
    directory: Path, parents: dict[int, int | None], stored: dict[int, int | None]
) -> tuple[set[int], dict[int, str]]:
    """Ids kept, and the reasons of those rejected, of a file with these parents."""
    path = directory / "categories.csv"
    lines = "".join(f"{id_},c{id_},{'' if parent is None else parent}\n" for id_, parent in parents.items())
    path.write_text("id,name,parent_id\n" + lines)
    file = CsvFile.of(path, CATEGORIES)
    with rejected_rows(file, TableSummary("categories")) as rejected:
        rows = loadable_rows(file, file.records(lambda _: None), {}, rejected)
        kept = {row.values[0] for row in rows_within_the_tree(rows, 0, 2, stored, rejected)}
    if not (directory / "rejected").exists():
        return kept, {}
    with (directory / "rejected" / "categories.csv").open(newline="") as written:
        return kept, {int(row["id"]): row["reason"] for row in csv.DictReader(written)}


def test_parents_may_come_after_their_children_and_from_the_database(tmp_path: Path) -> None:
    assert screened(tmp_path, {3: 2, 2: 1, 1: None, 4: 9}, {9: None}) == ({1, 2, 3, 4}, {})


def test_an_unknown_parent_takes_all_descendants_along(tmp_path: Path) -> None:
    kept, rejected = screened(tmp_path, {1: None, 2: 7, 3: 2, 4: 3}, {})
    assert kept == {1}
    assert {id_: reason.split(" is")[0] for id_, reason in rejected.items()} == {
        2: "parent_id 7",
        3: "parent_id 2",
        4: "parent_id 3",
    }


def test_a_circle_is_rejected_with_what_hangs_on_it(tmp_path: Path) -> None:
    kept, rejected = screened(tmp_path, {1: 2, 2: 3, 3: 1, 4: 3, 5: 5, 6: None}, {})
    assert kept == {6}
    assert [id_ for id_, reason in rejected.items() if "its own ancestor" in reason] == [1, 2, 3, 5]
    assert "parent_id 3 is neither loaded" in rejected[4]


def test_a_circle_through_stored_categories_is_rejected(tmp_path: Path) -> None:
    kept, rejected = screened(tmp_path, {1: 2, 8: 1}, {1: None, 2: 1})
    assert kept == {8}
    assert list(rejected) == [1]


def test_a_rejected_row_of_a_stored_category_leaves_it_as_a_parent(tmp_path: Path) -> None:
    kept, rejected = screened(tmp_path, {1: 77, 2: 1}, {1: None})
    assert (kept, list(rejected)) == ({2}, [1])


@pytest.mark.parametrize("depth", [50_000])
def test_a_very_deep_tree_is_no_problem(tmp_path: Path, depth: int) -> None:
    kept, _ = screened(tmp_path, {id_: id_ - 1 or None for id_ in range(1, depth + 1)}, {})
    assert len(kept) == depth
