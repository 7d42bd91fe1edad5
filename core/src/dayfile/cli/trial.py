"""``dayfile try``: show what would become of sources, with nothing written."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dayfile.cli.inspect import JsonOption
from dayfile.cli.output import find_width, say
from dayfile.cli.run import SetOption
from dayfile.messages import list_some, plural, printable

if TYPE_CHECKING:
    from dayfile.authoring.trial import Reason, Trial, TypeTrial

__all__ = ["try_sources"]

MOST_SHOWN = 10
"""How many reasons, days and keys are shown."""
NARROW_COLUMN = 11
"""Width of a column that is not cut, unless all are as narrow."""
PLACES_OF_BYTES = {
    "head": "head of the file",
    "records": "records",
    "rejected": "rejected",
    "ignored": "left out",
    "between": "between frames",
    "around": "around frames",
}


def try_sources(
    layout: Annotated[str, typer.Argument(metavar="LAYOUT", help="A layout file, or the name of an installed plugin.")],
    files: Annotated[list[Path], typer.Argument(readable=False, metavar="FILE...", help="Sources, also as .gz.")],
    set_: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what would become of sources; nothing is written.

    Why each is recognised or not, its records with their times, keys and values, where its bytes go, and what would be
    rejected.

    Exit codes: 0 all would be archived, 2 the layout has a mistake or a file cannot be read, 3 a source is not
    recognised or cannot be read as the layout says, records would be rejected, or days are more than a new archive
    takes of one source (run.most_new_days).
    """
    from dayfile.authoring.trial import Candidate
    from dayfile.errors import RecordError

    candidate = Candidate.load(layout, set_ or [])
    rows, well = [], True
    for number, file in enumerate(files):
        trial = candidate.try_file(file)
        well = well and trial.well
        if as_json:
            rows.append(make_object(trial))
            continue
        if number:
            typer.echo()
        show_trial(trial)
    if as_json:
        typer.echo(json.dumps(rows, indent=2, ensure_ascii=False))
    raise typer.Exit(0 if well else RecordError.exit_code)


def show_trial(trial: Trial) -> None:
    """Show a trial on the screen."""
    packed = f" (unfolded from {trial.packed:,})" if trial.packed else ""
    say(f"{trial.name}: {plural(trial.size, 'byte')}{packed}, {'recognised' if trial.recognised else 'not recognised'}")
    for trait in trial.traits:
        if not trial.recognised or trait.fits:
            say(f"  {'+' if trait.fits else '-'} {trait.word}: {trait.text}", indent=6)
    for failure in trial.failures:
        say(f"  fails: {failure.message}", indent=9)
    for each in trial.types.values():
        show_type(each)
    show_accounting(trial)
    show_reasons("rejected", trial.rejected)
    if trial.has_no_right_checksum:
        say("no checksum is right: check size, byte_order, and the kind, from, to and at of the checksum", indent=2)
    show_reasons("remark", trial.remarks)


def show_type(found: TypeTrial) -> None:
    """Show the records of a type."""
    from dayfile.cli.show import show_times

    import numpy as np  # isort: skip

    first, last = show_times(np.array(found.times))
    say("")
    say(f"{found.data_type.name}: {plural(found.count, 'record')}, {first} to {last} UTC", indent=4)
    say(f"  steps: {describe_steps(found)}", indent=9)
    days = sorted(found.days)
    say(f"  {plural(len(days), 'day')}: {list_some((f'{day} ({found.days[day]:,})' for day in days), MOST_SHOWN)}")
    for name, counts in found.keys.items():
        say(f"  {name}: {list_some((f'{key} ({count:,})' for key, count in counts.items()), MOST_SHOWN)}")
    for line in format_values(found):
        typer.echo(printable(f"  {line}"))


def describe_steps(found: TypeTrial) -> str:
    """Say how far apart in time the records are."""
    steps = found.find_steps()
    total = sum(steps.values())
    if not total:
        return "only one record"
    most, count = steps.most_common(1)[0]
    if 2 * count > total:
        texts = [f"{show_seconds(most)} ({count:,} of {total:,})"]
    else:
        texts = [f"median {show_seconds(find_median(steps))}"]
    if len(steps) > 1:
        texts.append(f"from {show_seconds(min(steps))} to {show_seconds(max(steps))}")
    back = sum(count for step, count in steps.items() if step < 0)
    return ", ".join([*texts, *([f"{back:,} back in time"] if back else [])])


def find_median(steps: Counter[int]) -> int:
    """Find the step that half of the steps are not longer than."""
    half, seen = sum(steps.values()) / 2, 0
    for step in sorted(steps):
        seen += steps[step]
        if seen >= half:
            return step
    return 0


def show_seconds(nanoseconds: int) -> str:
    """Show a number of nanoseconds as seconds."""
    return f"{nanoseconds / 1e9:,.9f}".rstrip("0").rstrip(".") + " s"


def format_values(found: TypeTrial) -> Iterator[str]:
    """Format the first and the last record as a table: a line for each field, stored and physical values."""
    from dayfile.cli.show import format_table

    records = [found.find_records("first"), found.find_records("last")][: found.count]
    physical = [each.to_physical() for each in records]
    declared = [field.physical is not None or field.named for field in found.data_type.fields]
    rows = []
    for field, converted in zip(found.data_type.fields, declared, strict=True):
        cells = [format_value(each[field.name][0]) for each in records]
        values = [format_value(each[field.name][0]) if converted else "" for each in physical]
        rows.append([f"{field.name}{f' [{field.units}]' if field.units else ''}", *cells, *values])
    heads = ["field", *["first", "last"][: len(records)]]
    if any(declared):
        heads += ["first, physical", "last, physical"][: len(records)]
    columns = [[head, *(row[place] for row in rows)] for place, head in enumerate(heads)]
    yield from format_table(fit_columns(columns, find_width() - 2))


def format_value(value: Any) -> str:  # noqa: ANN401 - a cell of any field
    """Format a value: bytes as text, numbers by nine digits, arrays by their first elements."""
    import numpy as np

    from dayfile.cli.show import format_cell

    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if np.asarray(value).dtype.kind == "f":
        rounded = [float(f"{each:.9g}") for each in np.ravel(value)[:5]]
        return format_cell(np.resize(rounded, np.shape(value)) if np.ndim(value) else rounded[0])
    return format_cell(value)


def fit_columns(columns: list[list[str]], width: int) -> list[list[str]]:
    """Cut the cells of the widest columns until a table fits, those of the first column last."""
    widths = [max(map(len, column)) for column in columns]
    while sum(widths) + 2 * (len(widths) - 1) > width and max(widths) > NARROW_COLUMN:
        widest = max(range(len(widths)), key=lambda place: widths[place] if place else NARROW_COLUMN)
        widths[widest] -= 1
    return [
        [cell if len(cell) <= size else f"{cell[: size - 1]}…" for cell in column]
        for column, size in zip(columns, widths, strict=True)
    ]


def show_accounting(trial: Trial) -> None:
    """Show where the bytes go."""
    parts = [(PLACES_OF_BYTES[name], number) for name, number in trial.bytes.items() if number]
    if parts:
        say("")
        say(f"bytes: {', '.join(f'{number:,} {name}' for name, number in parts)}; {trial.size:,} in all", indent=7)


def show_reasons(what: str, reasons: Mapping[tuple[str, str], Reason]) -> None:
    """Show why records are rejected, or what is remarkable, the most frequent first."""
    found = sorted(reasons.items(), key=lambda each: -each[1].records)
    for (code, _), reason in found[:MOST_SHOWN]:
        number = introduce_reason(code, reason)
        say(f"{what}: {number}{reason.text}{describe_places(reason)}", indent=len(what) + 2)
    if len(found) > MOST_SHOWN:
        say(f"{what}: {plural(len(found) - MOST_SHOWN, 'other reason')}")


def introduce_reason(code: str, reason: Reason) -> str:
    """Say what a reason is of: records, or places of a source that are in none."""
    such = ": " if reason.same else ", such as: "
    if reason.of_places:
        return "" if reason.records == 1 else f"{plural(reason.records, 'place')}{such}"
    return plural(reason.records, "record") + ("" if code == "?" else f" of {code}") + such


def describe_places(reason: Reason) -> str:
    """Say where the first records are in the source, where that is known."""
    if not reason.offsets:
        return ""
    more = ", …" if reason.records > len(reason.offsets) else ""
    return f" (at byte {', '.join(f'{offset:,}' for offset in reason.offsets)}{more})"


def make_object(trial: Trial) -> dict[str, Any]:
    """Make a JSON object of a trial."""
    from dataclasses import asdict

    return {
        "name": trial.name,
        "size": trial.size,
        "packed": trial.packed or None,
        "recognised": trial.recognised,
        "well": trial.well,
        "match": [asdict(each) for each in trial.traits],
        "failures": [each.message for each in trial.failures],
        "types": {name: make_type_object(each) for name, each in trial.types.items()},
        "bytes": trial.bytes or None,
        "rejected": [{"code": code, **asdict(each)} for (code, _), each in trial.rejected.items()],
        "remarks": [{"code": code, **asdict(each)} for (code, _), each in trial.remarks.items()],
    }


def make_type_object(found: TypeTrial) -> dict[str, Any]:
    """Make a JSON object of the records of a type."""
    from dayfile.cli.show import make_objects

    steps = found.find_steps()
    values = {}
    for which in ("first", "last"):
        records = found.find_records(which)
        values[which] = next(make_objects([records], None))
        values[f"{which}_physical"] = next(make_objects([records.to_physical()], None))
    return {
        "records": found.count,
        "first_time": f"{found.times[0]}Z",
        "last_time": f"{found.times[1]}Z",
        "steps": {show_seconds(step): count for step, count in steps.most_common(MOST_SHOWN)},
        "days": dict(sorted(found.days.items())),
        "keys": found.keys,
        "values": values,
    }
