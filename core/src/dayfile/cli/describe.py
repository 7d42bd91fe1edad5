"""``dayfile describe``: what a data type is and what each of its fields means."""

from __future__ import annotations

import json
import shutil
import textwrap
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from dayfile.cli.inspect import JsonOption
from dayfile.messages import plural

if TYPE_CHECKING:
    from dayfile.model.datatype import DataType, Element, Field, Flag
    from dayfile.model.packed import Packed

__all__ = ["describe"]

NARROWEST = 34
"""Columns that a meaning needs beside the name; with fewer, it stands below."""
TO_A_FILE = 120
"""Width where there is no terminal."""


def describe(
    data_type: Annotated[str, typer.Argument(metavar="TYPE", help="Name of a data type; see dayfile plugins.")],
    as_json: JsonOption = False,
) -> None:
    """Tell what a data type holds: fields, units, meanings, and what bits, values and array elements stand for."""
    told = installed_type(data_type)
    if as_json:
        typer.echo(json.dumps({"name": told.name, **asdict(told)}, default=str, ensure_ascii=False, indent=2))
        return
    for line in lines_of(told, shutil.get_terminal_size((TO_A_FILE, 0)).columns):
        typer.echo(line)


def installed_type(name: str) -> DataType:
    """The data type of that name, from the plugin that its first half names; no other is loaded."""
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


def lines_of(data_type: DataType, width: int) -> Iterator[str]:
    """All that is told, in lines of at most so many columns as far as words allow."""
    yield from textwrap.wrap(f"{data_type.name}: {data_type.title}", width)
    yield ""
    facts = dict(facts_of(data_type))
    for label, fact in facts.items():
        yield from entry(f"{label:<{max(map(len, facts))}}  ", fact, width)
    yield ""
    yield from lines_of_fields(data_type, width)
    names = {field.name for field in data_type.fields}
    for pattern in dict.fromkeys(flag.field for flag in data_type.flags if flag.field not in names):
        flags = [flag for flag in data_type.flags if flag.field == pattern]
        count = sum(flags[0].applies_to(field) for field in data_type.fields)
        yield ""
        yield f"{pattern} ({plural(count, 'field')})"
        yield from lines_of_meanings(flags, [], width)


def facts_of(data_type: DataType) -> Iterator[tuple[str, str]]:
    """What is to be said of the type as a whole."""
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
    yield "clock", f"{clock.unit} since {str(clock.epoch).replace('T', ' ')} UTC{leap_seconds}{undefined}"
    yield "day file", data_type.placement.path.replace("{suffix}", data_type.placement.suffix)
    yield "table", data_type.placement.node.path
    if data_type.packed:
        yield "packed", buffer_of(data_type.packed)
    if data_type.versions:
        yield (
            "versions",
            ", ".join(
                f"{version.code} {f'from {version.since} ' if version.since else ''}({plural(version.fields, 'field')})"
                for version in data_type.versions
            ),
        )


def buffer_of(packed: Packed) -> str:
    """What a packed buffer holds.

    Examples
    --------
    >>> from dayfile.model.packed import HeaderField, Packed
    >>> buffer_of(Packed("buffer", "hits", longest=9, header=(HeaderField("delay", "uint8", "ms"),)))
    'buffer holds as many items as hits says, of at most 9 bytes, each after: delay (uint8, ms)'
    """
    header = ", ".join(f"{field.name} ({', '.join(filter(None, (field.type, field.unit)))})" for field in packed.header)
    after = f", each after: {header}" if header else ""
    more = f"; more are in the next record where {packed.continued} is not 0" if packed.continued else ""
    items = f"as many items as {packed.count} says, of at most {plural(packed.longest, 'byte')}"
    return f"{packed.field} holds {items}{after}{more}"


def lines_of_fields(data_type: DataType, width: int) -> Iterator[str]:
    """A line a field, longer meanings wrapped, with what is known of its bits, values and elements below."""
    rows = [(field.name, form(field), field.unit) for field in data_type.fields]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for field, row in zip(data_type.fields, rows, strict=True):
        lead = "  ".join(cell.ljust(length) for cell, length in zip(row, widths, strict=True)) + "  "
        yield from entry(lead, field.doc, width)
        flags = [flag for flag in data_type.flags if flag.field == field.name]
        elements = [element for element in data_type.elements if element.field == field.name]
        yield from lines_of_meanings(flags, elements, width)


def form(field: Field) -> str:
    """Type and shape of a field, such as ``uint16[96, 4]``."""
    shape = f"[{', '.join(map(str, field.shape))}]" if field.shape else ""
    return f"{field.type}{shape}{' (blob)' if field.blob else ''}"


def lines_of_meanings(flags: list[Flag], elements: list[Element], width: int) -> Iterator[str]:
    """A line a flag or element, under its field."""
    rows = [(f"{flag.kind} {flag.value}", flag.name, flag.doc) for flag in flags]
    rows += [(f"element {element.index}", element.name, element.doc) for element in elements]
    places, names = (max((len(row[column]) for row in rows), default=0) for column in (0, 1))
    for place, name, doc in rows:
        # Without names there is no column for them.
        yield from entry(f"    {place:<{places}}  " + (f"{name:<{names}}  " if names else ""), doc, width)


def entry(lead: str, text: str, width: int) -> Iterator[str]:
    """What is told and a text: the text wrapped beside it, or below where there is too little room."""
    beside = " " * len(lead)
    below = " " * (len(lead) - len(lead.lstrip()) + 4)
    if width - len(lead) >= NARROWEST or len(lead) + len(text) <= width:
        yield from textwrap.wrap(
            text, width, initial_indent=lead, subsequent_indent=beside, break_on_hyphens=False
        ) or [lead.rstrip()]
        return
    yield lead.rstrip()
    yield from textwrap.wrap(text, width, initial_indent=below, subsequent_indent=below, break_on_hyphens=False)
