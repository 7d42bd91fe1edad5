"""How ``dayfile quarantine ls`` lists entries: by their causes, with the commands that help, or each in a line."""

from __future__ import annotations

import textwrap
import time
from collections.abc import Iterator, Sequence

import numpy as np

from dayfile.archive.entry import Entry, shorten_ids
from dayfile.archive.gaps import parse_length
from dayfile.errors import UsageError
from dayfile.messages import AGAIN_WITH, format_age, format_size, list_some, plural, printable
from dayfile.model.instants import read_instant

__all__ = ["format_causes", "format_entries", "parse_since"]

MOST_LISTED = 6
"""Entries of one cause that are named in a list."""
WIDEST, MOST_LETTERS = 80, 36
"""Columns that are used, and letters of names that a command line with a margin has room for."""


def parse_since(text: str) -> float:
    """Parse a time, or a length of time before now, to seconds since 1970.

    Raises
    ------
    UsageError
        It is neither.
    """
    try:
        return time.time() - float(parse_length(text) / np.timedelta64(1, "s"))
    except UsageError:
        moment, _ = read_instant(text)
    return float(moment.astype("datetime64[ms]").astype(np.int64)) / 1000


def format_entries(entries: Sequence[Entry], width: int | None) -> Iterator[str]:
    """Format a line for each entry, cut to a width if there is one."""
    for entry in entries:
        facts = "  ".join(describe_facts([entry]))
        line = printable(f"{entry.name}  {facts}  {describe_content(entry)}: {entry.message}")
        yield line if width is None or len(line) <= width else f"{line[: width - 1]}…"


def format_causes(entries: Sequence[Entry], known: Sequence[Entry], width: int) -> Iterator[str]:
    """Format a paragraph for the entries of each cause: how many, names, what is wrong, and what helps.

    Parameters
    ----------
    entries : sequence of Entry
        What is listed, oldest first.
    known : sequence of Entry
        All entries of the quarantine, among which names mean one.
    width : int
        Columns of the screen; more than 80 are not used.
    """
    short = shorten_ids([entry.name for entry in known])
    groups: dict[tuple[str, ...], list[Entry]] = {}
    for entry in entries:
        groups.setdefault(entry.cause, []).append(entry)
    for group in sorted(groups.values(), key=lambda group: max(entry.made or 0.0 for entry in group)):
        names = [short[entry.name] for entry in group]
        sources = list(dict.fromkeys(describe_content(entry) for entry in group))
        yield from wrap("  ".join([plural(len(group), "entry"), *describe_facts(group)]), width, 0)
        yield from wrap(f"{list_some(names, MOST_LISTED)}: {list_some(sources, 1)}", width, 4)
        message, commands = find_advice(group[-1], names)
        yield from wrap(message, width, 4)
        yield from (f"        {command}" for command in commands)


def find_advice(entry: Entry, names: Sequence[str]) -> tuple[str, list[str]]:
    """Split a message into what is wrong and the commands that help; without any in it, name those that always do."""
    named = AGAIN_WITH.search(entry.message)
    if named:
        return entry.message.replace(named[0], "…").removesuffix(" …"), [named[1], named[2]]
    commands = [f"dayfile quarantine show {names[-1]}"]
    chosen = " ".join(names)
    if len(chosen) > MOST_LETTERS:
        chosen = "--all"
    if entry.reason.get("kind") == "remark":
        return entry.message, [*commands, f"dayfile quarantine drop {chosen}"]
    return entry.message, [*commands, f"dayfile quarantine requeue {chosen}"]


def wrap(text: str, width: int, indent: int) -> list[str]:
    """Wrap a text to lines of at most 80 columns; a longer word is broken."""
    margin = " " * indent
    return textwrap.wrap(
        printable(text),
        min(width, WIDEST),
        initial_indent=margin,
        subsequent_indent=margin,
        break_on_hyphens=False,
    )


def describe_content(entry: Entry) -> str:
    """Describe the content of an entry: its source, and the number of records."""
    records = f"{plural(entry.records, 'record')} of " if entry.records else ""
    return f"{records}{entry.reason.get('source', 'unknown')}"


def describe_facts(entries: Sequence[Entry]) -> list[str]:
    """Describe plugin, size and ages of entries."""
    ages = [entry.age for entry in entries if entry.age is not None]
    spread = " to ".join(dict.fromkeys(map(format_age, (max(ages), min(ages))))) if ages else ""
    plugin = str(entries[0].reason.get("plugin") or "-")
    return [plugin, format_size(sum(entry.size for entry in entries)), f"{spread} old" if spread else "-"]
