"""``dayfile quarantine``: list, show, requeue and drop what could not be archived."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dayfile.cli.inspect import JsonOption
from dayfile.cli.maintain import open_existing
from dayfile.cli.output import require_output, say
from dayfile.cli.run import ArchiveOption
from dayfile.cli.usage import Command, CommandGroup
from dayfile.messages import plural

if TYPE_CHECKING:
    from dayfile.archive.entry import Entry
    from dayfile.archive.quarantine import Quarantine

__all__ = ["quarantine"]

MOST_EXAMPLES = 3
"""Entries of one reason that are named in a list."""

NamesArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="[ENTRIES]...", help="Names of entries, or unique beginnings of them."),
]
AllOption = Annotated[bool, typer.Option("--all", help="All entries.")]

quarantine = typer.Typer(
    help="What could not be archived: list, show, submit again, delete.", no_args_is_help=True, cls=CommandGroup
)


def choose_entries(box: Quarantine, names: list[str] | None, everything: bool) -> list[str]:  # noqa: FBT001 - an option
    """Choose the entries of a command; return their names."""
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
    """Do something with each entry and print the result; continue after one that cannot be read or moved."""
    from dayfile.archive.locks import PAUSE
    from dayfile.archive.quarantine import Quarantine
    from dayfile.errors import StorageError

    box = Quarantine(open_existing(archive))
    code = 0
    for name in choose_entries(box, names, everything):
        try:
            say(do(box, name))
        except StorageError as error:
            say(f"dayfile: {error}", err=True)
            code = error.exit_code
        time.sleep(5 * PAUSE)  # lets in a watch that waits for the quarantine
    raise typer.Exit(code)


@quarantine.command("ls", cls=Command)
@require_output
def quarantine_ls(
    archive: ArchiveOption = Path("archive"),
    each: Annotated[bool, typer.Option("--all", help="A line for each entry.")] = False,
    as_json: JsonOption = False,
) -> None:
    """List the quarantine, entries of one reason together.

    The oldest are first; entries with the same plugin and reason are in one line.

    Exit codes: 0 done, 3 some entries cannot be read, 4 the quarantine cannot be read.
    """
    from dayfile.archive.quarantine import Quarantine
    from dayfile.errors import StorageError

    box = Quarantine(open_existing(archive))
    with suppress(StorageError):  # not permitted, or locked: list what is there
        box.repair(seconds=0)
    entries = list(box.entries())
    if as_json:
        typer.echo(json.dumps([{"entry": entry.name, **entry.reason} for entry in entries], indent=2))
    else:
        for line in format_entries(entries) if each else format_reasons(entries):
            say(line, indent=8)
        hint = "; --all lists each" if len(entries) > 1 and not each else ""
        typer.echo(f"{plural(len(entries), 'entry')}{hint}")
    raise typer.Exit(3 if any(entry.closed for entry in entries) else 0)


def format_entries(entries: Sequence[Entry]) -> Iterator[str]:
    """Format a line for each entry."""
    for entry in entries:
        yield f"{entry.name}  {describe_group([entry])}  {describe_content(entry)}: {entry.message}"


def format_reasons(entries: Sequence[Entry]) -> Iterator[str]:
    """Format two lines for entries with the same plugin and reason: their size and reason, and their names."""
    groups: dict[tuple[str, str], list[Entry]] = {}
    for entry in entries:
        groups.setdefault((str(entry.reason.get("plugin", "")), entry.message), []).append(entry)
    for (_, message), group in groups.items():
        yield f"{plural(len(group), 'entry')}  {describe_group(group)}  {message}"
        named = ", ".join(f"{entry.name} ({describe_content(entry)})" for entry in group[:MOST_EXAMPLES])
        yield f"    {named}{f' and {len(group) - MOST_EXAMPLES} more' if len(group) > MOST_EXAMPLES else ''}"


def describe_content(entry: Entry) -> str:
    """Describe the content of an entry: its source, and the number of records."""
    records = f"{plural(entry.records, 'record')} of " if entry.records else ""
    return f"{records}{entry.reason.get('source', 'unknown')}"


def describe_group(entries: Sequence[Entry]) -> str:
    """Describe plugin, size and greatest age of entries with the same reason."""
    ages = [entry.age for entry in entries if entry.age is not None]
    plugin = entries[0].reason.get("plugin") or "-"
    return f"{plugin}  {format_size(sum(entry.size for entry in entries))}  {format_age(max(ages)) if ages else '-'}"


def format_size(size: float) -> str:
    """Format a number of bytes in a unit that keeps it short.

    Examples
    --------
    >>> format_size(17), format_size(2000), format_size(3_400_000)
    ('17 B', '2.0 kB', '3.4 MB')
    """
    units = ["B", "kB", "MB", "GB"]
    while size >= 1000 and len(units) > 1:
        size /= 1000
        units.pop(0)
    return f"{size:.0f} B" if units[0] == "B" else f"{size:.1f} {units[0]}"


def format_age(seconds: float) -> str:
    """Format seconds in the largest suitable unit.

    Examples
    --------
    >>> format_age(17), format_age(3600), format_age(200_000)
    ('17 s', '1 h', '2 days')
    """
    for unit, length in (("h", 3600), ("min", 60)):
        if length <= seconds < 24 * 3600:
            return f"{seconds // length:.0f} {unit}"
    return plural(int(seconds // 86400), "day") if seconds > 60 else f"{max(seconds, 0):.0f} s"


@quarantine.command("show", cls=Command)
@require_output
def quarantine_show(
    name: Annotated[str, typer.Argument(metavar="ENTRY", help="Name of an entry, or a unique beginning of it.")],
    archive: ArchiveOption = Path("archive"),
) -> None:
    """Show the reason of an entry, and the path of its bytes."""
    from dayfile.archive.directories import refuse
    from dayfile.archive.quarantine import Quarantine

    entry = Quarantine(open_existing(archive)).entry(name)
    if entry.closed is not None:
        refuse(entry.path, entry.closed)
    typer.echo(json.dumps(entry.reason, indent=2))
    say(str(entry.content or "its bytes were moved back to incoming/ already"))


@quarantine.command("requeue", cls=Command)
def quarantine_requeue(
    names: NamesArgument = None, everything: AllOption = False, archive: ArchiveOption = Path("archive")
) -> None:
    """Move entries back to incoming/, for the next run.

    They are tried again, after a layout or a setting was fixed.

    Exit codes: 0 done, 2 no such entry, 4 some could not be moved.
    """

    def requeue(box: Quarantine, name: str) -> str:
        entry = box.entry(name)
        if everything and entry.reason.get("kind") == "remark":
            return f"{name} stays: its records are archived, so nothing has to be submitted again"
        target = box.requeue(entry)
        return f"{name} -> {target.relative_to(box.root.path) if target else 'incoming, before'}"

    for_each(archive, names, everything, requeue)


@quarantine.command("drop", cls=Command)
def quarantine_drop(
    names: NamesArgument = None, everything: AllOption = False, archive: ArchiveOption = Path("archive")
) -> None:
    """Delete entries for good.

    Exit codes: 0 done, 2 no such entry, 4 some could not be removed.
    """

    def drop(box: Quarantine, name: str) -> str:
        box.drop(box.entry(name))
        return f"{name} dropped"

    for_each(archive, names, everything, drop)
