"""What changes in stored data from one layout to another, and whether existing day files can take it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields

from dayfile.layouts.reader import Layout
from dayfile.messages import plural
from dayfile.model.clock import Clock
from dayfile.model.datatype import DataType
from dayfile.model.field import Field
from dayfile.model.plausible import Plausible
from dayfile.model.times import PER_SECOND, Calendar, Count

__all__ = ["Difference", "list_differences"]


@dataclass(frozen=True)
class Difference:
    """One difference between two layouts.

    Parameters
    ----------
    what : str
        What it is about: a type, a field as ``type.field``, or a word at the top.
    message : str
        What changes.
    problem : str
        Why day files that exist cannot go on with it, and what to do; empty if they can.
    """

    what: str
    message: str
    problem: str = ""


LEFT_OUT: dict[str, object] = {"unit": "s", "scale": "utc", "leap_seconds": "ignored", "day_begins": "00:00"}
"""What words mean that are left out."""
NOT_WIDENED = "records with these fields do not fit tables that exist"
OLD_PLACE = (
    "what exists stays in the old place, and new records of its days go to the new one; 'dayfile rebuild' moves it"
)


def list_differences(before: Layout, after: Layout) -> list[Difference]:
    """List what changes in stored data.

    Parameters
    ----------
    before, after : Layout
        The layouts.
    """
    return list(compare(before, after))


def compare(before: Layout, after: Layout) -> Iterator[Difference]:
    """Compare two layouts."""
    old = {data_type.type: data_type for data_type in before.types}
    new = {data_type.type: data_type for data_type in after.types}
    if before.words.instrument != after.words.instrument:
        names = f"{before.words.instrument} becomes {after.words.instrument}"
        yield Difference("instrument", names, "all data types get other names; tables that exist keep the old ones")
    for name in old.keys() - new.keys():
        yield Difference(name, "is not there any more", "its records stay readable, but no more are archived")
    for name in [name for name in new if name not in old]:
        yield Difference(name, f"is new, with {plural(len(new[name].fields), 'field')}")
    found = [each for name in old if name in new for each in compare_types(old[name], new[name])]
    yield from found
    stored = [each for name in old if name in new for each in compare_fields(old[name], new[name])]
    if stored and before.words.version >= after.words.version:
        message = f"stays {after.words.version}, although stored fields change"
        yield Difference("version", message, "raise it: tables name the version that they were written with")


def compare_types(old: DataType, new: DataType) -> Iterator[Difference]:
    """Compare a data type in two layouts."""
    yield from compare_fields(old, new)
    for what, before, after, problem in list_properties(old, new):
        if before != after:
            message = f"{what}: {write_words(before)} becomes {write_words(after)}"
            yield Difference(new.type, message, problem)
    yield from compare_meanings(old, new)


def list_properties(old: DataType, new: DataType) -> Iterator[tuple[str, object, object, str]]:
    """List what two data types say of records as a whole, with the problem if it differs."""
    yield "code", old.code, new.code, "sources with the old code are not recognised any more"
    place, new_place = old.placement, new.placement
    yield "store", place.store, new_place.store, "tables that exist are of the old store; it needs another type"
    yield "path", write_template(old), write_template(new), OLD_PLACE
    yield "node", place.node.path, new_place.node.path, OLD_PLACE
    yield "node of blobs", place.node.blobs, new_place.node.blobs, OLD_PLACE
    yield "base", place.base, new_place.base, "day files that exist are not looked for in the new directory; move them"
    yield "main key", place.node.main_key, new_place.node.main_key, ""
    yield "period", old.period, new.period, "slots of tables that exist are of the old period"
    yield "time", old.timing.time, new.timing.time, "times of records that exist would be others"
    yield "end", old.timing.end, new.timing.end, "ends of records that exist would be others"
    yield "clock", old.clock, new.clock, "times of records that exist would be others; it needs another type"
    yield "plausible times", old.plausible, new.plausible, ""


def write_words(value: object) -> str:
    """Write a value in words of a layout: what is as if left out is left out.

    Examples
    --------
    >>> import numpy as np
    >>> write_words(Clock(np.datetime64("1996-01-01T00:00:00"), "ms")), write_words(Count("t_sec")), write_words("")
    ('{epoch: 1996-01-01T00:00:00, unit: ms}', 't_sec', 'none')
    """
    words: dict[str, object] = {}
    if isinstance(value, Clock):
        words = {"epoch": value.epoch, "unit": value.unit, "scale": value.scale, "leap_seconds": value.leap_seconds}
        words |= {
            "undefined": show_shortly(value.undefined) if value.undefined else "",
            "day_begins": f"{value.day_begins:02}:00",
        }
    elif isinstance(value, Count | Calendar):
        words = {name: getattr(value, name) for name in (field.name for field in fields(value)) if name != "per_second"}
        units = {number: unit for unit, number in PER_SECOND.items()}
        words |= {"unit": units.get(value.per_second)} if value.fraction else {}
    elif isinstance(value, Plausible):
        words = {"from": value.since, "to": value.until, "days_ahead": value.days_ahead}
    said = {name: word for name, word in words.items() if word not in (None, "") and LEFT_OUT.get(name) != word}
    if isinstance(value, Count) and said.keys() == {"field"}:
        return value.field
    return f"{{{', '.join(f'{name}: {word}' for name, word in said.items())}}}" if said else f"{value or 'none'}"


def write_template(data_type: DataType) -> str:
    """Return the path of day files with the names of instrument, type and suffix in it."""
    path, suffix = data_type.placement.path, data_type.placement.suffix
    named = {"instrument": data_type.instrument, "type": data_type.type, "suffix": suffix}
    for name, value in named.items():
        path = path.replace(f"{{{name}}}", value)
    return path


def compare_fields(old: DataType, new: DataType) -> Iterator[Difference]:
    """Compare the stored fields of a data type in two layouts, by name."""
    mine, theirs = index_fields(old), index_fields(new)
    versions = {form.dtype for form in new.forms}
    fits = old.dtype in versions  # which is how a table is recognised as one of an earlier version
    appended = list(mine) == list(theirs)[: len(mine)]
    for name in [name for name in mine if name not in theirs]:
        problem = f"{NOT_WIDENED}; keep it, or make another type"
        yield Difference(f"{new.type}.{name}", "is removed", problem)
    for name in [name for name in theirs if name not in mine]:
        remedy = "list it under 'later', behind all fields" if appended else "put it behind all fields, under 'later'"
        message = f"is new, {describe_stored_field(theirs[name])}"
        yield Difference(f"{new.type}.{name}", message, "" if fits else f"{NOT_WIDENED}; {remedy}")
    for name in [name for name in mine if name in theirs]:
        before, after = describe_stored_field(mine[name]), describe_stored_field(theirs[name])
        if before != after:
            problem = f"{NOT_WIDENED}; add a field of another name under 'later'"
            yield Difference(f"{new.type}.{name}", f"{before} becomes {after}", problem)
    common = [name for name in theirs if name in mine]
    if common != [name for name in mine if name in theirs]:
        yield Difference(new.type, "the order of its fields changes", f"{NOT_WIDENED}; keep the order")


def compare_meanings(old: DataType, new: DataType) -> Iterator[Difference]:
    """Compare what two layouts say of the values of fields; tables keep what they were made with."""
    mine, theirs = index_fields(old), index_fields(new)
    for name in [name for name in mine if name in theirs]:
        for word in ("unit", "missing", "default", "blob", "counter"):
            before, after = getattr(mine[name], word), getattr(theirs[name], word)
            if repr(before) != repr(after):
                problem = (
                    "a field keeps its meaning; add a field of another name" if word in ("blob", "counter") else ""
                )
                yield Difference(
                    f"{new.type}.{name}", f"{word}: {show_shortly(before)} becomes {show_shortly(after)}", problem
                )


def show_shortly(value: object) -> str:
    """Show a value as a layout has it."""
    if isinstance(value, tuple):
        return f"[{', '.join(map(str, value))}]"
    return str(value).lower() if isinstance(value, bool) else str(value) or "none"


def index_fields(data_type: DataType) -> Mapping[str, Field]:
    """Index fields by name."""
    return {field.name: field for field in data_type.fields}


def describe_stored_field(field: Field) -> str:
    """Describe how a field is stored."""
    return f"{field.type} {list(field.shape)}" if field.shape else field.type
