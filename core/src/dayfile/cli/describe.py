"""``dayfile describe``: describe a data type and each of its fields."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dayfile.cli.completion import complete_installed_types
from dayfile.cli.inspect import JsonOption
from dayfile.cli.output import find_width
from dayfile.messages import plural

if TYPE_CHECKING:
    from dayfile.model.datatype import DataType
    from dayfile.model.field import Element, Field, Flag
    from dayfile.model.packed import Packed

__all__ = ["describe"]

NARROWEST = 34
"""Columns that a meaning needs beside the name; with fewer, it is printed below."""


def describe(
    data_type: Annotated[
        str,
        typer.Argument(
            metavar="TYPE", help="Name of a data type; see dayfile plugins.", autocompletion=complete_installed_types
        ),
    ],
    archive: Annotated[
        Path | None,
        typer.Option(
            "--archive", "-a", readable=False, metavar="DIR", help="As the newest day file there says; needs no plugin."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Describe a data type: its fields, units and meanings.

    Bits, values and array elements are described too.
    """
    found = find_installed_type(data_type) if archive is None else find_archived_type(archive, data_type)
    if as_json:
        typer.echo(json.dumps({"name": found.name, **asdict(found)}, default=str, ensure_ascii=False, indent=2))
        return
    for line in format_type(found, find_width()):
        typer.echo(line)


def find_installed_type(name: str) -> DataType:
    """Find the data type of a name, by loading only the plugin that its first half names."""
    from dayfile import discovery
    from dayfile.errors import PluginError, UsageError
    from dayfile.messages import suggest

    instrument, dot, _ = name.partition(".")
    loaded = discovery.load([instrument])
    if name in loaded.data_types:
        return loaded.data_types[name]
    for failure in loaded.failures:
        raise PluginError(failure.message)
    raise UsageError(f"{name!r} is not a data type{suggest(name if dot else '', loaded.data_types)}")


def find_archived_type(archive: Path, name: str) -> DataType:
    """Find the data type of a name as the newest day file of an archive declares it; no plugin is needed."""
    from dayfile.api import open_archive

    opened = open_archive(archive)
    days = [row.day for row in opened.catalogue.rows(name)]
    return opened.read_day(name, max(days, default="1970-01-01")).data_type


def format_type(data_type: DataType, width: int) -> Iterator[str]:
    """Format a data type in lines of at most ``width`` columns, as far as words allow."""
    yield from textwrap.wrap(f"{data_type.name}: {data_type.title}", width)
    yield ""
    facts = dict(list_facts(data_type))
    for label, fact in facts.items():
        yield from format_entry(f"{label:<{max(map(len, facts))}}  ", fact, width)
    yield ""
    yield from format_fields(data_type, width)
    names = {field.name for field in data_type.fields}
    for pattern in dict.fromkeys(flag.field for flag in data_type.flags if flag.field not in names):
        flags = [flag for flag in data_type.flags if flag.field == pattern]
        count = sum(flags[0].applies_to(field) for field in data_type.fields)
        yield ""
        yield f"{pattern} ({plural(count, 'field')})"
        yield from format_meanings(flags, [], width)


def list_facts(data_type: DataType) -> Iterator[tuple[str, str]]:
    """List facts about the type as a whole, each with a label."""
    clock = data_type.clock
    leap_seconds = "" if clock.leap_seconds == "ignored" else ", leap seconds counted"
    undefined = f"; no time: {', '.join(map(str, clock.undefined))}" if clock.undefined else ""
    number = -(-86400 // data_type.period) if data_type.period else 0
    slots = f": {plural(number, 'slot')} a day, one every {data_type.period} s" if number else ""
    yield "code", data_type.code
    yield "instrument", data_type.instrument
    yield "layout", data_type.layout
    yield "store", f"{data_type.placement.store}{slots}"
    yield "time", data_type.time
    if data_type.end:
        yield "end", data_type.end
    more = f"; {data_type.clock_doc}" if data_type.clock_doc else ""
    yield (
        "clock",
        f"{clock.unit} since {str(clock.epoch).replace('T', ' ')} {clock.scale.upper()}{leap_seconds}{undefined}{more}",
    )
    if clock.day_begins:
        yield "day", f"from {clock.day_begins:02}:00 UTC"
    if data_type.placement.path:  # which day files do not say of themselves
        yield "day file", data_type.placement.path.replace("{suffix}", data_type.placement.suffix)
    yield "table", data_type.placement.node.path
    if data_type.packed:
        yield "packed", describe_buffer(data_type.packed)
    if data_type.versions:
        yield (
            "versions",
            ", ".join(
                f"{version.code} {f'from {version.since} ' if version.since else ''}({plural(version.fields, 'field')})"
                for version in data_type.versions
            ),
        )


def describe_buffer(packed: Packed) -> str:
    """Describe the content of a packed buffer.

    Examples
    --------
    >>> from dayfile.model.packed import HeaderField, Packed
    >>> describe_buffer(Packed("buffer", "hits", longest=9, header=(HeaderField("delay", "uint8", "ms"),)))
    'buffer holds as many items as hits says, of at most 9 bytes, each after: delay (uint8, ms)'
    """
    header = ", ".join(f"{field.name} ({', '.join(filter(None, (field.type, field.unit)))})" for field in packed.header)
    after = f", each after: {header}" if header else ""
    more = f"; more are in the next record where {packed.continued} is not 0" if packed.continued else ""
    items = f"as many items as {packed.count} says, of at most {plural(packed.longest, 'byte')}"
    return f"{packed.field} holds {items}{after}{more}"


def format_fields(data_type: DataType, width: int) -> Iterator[str]:
    """Format a line for each field, with longer meanings wrapped, and its bits, values and elements below."""
    rows = [(field.name, format_shape(field), field.units) for field in data_type.fields]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for field, row in zip(data_type.fields, rows, strict=True):
        lead = "  ".join(cell.ljust(length) for cell, length in zip(row, widths, strict=True)) + "  "
        yield from format_entry(lead, field.doc, width)
        if field.physical is not None:
            yield from format_entry("    physical  ", field.physical.describe(), width)
        if field.missing:
            yield from format_entry("    missing  ", ", ".join(map(str, field.missing)), width)
        flags = [flag for flag in data_type.flags if flag.field == field.name]
        elements = [element for element in data_type.elements if element.field == field.name]
        yield from format_meanings(flags, elements, width)


def format_shape(field: Field) -> str:
    """Format type and shape of a field, such as ``uint16[96, 4]``."""
    shape = f"[{', '.join(map(str, field.shape))}]" if field.shape else ""
    return f"{field.type}{shape}{' (blob)' if field.blob else ''}"


def format_meanings(flags: list[Flag], elements: list[Element], width: int) -> Iterator[str]:
    """Format a line for each flag or element, under its field."""
    rows = [(f"{flag.kind} {flag.value}", flag.name, flag.doc) for flag in flags]
    rows += [(f"element {element.index}", element.name, element.doc) for element in elements]
    places, names = (max((len(row[column]) for row in rows), default=0) for column in (0, 1))
    for place, name, doc in rows:
        # Without names their column is left out.
        yield from format_entry(f"    {place:<{places}}  " + (f"{name:<{names}}  " if names else ""), doc, width)


def format_entry(lead: str, text: str, width: int) -> Iterator[str]:
    """Format a label and a text: the text wrapped beside the label, or below it where the room is too small."""
    beside = " " * len(lead)
    below = " " * (len(lead) - len(lead.lstrip()) + 4)
    if width - len(lead) >= NARROWEST or len(lead) + len(text) <= width:
        yield from textwrap.wrap(
            text, width, initial_indent=lead, subsequent_indent=beside, break_on_hyphens=False
        ) or [lead.rstrip()]
        return
    yield lead.rstrip()
    yield from textwrap.wrap(text, width, initial_indent=below, subsequent_indent=below, break_on_hyphens=False)
