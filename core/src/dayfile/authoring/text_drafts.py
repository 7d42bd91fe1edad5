"""Drafts for instruments that write lines of text."""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dayfile.authoring import templates
from dayfile.authoring.draft_layouts import write_flow
from dayfile.authoring.ratings import SampleFile
from dayfile.authoring.record_drafts import LARGEST_SAMPLE, InstrumentDraft
from dayfile.authoring.text_tables import NUMBER_TEXT, TextTable, hold_mostly, read_text_table
from dayfile.authoring.text_times import TextTime, list_text_times
from dayfile.errors import UsageError
from dayfile.instrument import Instrument
from dayfile.messages import list_some, plural, suggest
from dayfile.model.batch import Batch, Rejected, Source

__all__ = ["draft_text"]

PLAIN_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)
"""What can be named in a text."""
NOTHING = (-999, -9999, -99999, -999.9, -999.99)
"""Numbers that often mean that nothing was measured."""
WHERE = "docs/formats.md, 'Lines of text'"


def draft_text(name: str, pattern: str, sample: SampleFile, wanted: str | None) -> InstrumentDraft:
    """Draft an instrument that writes lines of text; UsageError if they are not columns or have no time.

    Parameters
    ----------
    name : str
        Name of the instrument.
    pattern : str
        Pattern of the names of its sources.
    sample : SampleFile
        The sample.
    wanted : str, optional
        The column with the time.
    """
    table = read_text_table(sample.content)
    if table is None:
        raise UsageError(
            "the sample is text, but its lines are neither objects of JSON nor columns with one separator; write "
            f"'frames: lines' by hand, with the widths of columns or 'form: pairs': {WHERE}",
            where=sample.name,
        )
    if wanted is not None and wanted not in table.columns:
        raise UsageError(f"no column {wanted!r}{suggest(wanted, table.columns)}", where=sample.name)
    times = list(list_text_times(table, sample, wanted))
    if not times:
        known = list_some(table.columns)
        raise UsageError(
            f"the sample is text, but {wanted or 'no column'} has times in ISO 8601, in a usual form, or in numbers "
            f"since 1970, 2000, 1980-01-06 (GPS) or 1858-11-17; its columns are {known}. Name the time with --time, or "
            f"write the layout by hand: {WHERE}",
            where=sample.name,
        )
    dotted = [each for each in times[0].columns if table.form == "json" and not PLAIN_NAME.fullmatch(each)]
    if dotted and times[0].clock is None:
        raise UsageError(
            f"the time is the text {dotted[0]}, a name that a layout cannot put into 'time: {{text: …}}'; write the "
            f"layout by hand, with a function of its own for the time: {WHERE}",
            where=sample.name,
        )
    layout = write_lines_layout(name, pattern, sample.content[: table.head], table, times[0])
    content = cut_text(sample.content)
    count, rejected, evidence = try_layout(layout, sample, content)
    content = drop_lines(content, rejected)
    return InstrumentDraft(
        layout,
        templates.write_module(name),
        f"{name}.records",
        content,
        table.head,
        count,
        [*describe_table(table, times), *evidence],
    )


def write_lines_layout(name: str, pattern: str, head: bytes, table: TextTable, time: TextTime) -> str:
    """Write the layout of lines, behind a head with their names if they have any."""
    fields = name_fields(table, time)
    words: dict[str, Any] = {"form": "json"} if table.form == "json" else {}
    in_text = [] if time.clock else list(time.columns)
    renamed = table.named and (table.marked or not all(map(PLAIN_NAME.fullmatch, in_text)))
    if renamed:  # columns have the names of fields: those of the first line cannot be used as they are
        words = {"columns": list(fields.values()), "skip": len(head.splitlines())}
    elif table.form == "columns":
        words = {"columns": "header" if table.named else list(table.columns)}
    if table.form == "columns":
        words |= {"separator": table.separator}
        words |= {"decimal": ","} if has_comma(table) else {}
    words |= {"encoding": table.encoding} if table.encoding != "utf-8" else {}
    lines = [
        f"instrument: {name}",
        "title: records",
        f"clock: {write_text_clock(time)}",
        f"match: {{name: {write_flow(pattern)}}}",
        f"frames: {{lines: {write_flow(words)}}}  # a guess: from the sample",
        f'path: "{name}/{{year}}/{name}_{{year}}{{month:02}}{{day:02}}.h5"',
        "types:",
        "  records:",
        "    code: records",
        "    title: records",
        "    store: append",
        f"    time: {write_text_time(time, fields, renamed=renamed)}",
        "    fields:",
        *write_columns(table, time, fields, renamed=renamed),
    ]
    return "\n".join(lines) + "\n"


def write_text_clock(time: TextTime) -> str:
    """Write the clock of numbers; texts need none."""
    if time.clock is None:
        return "{epoch: 1970-01-01T00:00:00}"
    scale = f", scale: {time.clock.scale}" if time.clock.scale != "utc" else ""
    words = f"epoch: {time.clock.epoch}T00:00:00, unit: {time.clock.unit}{scale}"
    return f"{{{words}}}  # a guess: from the times of the sample"


def write_text_time(time: TextTime, fields: Mapping[str, str], *, renamed: bool) -> str:
    """Write the time of lines."""
    if time.clock:
        return f"{fields[time.columns[0]]}  # a guess: from the sample"
    text = " ".join(f"{{{fields[each] if renamed else each}}}" for each in time.columns)
    words = {"text": text} | ({"form": time.form} if time.form else {})
    zone = "" if time.zoned else ", in UTC"
    return f"{write_flow(words)}  # a guess: from the sample{zone}"


def name_fields(table: TextTable, time: TextTime) -> dict[str, str]:
    """Name the fields of columns, by the names of these."""
    taken = set() if time.clock else {"time"}
    names: dict[str, str] = {}
    for column in table.columns:
        field = name_field(column)
        while field in taken:
            field += "_"
        taken.add(field)
        names[column] = field
    return names


def write_columns(table: TextTable, time: TextTime, fields: Mapping[str, str], *, renamed: bool) -> Iterator[str]:
    """Write the fields of columns; those that make the time as a text have none."""
    for column, values in table.columns.items():
        if column in time.columns and not time.clock:
            continue
        described = describe_column(values)
        if described is None:
            yield f"      # {column}: lists have no field here; see {WHERE}"
            continue
        field = fields[column]
        words = {"name": field, **described, **({"from": column} if field != column and not renamed else {})}
        guess = "  # a guess: nothing was measured there" if "missing" in words else ""
        yield f"      - {write_flow(words)}{guess}"


def describe_column(values: list[Any]) -> dict[str, Any] | None:
    """Describe the type of values by what they are; None for lists."""
    known = [each for each in values if each is not None]
    if any(isinstance(each, list) for each in known):
        return None
    if known and all(isinstance(each, bool) for each in values):
        return {"type": "bool"}
    texts = [str(each) for each in known]
    if not texts or not hold_mostly(bool(NUMBER_TEXT.fullmatch(each)) for each in texts):
        longest = max((len(each.encode()) for each in texts), default=1)
        return {"type": "char", "shape": [-(-longest // 8) * 8]}
    texts = [each for each in texts if NUMBER_TEXT.fullmatch(each)]
    numbers = np.array([each.replace(",", ".") for each in texts], np.float64)
    missing = [each for each in NOTHING if each in numbers and each == numbers.min() and not (numbers == each).all()]
    whole = all(re.fullmatch(r"[-+]?\d+", each) for each in texts) and len(known) == len(values)
    kind = "int32" if abs(numbers).max() < 2**31 else "int64"
    return {"type": kind if whole else "float64", **({"missing": missing} if missing else {})}


def name_field(column: str) -> str:
    """Name the field of a column.

    Examples
    --------
    >>> name_field("Temp (degC)"), name_field("env.temp"), name_field("2nd")
    ('temp_degc', 'env_temp', 'x2nd')
    """
    name = re.sub(r"[^a-z0-9]+", "_", column.lower()).strip("_")
    return name if name[:1].isalpha() else f"x{name}"


def has_comma(table: TextTable) -> bool:
    """Return whether numbers have a comma in front of their fraction."""
    texts = [each for values in table.columns.values() for each in values[:100] if each and NUMBER_TEXT.fullmatch(each)]
    return any("," in each for each in texts) and not any("." in each for each in texts)


def cut_text(content: bytes) -> bytes:
    """Cut whole lines from the begin of a sample."""
    part = content[:LARGEST_SAMPLE]
    return part[: part.rfind(b"\n") + 1] or part


def drop_lines(content: bytes, offsets: Collection[int]) -> bytes:
    """Leave lines out of a text, by the offsets of their first bytes."""
    lines = content.splitlines(keepends=True)
    starts = itertools.accumulate(map(len, lines), initial=0)
    return b"".join(line for line, start in zip(lines, starts, strict=False) if start not in offsets)


def try_layout(layout: str, sample: SampleFile, content: bytes) -> tuple[int, set[int], list[str]]:
    """Decode a sample by a layout: the number of different records, the offsets of rejected ones, and the evidence."""
    instrument = Instrument(layout, "draft.yaml")
    data_type = instrument.layout.types[0]
    items = list(instrument.decode(Source(Path(sample.name), sample.name, content)) or ())
    batches = [each for each in items if isinstance(each, Batch)]
    rejected = [each for each in items if isinstance(each, Rejected)]
    if not batches:
        reason = rejected[0].reason if rejected else "it has no lines"
        raise UsageError(f"the sample is text, but no line could be read: {reason}; see {WHERE}", where=sample.name)
    records = np.concatenate([each.records for each in batches])
    times = data_type.clock.to_datetime64(records[data_type.time])
    steps = np.diff(times).astype(np.int64)
    evidence = [f"{plural(len(records), 'record')}: {times[0]} to {times[-1]}"]
    if steps.size:
        evidence.append(
            f"{(steps >= 0).mean():.1%} of the steps go on; the median step is {np.median(steps) / 1e9:g} s"
        )
    if rejected:
        evidence.append(f"{plural(len(rejected), 'line')} rejected; the first: {rejected[0].reason}")
    return len(np.unique(records)), {each.offset for each in rejected if each.offset is not None}, evidence


def describe_table(table: TextTable, times: list[TextTime]) -> Iterator[str]:
    """Say what a text seems to be."""
    if table.form == "json":
        yield "the sample is text: an object of JSON in each line"
    else:
        separator = {"\t": "tabs", "blanks": "blanks"}.get(table.separator, repr(table.separator))
        names = "the names are in the first line" if table.named else "the names are not in a line of their own"
        yield f"the sample is text: {plural(len(table.columns), 'column')} with {separator} between them; {names}"
    yield f"time: {times[0].words}{'' if times[0].clock or times[0].zoned else ', taken as UTC'}"
    yield from (f"also possible: {each.words}" for each in times[1:4])
    yield "tests that pass do not prove a guess: compare times and types with what you know of the instrument"
