"""From the records of a file to rows that can be loaded; what cannot is rejected with its reasons."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set
from typing import Any, NamedTuple

from metrics_pipeline.source.csv_file import CsvFile, Record
from metrics_pipeline.source.rejected import RejectedRows
from metrics_pipeline.source.tables import REFUSED, Column
from metrics_pipeline.source.values import BadValue


class Row(NamedTuple):
    """The values of the file's known columns, in the order of `CsvFile.columns`."""

    record: Record
    values: list[Any]


def loadable_rows(
    file: CsvFile, records: Iterable[Record], known_ids: Mapping[str, Set[int]], rejected: RejectedRows
) -> Iterator[Row]:
    """Rows whose cells can be read, whose references are in `known_ids`, and whose key comes first here.

    Of two rows with one key the first that can be loaded counts.
    """
    width, columns, objection = len(file.header), file.columns, file.table.objection
    names = [column.name for _, column in columns]
    key_places = [names.index(name) for name in file.table.key]
    line_of_key: dict[Any, int] = {}
    for record in records:
        if record.unreadable or len(record.fields) != width:
            rejected.add(record, record.unreadable or f"has {len(record.fields)} fields, the header {width}")
            continue
        values, reasons = _read(record.fields, columns, known_ids)
        if not reasons and objection and (reason := objection(dict(zip(names, values, strict=True)))):
            reasons.append(reason)
        if not reasons:
            key = values[key_places[0]] if len(key_places) == 1 else tuple(values[place] for place in key_places)
            earlier = line_of_key.setdefault(key, record.line)
            if earlier != record.line:
                reasons.append(f"{_worded(file.table.key, key)} is already on line {earlier}")
        if reasons:
            rejected.add(record, "; ".join(reasons))
        else:
            yield Row(record, values)


def _read(
    fields: list[str], columns: list[tuple[int, Column]], known_ids: Mapping[str, Set[int]]
) -> tuple[list[Any], list[str]]:
    values: list[Any] = []
    reasons: list[str] = []
    for place, column in columns:
        cell = fields[place]
        if not column.verbatim:
            cell = cell.strip()
        if not cell:
            if column.empty is REFUSED:
                reasons.append(f"{column.name} is missing")
            values.append(column.empty)
            continue
        try:
            value = column.read(cell)
        except BadValue as error:
            reasons.append(f"{column.name} {error}")
            continue
        if column.refers_to and value not in known_ids[column.refers_to]:
            reasons.append(f"{column.name} {value} is neither loaded nor in the table {column.refers_to}")
        values.append(value)
    return values, reasons


def _worded(names: tuple[str, ...], key: Any) -> str:
    values = key if isinstance(key, tuple) else (key,)
    return ", ".join(f"{name} {value}" for name, value in zip(names, values, strict=True))
