"""``dayfile quarantine``: what could not be archived."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dayfile.cli.inspect import JsonOption
from dayfile.cli.maintain import existing
from dayfile.cli.output import answering
from dayfile.cli.run import ArchiveOption
from dayfile.messages import plural, printable

if TYPE_CHECKING:
    from dayfile.archive.entry import Entry
    from dayfile.archive.quarantine import Quarantine

__all__ = ["quarantine"]

MOST_NAMED = 3
"""Entries of one reason that are named in a list."""

NamesArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="[ENTRIES]...", help="Names of entries, or unique beginnings of them."),
]
AllOption = Annotated[bool, typer.Option("--all", help="All entries.")]

quarantine = typer.Typer(
    help="What could not be archived: list, show, send through again, throw away.", no_args_is_help=True
)


def chosen(box: Quarantine, names: list[str] | None, everything: bool) -> list[str]:  # noqa: FBT001 - an option
    """Names of the entries a command is for."""
    from dayfile.errors import UsageError

    if bool(names) == everything:
        raise UsageError("name the entries, or say --all")
    return [entry.name for entry in box.entries()] if everything else [box.entry(name).name for name in names or []]


def for_each(
    archive: Path,
    names: list[str] | None,
    everything: bool,  # noqa: FBT001 - an option
    do: Callable[[Quarantine, str], str],
) -> None:
    """Do something with each of the entries and say what; one that cannot be read or moved hinders no other."""
    from dayfile.archive.locks import PAUSE
    from dayfile.archive.quarantine import Quarantine
    from dayfile.errors import StorageError

    box = Quarantine(existing(archive))
    code = 0
    for name in chosen(box, names, everything):
        try:
            typer.echo(printable(do(box, name)))
        except StorageError as error:
            typer.echo(printable(f"dayfile: {error}"), err=True)
            code = error.exit_code
        time.sleep(5 * PAUSE)  # a watch that waits for the quarantine comes in between
    raise typer.Exit(code)


@quarantine.command("ls")
@answering
def quarantine_ls(
    archive: ArchiveOption = Path("archive"),
    each: Annotated[bool, typer.Option("--all", help="A line for each entry.")] = False,
    as_json: JsonOption = False,
) -> None:
    """List what is in quarantine: what has the same plugin and reason in one line, the oldest first.

    Exit codes: 0 done, 3 some entries cannot be read, 4 the quarantine cannot be read.
    """
    from dayfile.archive.quarantine import Quarantine
    from dayfile.errors import StorageError

    box = Quarantine(existing(archive))
    with suppress(StorageError):  # who may only read, or comes while somebody else is at it, sees what there is
        box.repair(seconds=0)
    entries = list(box.entries())
    if as_json:
        typer.echo(json.dumps([{"entry": entry.name, **entry.reason} for entry in entries], indent=2))
    else:
        for line in lines_of_entries(entries) if each else lines_of_reasons(entries):
            typer.echo(printable(line))
        hint = "; --all lists each" if len(entries) > 1 and not each else ""
        typer.echo(f"{plural(len(entries), 'entry')}{hint}")
    raise typer.Exit(3 if any(entry.closed for entry in entries) else 0)


def lines_of_entries(entries: Sequence[Entry]) -> Iterator[str]:
    """Describe each entry in a line."""
    for entry in entries:
        yield f"{entry.name}  {facts([entry])}  {what_it_keeps(entry)}: {entry.message}"


def lines_of_reasons(entries: Sequence[Entry]) -> Iterator[str]:
    """Describe what has the same plugin and reason in two lines: how much it is and why, and which entries."""
    groups: dict[tuple[str, str], list[Entry]] = {}
    for entry in entries:
        groups.setdefault((str(entry.reason.get("plugin", "")), entry.message), []).append(entry)
    for (_, message), group in groups.items():
        yield f"{plural(len(group), 'entry')}  {facts(group)}  {message}"
        named = ", ".join(f"{entry.name} ({what_it_keeps(entry)})" for entry in group[:MOST_NAMED])
        yield f"    {named}{f' and {len(group) - MOST_NAMED} more' if len(group) > MOST_NAMED else ''}"


def what_it_keeps(entry: Entry) -> str:
    """Name the source of an entry, and how many records of it there are."""
    records = f"{plural(entry.records, 'record')} of " if entry.records else ""
    return f"{records}{entry.reason.get('source', 'unknown')}"


def facts(entries: Sequence[Entry]) -> str:
    """Plugin, size and age of entries that have one reason; of several, the oldest age."""
    ages = [entry.age for entry in entries if entry.age is not None]
    plugin = entries[0].reason.get("plugin") or "-"
    return f"{plugin}  {size_of(sum(entry.size for entry in entries))}  {age_of(max(ages)) if ages else '-'}"


def size_of(size: float) -> str:
    """Bytes in a unit that keeps the number short.

    Examples
    --------
    >>> size_of(17), size_of(2000), size_of(3_400_000)
    ('17 B', '2.0 kB', '3.4 MB')
    """
    units = ["B", "kB", "MB", "GB"]
    while size >= 1000 and len(units) > 1:
        size /= 1000
        units.pop(0)
    return f"{size:.0f} B" if units[0] == "B" else f"{size:.1f} {units[0]}"


def age_of(seconds: float) -> str:
    """Seconds in the largest unit of which there is one.

    Examples
    --------
    >>> age_of(17), age_of(3600), age_of(200_000)
    ('17 s', '1 h', '2 days')
    """
    for unit, length in (("h", 3600), ("min", 60)):
        if length <= seconds < 24 * 3600:
            return f"{seconds // length:.0f} {unit}"
    return plural(int(seconds // 86400), "day") if seconds > 60 else f"{max(seconds, 0):.0f} s"


@quarantine.command("show")
@answering
def quarantine_show(
    name: Annotated[str, typer.Argument(metavar="ENTRY")], archive: ArchiveOption = Path("archive")
) -> None:
    """Show why something is in quarantine, and where its bytes are."""
    from dayfile.archive.directories import refuse
    from dayfile.archive.quarantine import Quarantine

    entry = Quarantine(existing(archive)).entry(name)
    if entry.closed is not None:
        refuse(entry.path, entry.closed)
    typer.echo(json.dumps(entry.reason, indent=2))
    typer.echo(printable(str(entry.content or "its bytes were sent back to incoming/ already")))


@quarantine.command("requeue")
def quarantine_requeue(
    names: NamesArgument = None, everything: AllOption = False, archive: ArchiveOption = Path("archive")
) -> None:
    """Send what is in quarantine back to incoming/, for the next run: a layout or a setting was fixed.

    Exit codes: 0 done, 2 no such entry, 4 some could not be moved.
    """

    def requeue(box: Quarantine, name: str) -> str:
        entry = box.entry(name)
        if everything and entry.reason.get("kind") == "remark":
            return f"{name} stays: its records are archived, there is nothing to send again"
        target = box.requeue(entry)
        return f"{name} -> {target.relative_to(box.root.path) if target else 'incoming, before'}"

    for_each(archive, names, everything, requeue)


@quarantine.command("drop")
def quarantine_drop(
    names: NamesArgument = None, everything: AllOption = False, archive: ArchiveOption = Path("archive")
) -> None:
    """Throw what is in quarantine away, for good.

    Exit codes: 0 done, 2 no such entry, 4 some could not be removed.
    """

    def drop(box: Quarantine, name: str) -> str:
        box.drop(box.entry(name))
        return f"{name} dropped"

    for_each(archive, names, everything, drop)
