"""Records and archives as HTML, for notebooks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

import numpy as np

from dayfile.handover.columns import RecordTable, iterate_columns
from dayfile.messages import plural

__all__ = ["show_archive", "show_records", "show_time"]

MOST_ROWS, MOST_COLUMNS, MOST_ELEMENTS = 10, 20, 4


def show_records(records: RecordTable) -> str:
    """Show the first records as an HTML table, with units."""
    times = records.times
    span = f", {show_time(times[0])} to {show_time(times[-1])}" if len(times) else ""
    if records.nearest:
        span = f"; nearest days: {', '.join(map(str, records.nearest))}"
    data_type = records.data_type
    head = (
        f"<strong>{escape(data_type.name)}</strong> {escape(data_type.title)}: {plural(len(records), 'record')}{span}"
    )
    rows = min(len(records), MOST_ROWS)
    columns = [("time", "UTC", "", [show_time(time) for time in times[:rows]])]
    for column in iterate_columns(records[:rows], blobs=False):
        gone = column.missing
        cells = [show_value(column.values[row], None if gone is None else gone[row]) for row in range(rows)]
        columns.append((column.name, column.unit, column.doc, cells))
    notes = []
    if len(records) > rows:
        notes.append(f"{rows} of {plural(len(records), 'record')}")
    if len(columns) > MOST_COLUMNS:
        notes.append(f"{MOST_COLUMNS} of {plural(len(columns), 'column')}")
    columns = columns[:MOST_COLUMNS]
    table = make_html_table(
        [
            [title_cell(name, doc) for name, _, doc, _ in columns],
            [f"<th>{escape(unit)}</th>" for _, unit, _, _ in columns],
        ],
        ([cells[row] for *_, cells in columns] for row in range(rows)),
    )
    return f"<div><p>{head}</p>{table}<p>{'; '.join(notes)}</p></div>"


def show_archive(path: str, rows: Sequence[Sequence[Any]]) -> str:
    """Show the data types of an archive as an HTML table.

    Parameters
    ----------
    path : str
        Its directory.
    rows : sequence of (name, days, records, first time, last time)
        One for each data type; times are datetime64[ns], or None without records.
    """
    titles = ["type", "days", "records", "first", "last"]
    table = make_html_table([[f"<th>{title}</th>" for title in titles]], (make_archive_cells(row) for row in rows))
    return f"<div><p><strong>{escape(path)}</strong>: {plural(len(rows), 'data type')}</p>{table}</div>"


def make_archive_cells(row: Sequence[Any]) -> list[str]:
    """Format what there is of a data type, its times to the second."""
    times = ["" if time is None else f"{time.astype('datetime64[s]')}Z" for time in row[3:]]
    return [*map(str, row[:3]), *times]


def make_html_table(heads: Iterable[Iterable[str]], rows: Iterable[Iterable[str]]) -> str:
    """Make a table of cells of HTML for its heads, and of texts for its rows."""
    top = "".join(f"<tr>{''.join(cells)}</tr>" for cells in heads)
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>" for cells in rows)
    return f"<table><thead>{top}</thead><tbody>{body}</tbody></table>"


def title_cell(name: str, doc: str) -> str:
    """Make a head of a column, which shows its meaning under the mouse."""
    return f'<th title="{escape(doc)}">{escape(name)}</th>' if doc else f"<th>{escape(name)}</th>"


def show_time(time: np.datetime64) -> str:
    """Format a time without the zeros of its fraction."""
    text = str(time)
    return text.rstrip("0").rstrip(".") if "." in text else text


def show_value(value: Any, missing: Any) -> str:  # noqa: ANN401 - a value of any field
    """Format a value, or the first elements of an array; a dash for what is missing."""
    values, gone = np.asarray(value), np.asarray(False if missing is None else missing)
    texts = [
        "-" if out else str(each)
        for each, out in zip(values.ravel(), np.broadcast_to(gone, values.shape).ravel(), strict=True)
    ]
    if not values.ndim:
        return texts[0]
    more = f" … {len(texts)}" if len(texts) > MOST_ELEMENTS else ""
    return f"[{' '.join(texts[:MOST_ELEMENTS])}{more}]"
