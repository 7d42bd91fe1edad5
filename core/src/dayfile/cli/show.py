"""``dayfile show``: show records of a type on the screen, or as JSON or CSV."""

from __future__ import annotations

import csv
import itertools
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dayfile.cli.completion import complete_fields
from dayfile.cli.coverage import FromOption, ToOption, TypeArgument
from dayfile.cli.inspect import JsonOption
from dayfile.cli.keys import KeyOption, parse_keys_given
from dayfile.cli.output import find_width
from dayfile.cli.run import ArchiveOption
from dayfile.messages import plural

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from dayfile.archive.records import Records

__all__ = ["PhysicalOption", "show"]

PhysicalOption = Annotated[
    bool,
    typer.Option("--physical", help="Physical values and names in place of stored numbers; --where compares them."),
]

SCREEN_ROWS = 20
"""Records on a screen, if they fit as rows."""
BETWEEN = "  "


def show(
    data_type: TypeArgument,
    from_: FromOption = None,
    to: ToOption = None,
    at: Annotated[str | None, typer.Option(metavar="T", help="Only the records that are valid at this time.")] = None,
    key: KeyOption = None,
    fields: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES", help="Only these fields or keys, such as second,rate.", autocompletion=complete_fields
        ),
    ] = None,
    where: Annotated[
        str | None, typer.Option(metavar="CONDITION", help="Only records for which this holds, such as 'hp[0] > 60'.")
    ] = None,
    rows: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="At most N records.", show_default="what fits on a screen; all as JSON or CSV"
        ),
    ] = None,
    as_json: JsonOption = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="As CSV, a column for each element of an array.")] = False,
    physical: PhysicalOption = False,
    archive: ArchiveOption = Path("archive"),
) -> None:
    """Show records of a type, in time order.

    A line is a record; where that is too wide, a column is a record and a line a field.
    """
    from dayfile.api import open_archive
    from dayfile.errors import UsageError

    if as_json and as_csv:
        raise UsageError("--json and --csv are two forms; ask for one of them")
    if at is not None and (from_ is not None or to is not None or where is not None):
        raise UsageError("--at is one time; leave out --from, --to and --where")
    opened = open_archive(archive)
    names = [name.strip() for name in fields.split(",")] if fields else None
    keys = parse_keys_given(opened, data_type, key)
    if at is not None:
        records = opened.at(data_type, at, **keys)
        records = records.to_physical() if physical else records
        pieces = iter([records if names is None else records[names]])
    elif as_json or as_csv:
        pieces = opened.iter(data_type, from_, to, fields=names, where=where, physical=physical, **keys)
    else:
        pieces = iter([opened.read(data_type, from_, to, fields=names, where=where, physical=physical, **keys)])
    if as_json:
        write_json(itertools.islice(make_objects(pieces, names), rows))
    elif as_csv:
        write_csv(pieces, names, rows)
    else:
        for line in format_records(next(pieces), names, rows, find_width()):
            typer.echo(line)


def list_columns(records: Records, names: Sequence[str] | None) -> list[tuple[str, npt.NDArray[Any], Any]]:
    """List the columns to show: name, values, and which of them are missing; keys come first."""
    from dayfile.handover.columns import iterate_columns

    columns = {column.name: column for column in iterate_columns(records, blobs=False)}
    chosen = list(columns) if names is None else [*(name for name in records.keys if name not in names), *names]
    return [(name, columns[name].values, columns[name].missing) for name in chosen]


# ---- on the screen


def format_records(records: Records, names: Sequence[str] | None, rows: int | None, width: int) -> Iterator[str]:
    """Format records as rows of a table, or as its columns if the rows are too wide."""
    some = records[: rows or SCREEN_ROWS]
    columns = [["time (UTC)", *show_times(some.times)]]
    for name, values, _ in list_columns(some, names):
        columns.append([name, *map(format_cell, values)])
    table = format_table(columns)
    if max(map(len, table)) > width:
        units = {field.name: f" [{field.unit}]" for field in records.data_type.fields if field.unit}
        heads, *each = zip(*columns, strict=True)
        named = [f"{head}{units.get(head, '')}" for head in heads]
        blocks = list(transpose(named, [list(cells) for cells in each], width, every=rows is not None))
        for place, (_, lines) in enumerate(blocks):
            yield from ["", *lines] if place else lines
        number = sum(shown for shown, _ in blocks)
        yield f"{number} of {plural(len(records), 'record')}" + ("; --rows shows more" if number < len(records) else "")
        return
    yield from table
    yield f"{len(some)} of {plural(len(records), 'record')}"


def format_table(columns: Sequence[Sequence[str]]) -> list[str]:
    """Make the lines of a table from its columns, each with its head."""
    widths = [max(map(len, column)) for column in columns]
    rows = zip(*columns, strict=True)
    return [BETWEEN.join(cell.ljust(size) for cell, size in zip(row, widths, strict=True)).rstrip() for row in rows]


def transpose(
    heads: list[str], records: list[list[str]], width: int, *, every: bool
) -> Iterator[tuple[int, list[str]]]:
    """Format each record as a column: yield blocks of as many records as fit, each with their number and its lines.

    Parameters
    ----------
    heads : list of str
        Names of the fields.
    records : list of list of str
        The cells of each record.
    width : int
        Columns of the screen. A cell that is too long for it is cut.
    every : bool
        Whether records that do not fit come in further blocks, rather than being left out.
    """
    room = max(width - max(map(len, heads)) - len(BETWEEN), 8)
    cut = [[cell if len(cell) <= room else f"{cell[: room - 1]}…" for cell in cells] for cells in records]
    while cut:
        sizes = itertools.accumulate(max(map(len, cells)) + len(BETWEEN) for cells in cut)
        number = max(sum(size - len(BETWEEN) <= room for size in sizes), 1)
        yield min(number, len(cut)), format_table([heads, *cut[:number]])
        cut = cut[number:] if every else []


def show_times(times: npt.NDArray[np.datetime64]) -> list[str]:
    """Format times, all with as many digits as one of them needs."""
    plain = (times.astype(f"datetime64[{unit}]") for unit in ("s", "ms", "us", "ns"))
    return [str(time) for time in next(each for each in plain if (each == times).all())]


def format_cell(value: Any) -> str:  # noqa: ANN401 - a cell of any field
    """Format a cell; arrays by their first elements and, behind the bracket, the number of all."""
    if getattr(value, "ndim", 0):
        flat = value.ravel()
        inside = " ".join(str(element) for element in flat[:4])
        return f"[{inside}]" if flat.size <= 4 else f"[{inside} …] ({flat.size})"
    return str(value)


# ---- for other programs


def make_objects(pieces: Iterable[Records], names: Sequence[str] | None) -> Iterator[dict[str, Any]]:
    """Make an object of each record: its time, keys and fields; what is missing is None."""
    for records in pieces:
        times = records.times.astype(str)
        columns = [(name, clear_missing(values, missing)) for name, values, missing in list_columns(records, names)]
        time = "time" if "time" not in records.names else "time_utc"
        for row, at in enumerate(times):
            yield {time: f"{at}Z", **{name: values[row] for name, values in columns}}


def clear_missing(values: npt.NDArray[Any], missing: Any) -> list[Any]:  # noqa: ANN401 - an array, or None
    """Return values as lists of Python's numbers and texts, with None for what is missing or no number."""
    import numpy as np

    gone = np.zeros(values.shape, bool) if missing is None else missing
    if values.dtype.kind == "f":
        gone = gone | ~np.isfinite(values)
    # By way of its text, a float32 is not longer than its digits.
    plain = values.astype(str).astype(float) if values.dtype == np.float32 else values
    if gone.any():
        plain = plain.astype(object)
        plain[gone] = None
    return list(plain.tolist())


def write_json(objects: Iterable[dict[str, Any]]) -> None:
    """Write a list of objects, each on its own line."""
    lead = "["
    for each in objects:
        typer.echo(f"{lead}\n  {json.dumps(each, ensure_ascii=False)}", nl=False)
        lead = ","
    typer.echo("[]" if lead == "[" else "\n]")


def write_csv(pieces: Iterable[Records], names: Sequence[str] | None, rows: int | None) -> None:
    """Write a line of heads, and a line for each record; what is missing is empty."""
    writer, number = csv.writer(sys.stdout, lineterminator="\n"), 0
    for records in pieces:
        part = records if rows is None else records[: rows - number]
        heads, columns = ["time"], [iter([f"{time}Z" for time in part.times.astype(str)])]
        for name, values, missing in list_columns(part, names):
            cleared = clear_missing(
                values.reshape(len(part), -1), None if missing is None else missing.reshape(len(part), -1)
            )
            heads += label_places(name, values.shape[1:])
            columns += [iter(cells) for cells in zip(*cleared, strict=True)]
        if not number:
            writer.writerow(heads)
        writer.writerows(zip(*columns, strict=True))
        number += len(part)
        if rows is not None and number >= rows:
            break


def label_places(name: str, shape: tuple[int, ...]) -> list[str]:
    """Label the elements of an array, ``hp[0]``; a single value by its name."""
    import numpy as np

    return [f"{name}[{','.join(map(str, place))}]" if place else name for place in np.ndindex(shape)]
