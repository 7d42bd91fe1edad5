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

    from dayfile.api import Archive
    from dayfile.archive.records import Records

__all__ = ["format_second", "ls", "plugins", "show"]

JsonOption = Annotated[bool, typer.Option("--json", help="As JSON.")]


def ls(
    archive: ArchiveOption = Path("archive"),
    by: Annotated[str | None, typer.Option(metavar="KEY", help="For each value of a key, such as station.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List the data types of an archive: days, records, first and last time.

    Records that are valid for a time end when that is over: the last time can be on the day after the last day file.
    """
    from dayfile.api import open_archive

    opened = open_archive(archive)
    if by is not None:
        list_by_key(opened, by, as_json=as_json)
        return
    listing = [
        {
            "type": name,
            "days": days,
            "records": records,
            "first": format_second(first),
            "last": format_second(last),
        }
        for name, days, records, first, last in opened.catalogue.sum_types()
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


def list_by_key(archive: Archive, by: str, *, as_json: bool) -> None:
    """List what each data type has of each value of a key; UsageError if no type has the key."""
    from dayfile.errors import UsageError
    from dayfile.messages import suggest

    totals = {name: archive.totals(name) for name in archive.types()}
    names = list(dict.fromkeys(key for each in totals.values() for total in each for key in total.key))
    if by not in names:
        raise UsageError(f"no data type has the key {by!r}{suggest(by, names)}")
    listing: list[dict[str, Any]] = []
    for name, each in totals.items():
        for value in dict.fromkeys(total.key[by] for total in each if by in total.key):
            of_value = [total for total in each if total.key.get(by) == value]
            days = of_value[0].days if len(of_value) == 1 else len(archive.days(name, **{by: value}))
            listing.append(
                {
                    "type": name,
                    by: value,
                    "days": days,
                    "records": sum(total.records for total in of_value),
                    "first": format_second(min(total.first for total in of_value)),
                    "last": format_second(max(total.last for total in of_value)),
                }
            )
    if as_json:
        typer.echo(json.dumps(listing, indent=2, ensure_ascii=False))
        return
    width = max(len(by), *(len(str(entry[by])) for entry in listing))
    for name in dict.fromkeys(entry["type"] for entry in listing):
        typer.echo(name)
        typer.echo(f"  {by:<{width}}{'days':>7}{'records':>14}  {'first':<20}  last")
        for entry in listing:
            if entry["type"] == name:
                row = f"{entry['days']:>7}{entry['records']:>14,}  {entry['first']:<20}  {entry['last']}"
                typer.echo(f"  {entry[by]!s:<{width}}{row}")


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
