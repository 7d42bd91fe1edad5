"""``dayfile quarantine``: list, show, requeue and drop what could not be archived."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dayfile.cli.inspect import JsonOption
from dayfile.cli.maintain import open_existing
from dayfile.cli.output import find_width, require_output, say
from dayfile.cli.run import ArchiveOption
from dayfile.cli.usage import Command, CommandGroup
from dayfile.messages import plural

if TYPE_CHECKING:
    from dayfile.archive.quarantine import Quarantine

__all__ = ["quarantine"]

NamesArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="[ENTRIES]...", help="First digits or names of entries."),
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
    each: Annotated[bool, typer.Option("--each", help="A line for each entry.")] = False,
    all_: Annotated[bool, typer.Option("--all", hidden=True, help="The earlier name of --each.")] = False,
    since: Annotated[
        str | None,
        typer.Option(metavar="T", help="Only entries made since a time, or in the last 90 min, 12 h or 7 d."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List entries by cause, with the commands that help.

    The newest cause is last.

    Names of entries are their first digits; show, requeue and drop take these.

    Exit codes: 0 done, 3 some entries cannot be read, 4 the quarantine cannot be read.
    """
    from dayfile.archive.quarantine import Quarantine
    from dayfile.cli.causes import format_causes, format_entries, parse_since
    from dayfile.errors import StorageError

    each = each or all_
    first = None if since is None else parse_since(since)
    box = Quarantine(open_existing(archive))
    with suppress(StorageError):  # not permitted, or locked: list what is there
        box.repair(seconds=0)
    known = list(box.entries())
    entries = [entry for entry in known if first is None or entry.is_since(first)]
    if as_json:
        typer.echo(json.dumps([{"entry": entry.name, **entry.reason} for entry in entries], indent=2))
    else:
        width = find_width()
        whole = each and not sys.stdout.isatty()
        listed = format_entries(entries, None if whole else width) if each else format_causes(entries, known, width)
        for line in listed:
            typer.echo(line)
        hint = "; --each lists them" if len(entries) > 1 and not each else ""
        typer.echo(f"{plural(len(entries), 'entry')}{hint}")
    raise typer.Exit(3 if any(entry.closed for entry in entries) else 0)


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
    """Delete entries permanently.

    Exit codes: 0 done, 2 no such entry, 4 some could not be removed.
    """

    def drop(box: Quarantine, name: str) -> str:
        box.drop(box.entry(name))
        return f"{name} dropped"

    for_each(archive, names, everything, drop)
