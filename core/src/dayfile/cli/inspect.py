"""``dayfile ls``: list the content of an archive."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from dayfile.cli.completion import complete_types
from dayfile.cli.output import find_width
from dayfile.cli.run import ArchiveOption

if TYPE_CHECKING:
    import numpy as np

    from dayfile.api import Archive

__all__ = ["JsonOption", "format_second", "ls"]

WIDTH_WITH_SECONDS = 2 + 5 + 2 + 11 + 2 + 19 + 2 + 19
"""Width of what follows the name in a line of ``ls``, with times to the second."""
JsonOption = Annotated[bool, typer.Option("--json", help="As JSON.")]


def ls(
    archive: ArchiveOption = Path("archive"),
    by: Annotated[str | None, typer.Option(metavar="KEY", help="For each value of a key, such as station.")] = None,
    days: Annotated[bool, typer.Option("--days", help="A line for each day.")] = False,
    data_type: Annotated[
        list[str] | None,
        typer.Option("--type", metavar="TYPE", help="Only this data type.", autocompletion=complete_types),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List the data types of an archive, with their records.

    Records that are valid for a time end when that is over: the last time can be on the day after the last day file.
    """
    from dayfile.api import open_archive
    from dayfile.errors import UsageError

    if by is not None and days:
        raise UsageError("--by and --days are two lists; ask for one of them")
    opened = open_archive(archive)
    names = choose_types(opened, data_type or [])
    if by is not None:
        list_by_key(opened, names, by, as_json=as_json)
    elif days:
        list_days(opened, names, as_json=as_json)
    else:
        list_types(opened, names, as_json=as_json)


def choose_types(archive: Archive, wanted: list[str]) -> list[str]:
    """Choose data types of an archive by name, all by default; UsageError for one that it does not have."""
    from dayfile.errors import UsageError
    from dayfile.messages import suggest

    there = archive.types()
    for name in wanted:
        if name not in there:
            raise UsageError(f"the archive holds no {name!r}{suggest(name, there)}")
    return wanted or there


def list_types(archive: Archive, names: list[str], *, as_json: bool) -> None:
    """List days, records, first and last time of data types."""
    found = [row for row in archive.catalogue.sum_types() if row[0] in names]
    if as_json:
        words = ("type", "days", "records", "first", "last")
        rows = ((*row[:3], format_second(row[3]), format_second(row[4])) for row in found)
        typer.echo(json.dumps([dict(zip(words, row, strict=True)) for row in rows], indent=2))
        return
    if not found:
        typer.echo("the archive holds nothing yet")
        return
    width = max(len(name) for name, *_ in found)
    # To the second if that fits, else to the minute; a name that is too long for both is alone on its line.
    unit: Literal["s", "m"] = "s" if width + WIDTH_WITH_SECONDS <= find_width() else "m"
    times = {"s": 19, "m": 16}[unit]
    width = min(width, find_width() - WIDTH_WITH_SECONDS + 2 * (19 - times))
    typer.echo(f"{'type':<{width}}  {'days':>5}  {'records':>11}  {'first (UTC)':<{times}}  last (UTC)")
    for name, days, records, first, last in found:
        if len(name) > width:
            typer.echo(name)
        shown = name if len(name) <= width else ""
        first_time, last_time = format_plain(first, unit), format_plain(last, unit)
        typer.echo(f"{shown:<{width}}  {days:>5}  {records:>11,}  {first_time:<{times}}  {last_time}".rstrip())


def list_days(archive: Archive, names: list[str], *, as_json: bool) -> None:
    """List records, first and last time of each day of data types."""
    rows = [row for name in names for row in archive.catalogue.rows(name)]
    if as_json:
        listing = [
            {
                "type": row.data_type,
                "day": row.day,
                "path": row.path,
                "records": row.records,
                "first": format_second(row.first),
                "last": format_second(row.last),
            }
            for row in rows
        ]
        typer.echo(json.dumps(listing, indent=2, ensure_ascii=False))
        return
    for name in names:
        typer.echo(name)
        typer.echo(f"  {'day':<10}  {'records':>11}  {'first (UTC)':<19}  last (UTC)")
        for row in rows:
            if row.data_type == name:
                times = f"{format_plain(row.first, 's'):<19}  {format_plain(row.last, 's')}"
                typer.echo(f"  {row.day}  {row.records:>11,}  {times}")


def list_by_key(archive: Archive, names: list[str], by: str, *, as_json: bool) -> None:
    """List what each data type has of each value of a key; UsageError if no type has the key."""
    from dayfile.errors import UsageError
    from dayfile.messages import suggest

    totals = {name: archive.totals(name) for name in names}
    keys = list(dict.fromkeys(key for each in totals.values() for total in each for key in total.key))
    if by not in keys:
        raise UsageError(f"no data type has the key {by!r}{suggest(by, keys)}")
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


def format_plain(time: np.datetime64 | None, unit: Literal["s", "m"]) -> str:
    """Format a time to the second or minute, with a blank before the time of day."""
    return "" if time is None else str(time.astype(f"datetime64[{unit}]")).replace("T", " ")


def format_second(time: np.datetime64 | None) -> str:
    """Format a time to the second, in UTC."""
    return "" if time is None else f"{time.astype('datetime64[s]')}Z"
