from __future__ import annotations

from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from metrics_pipeline.errors import BadRequest
from metrics_pipeline.source.csv_file import CsvFile, Record
from metrics_pipeline.source.tables import expense_tables

CATEGORIES = next(table for table in expense_tables(ZoneInfo("UTC")) if table.name == "categories")


def opened(directory: Path, content: str | bytes) -> CsvFile:
    path = directory / "categories.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return CsvFile.of(path, CATEGORIES)


def records(file: CsvFile) -> list[Record]:
    return list(file.records(lambda _: None))


def test_records_know_the_line_they_begin_on(tmp_path: Path) -> None:
    file = opened(tmp_path, 'id,name\r\n1,"two\r\nlines"\r\n\r\n2,plain\r\n')
    assert [(record.line, record.fields) for record in records(file)] == [
        (2, ["1", "two\r\nlines"]),
        (5, ["2", "plain"]),
    ]


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_every_kind_of_line_ending(tmp_path: Path, ending: str) -> None:
    file = opened(tmp_path, ending.join(["id,name", "1,a", "2,b"]))
    assert [(record.line, record.fields) for record in records(file)] == [(2, ["1", "a"]), (3, ["2", "b"])]


def test_a_stray_quote_costs_its_line_only(tmp_path: Path) -> None:
    file = opened(tmp_path, 'id,name\n1,"Joe\n2,Moe "the shoe"\n3,"Zoe"\n4,"never closed\n5,last\n')
    found = records(file)
    assert [record.line for record in found] == [2, 3, 4, 5, 6]
    assert [record.fields for record in found if not record.unreadable] == [
        ["2", 'Moe "the shoe"'],
        ["3", "Zoe"],
        ["5", "last"],
    ]
    assert [record.fields for record in found if record.unreadable] == [['1,"Joe'], ['4,"never closed']]


def test_a_byte_order_mark_and_the_case_of_names_do_not_matter(tmp_path: Path) -> None:
    file = opened(tmp_path, b"\xef\xbb\xbfNAME, Id ,Note\nx,1,y\n")
    assert [(place, column.name) for place, column in file.columns] == [(1, "id"), (0, "name")]
    assert file.ignored_columns == ("note",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "has no header"),
        ("id\n1\n", r"categories.csv lacks the column name; its first line names id\."),
        ("id;name\n1;a\n", "lacks the column id, name.*separated by commas"),
        ("id,name,ID\n", "names the column id more than once"),
    ],
)
def test_headers_that_are_refused(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(BadRequest, match=message):
        opened(tmp_path, content)


def test_progress_reaches_the_size_of_the_file(tmp_path: Path) -> None:
    file = opened(tmp_path, "id,name\n" + "".join(f"{n},x\n" for n in range(1, 12_346)))
    told: list[int] = []
    assert sum(1 for _ in file.records(told.append)) == 12_345
    assert told == sorted(told)
    assert told[-1] == file.path.stat().st_size
