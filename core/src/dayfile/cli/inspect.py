"""``dayfile ls``, ``show`` and ``plugins``: list the content of an archive, and installed plugins."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dayfile.cli.run import ArchiveOption
from dayfile.messages import plural

if TYPE_CHECKING:
    import numpy as np

    from dayfile.archive.records import Records

__all__ = ["ls", "plugins", "show"]

JsonOption = Annotated[bool, typer.Option("--json", help="As JSON.")]


def ls(archive: ArchiveOption = Path("archive"), as_json: JsonOption = False) -> None:
    """List the data types of an archive: days, records, first and last time."""
    from dayfile.api import open_archive

    types: dict[str, dict[str, Any]] = {}
    for row in open_archive(archive).catalogue.rows():
        entry = types.setdefault(row.data_type, {"days": set(), "records": 0, "first": None, "last": None})
        entry["days"].add(row.day)
        entry["records"] += row.records
        if row.first is not None and (entry["first"] is None or row.first < entry["first"]):
            entry["first"] = row.first
        if row.last is not None and (entry["last"] is None or row.last > entry["last"]):
            entry["last"] = row.last
    listing = [
        {
            "type": name,
            "days": len(entry["days"]),
            "records": entry["records"],
            "first": format_second(entry["first"]),
            "last": format_second(entry["last"]),
        }
        for name, entry in types.items()
    ]
    if as_json:
        typer.echo(json.dumps(listing, indent=2))
        return
    if not listing:
        typer.echo("the archive holds nothing yet")
        return
    typer.echo(f"{'type':<28}{'days':>6}{'records':>12}  {'first':<20}  {'last':<20}")
    for entry in listing:
        typer.echo(
            f"{entry['type']:<28}{entry['days']:>6}{entry['records']:>12}  {entry['first']:<20}  {entry['last']}"
        )


def format_second(time: np.datetime64 | None) -> str:
    """Format a time to the second, in UTC."""
    return "" if time is None else f"{time.astype('datetime64[s]')}Z"


def show(
    data_type: Annotated[str, typer.Argument(metavar="TYPE", help="Name of a data type; see dayfile ls.")],
    from_: Annotated[str | None, typer.Option("--from", metavar="T", help="First time, ISO.")] = None,
    to: Annotated[str | None, typer.Option("--to", metavar="T", help="Time before which to stop, ISO.")] = None,
    archive: ArchiveOption = Path("archive"),
    rows: Annotated[int, typer.Option(min=1, help="Show at most N records.")] = 20,
    fields: Annotated[str | None, typer.Option(metavar="NAMES", help="Only these fields, such as second,rate.")] = None,
) -> None:
    """Show records of a type, in time order."""
    from dayfile.api import open_archive
    from dayfile.errors import UsageError

    records = open_archive(archive).read(data_type, from_, to)
    names = list(records.array.dtype.names or ())
    chosen = [name.strip() for name in fields.split(",")] if fields else names
    for name in chosen:
        if name not in names:
            raise UsageError(f"{data_type} has no field {name!r}; its fields are {', '.join(names)}")
    for line in format_records(records, chosen, rows):
        typer.echo(line)
    typer.echo(f"{min(rows, len(records))} of {plural(len(records), 'record')}")


def format_records(records: Records, names: list[str], rows: int) -> list[str]:
    """Format a table of times, keys and fields, cut to the width of a terminal."""
    shown = records.times[:rows]
    plain = (shown.astype(f"datetime64[{unit}]") for unit in ("s", "ms", "us", "ns"))
    times = next(times for times in plain if (times == shown).all())
    columns = [["time", *times.astype(str)]]
    columns += [[name, *(format_cell(value) for value in records[name][:rows])] for name in [*records.keys, *names]]
    widths = [max(map(len, column)) for column in columns]
    lines = [
        "  ".join(column[row].ljust(width) for column, width in zip(columns, widths, strict=True)).rstrip()
        for row in range(min(rows, len(records)) + 1)
    ]
    if not sys.stdout.isatty():
        return lines
    width = shutil.get_terminal_size().columns
    return [line if len(line) <= width else f"{line[: width - 1]}…" for line in lines]


def format_cell(value: Any) -> str:  # noqa: ANN401 - a cell of any field
    """Format a cell; arrays by their first elements."""
    if getattr(value, "ndim", 0):
        flat = value.ravel()
        inside = " ".join(str(element) for element in flat[:4].tolist())
        return f"[{inside}]" if flat.size <= 4 else f"[{inside} … {flat.size}]"
    return str(value.item() if hasattr(value, "item") else value)


def plugins(as_json: JsonOption = False) -> None:
    """List installed plugins, their versions and data types, and those that failed to load, with the reason."""
    from dayfile import discovery

    names = discovery.installed()
    if not names:
        typer.echo("[]" if as_json else "no plugin is installed; install one for your instrument")
        return
    loaded = discovery.load(names)
    failures = {failure.plugin: failure for failure in loaded.failures}
    listing: list[dict[str, Any]] = [
        {
            "name": name,
            "version": loaded.versions.get(name, ""),
            "types": [data_type for data_type, owner in loaded.owners.items() if owner == name],
            "failed": failures[name].message if name in failures else None,
            "traceback": failures[name].trace if name in failures else None,
        }
        for name in names
    ]
    if as_json:
        typer.echo(json.dumps(listing, indent=2))
    for entry in [] if as_json else listing:
        typer.echo(f"{entry['name']} {entry['version']}" + (" FAILED" if entry["failed"] else ""))
        for name in entry["types"]:
            typer.echo(f"    {name:<28} {loaded.data_types[name].title}")
        if entry["failed"]:
            typer.echo(f"    {entry['failed']}")
            typer.echo("".join(f"    {line}\n" for line in str(entry["traceback"]).splitlines()).rstrip())
    raise typer.Exit(3 if failures else 0)
