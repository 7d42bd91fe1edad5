"""Compile how the times of a type are made when a source is decoded."""

from __future__ import annotations

import datetime as dt
import math
import re
from string import Formatter

import numpy as np

from dayfile.layouts.document import Document, Path
from dayfile.layouts.time_words import (
    AddendWords,
    CalendarWords,
    CallWords,
    CountWords,
    DateWords,
    FirstWords,
    MadeWords,
    SumWords,
    TextWords,
    TimeWords,
)
from dayfile.model.clock import Clock
from dayfile.model.instants import as_utc
from dayfile.model.leap_seconds import SECOND
from dayfile.timing.calendar import Dates
from dayfile.timing.forms import TextForm
from dayfile.timing.parts import UNIT_LENGTHS, Addend
from dayfile.timing.texts import TimeTexts
from dayfile.timing.times import Making, Moments, Start
from dayfile.timing.zones import Zone, find_zone_problem

__all__ = ["compile_making"]

FIRST_IN_SCALE = 1700
"""Year of the earliest epoch of a clock that runs on through leap seconds."""
FRACTION = re.compile(r"1\s*/\s*([1-9]\d{0,11}) s")
LONGEST_FRACTION = 2**63
IDENTIFIER = re.compile("[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
REQUIRED = "required"
"""In place of a zone: the settings have it."""
DATE_PARTS = ("year", "month", "day", "day_of_year", "hour", "minute", "second")
IN_1970 = np.datetime64("1970-01-01T00:00:00", "s")


def compile_making(words: TimeWords, document: Document, path: Path) -> Making:
    """Compile how a time is made of values by name; LayoutError where the words contradict themselves.

    Parameters
    ----------
    words : TimeWords
        A sum, a date or a text, also a date as stored fields have it.
    document : Document
        The layout, for the places of errors.
    path : tuple of str or int
        Where the words are.
    """
    if isinstance(words, CalendarWords):
        stored = {part: getattr(words, part) for part in DATE_PARTS if part != "day_of_year"}
        words = DateWords(**stored, plus={words.fraction: words.unit} if words.fraction else {})
    if isinstance(words, str | CountWords | FirstWords | CallWords):
        document.fail(path, "a time that is made needs 'epoch', 'year' or 'text'")
    clock = compile_scale(words, document, path)
    since = words.epoch if isinstance(words, SumWords) else None
    parts = [compile_addend(name, said, since, document, (*path, "plus", name)) for name, said in words.plus.items()]
    start: Start | None = None
    if isinstance(words, DateWords):
        start = compile_dates(words, document, path)
    if isinstance(words, TextWords):
        start = compile_text(words, document, path)
    origin = clock.origin if since is None or clock.runs_on else count_nanoseconds(since)
    return Moments(start, parts, origin, clock.runs_on, compile_zone(words, document, path))


def compile_scale(words: MadeWords, document: Document, path: Path) -> Clock:
    """Compile the clock by which a time is given, with the epoch of a sum."""
    if words.zone is not None and words.scale != "utc":
        document.fail((*path, "zone"), f"clocks in a time zone show UTC, shifted, not {words.scale}; leave one out")
    if not isinstance(words, SumWords):
        return Clock(IN_1970, "ns", scale=words.scale)
    clock = Clock(as_utc(words.epoch), "ns", words.leap_seconds, scale=words.scale)
    place = (*path, "epoch")
    if words.zone is not None and clock.runs_on:
        document.fail((*path, "zone"), "clocks in a time zone do not run on through leap seconds; leave one out")
    if words.epoch.tzinfo is not None and (words.zone is not None or words.scale != "utc"):
        document.fail(place, "an epoch in a time zone or a scale has no offset of its own: leave it out")
    if clock.runs_on and words.epoch.year < FIRST_IN_SCALE:
        document.fail(place, f"the year must be {FIRST_IN_SCALE} or later")
    if problem := clock.problem():
        document.fail(place, problem)
    return clock


def compile_addend(
    name: str, said: str | AddendWords, epoch: dt.datetime | None, document: Document, path: Path
) -> Addend:
    """Compile a value that is added."""
    if isinstance(said, str):
        numerator, denominator = compile_unit(said, document, path)
        return Addend(name, numerator, denominator)
    numerator, denominator = compile_unit(said.unit, document, (*path, "unit"))
    if said.below is not None and said.below <= (said.least or 0):
        document.fail((*path, "below"), f"{said.below} is not more than the least value, {said.least or 0}")
    if said.modulo is None:
        if said.since is not None:
            document.fail((*path, "since"), "a date goes with 'modulo', of a value that begins again at 0")
        return Addend(name, numerator, denominator, said.least, said.below)
    if said.since is None:
        document.fail((*path, "modulo"), "'since' is missing: a date before all times, but not long before")
    if epoch is None:
        document.fail((*path, "modulo"), "a value can begin again only where its time is counted from an 'epoch'")
    first = (count_nanoseconds(said.since) - count_nanoseconds(epoch)) * denominator // numerator
    if first < 0:
        document.fail((*path, "since"), f"{said.since:%Y-%m-%d} is before the epoch")
    return Addend(name, numerator, denominator, said.least, said.below, said.modulo, first)


def compile_unit(unit: str, document: Document, path: Path) -> tuple[int, int]:
    """Compile a unit to nanoseconds: numerator and denominator, without a common divisor."""
    if unit in UNIT_LENGTHS:
        return UNIT_LENGTHS[unit], 1
    if not (match := FRACTION.fullmatch(unit)):
        document.fail(path, f"{unit!r} is not a unit: {', '.join(UNIT_LENGTHS)}, or a fraction such as 1/65536 s")
    common = math.gcd(SECOND, int(match[1]))
    numerator, denominator = SECOND // common, int(match[1]) // common
    if numerator * denominator >= LONGEST_FRACTION:
        document.fail(path, f"{unit!r} is too small a part of a second to be added exactly")
    return numerator, denominator


def compile_dates(words: DateWords, document: Document, path: Path) -> Dates:
    """Compile a date in parts."""
    parts = {part: name for part in DATE_PARTS if (name := getattr(words, part))}
    if "day_of_year" in parts and (clash := next((part for part in ("month", "day") if part in parts), "")):
        document.fail((*path, clash), f"'day_of_year' says the day already; leave {clash!r} out")
    if "day_of_year" not in parts:
        for part in ("month", "day"):
            if part not in parts:
                document.fail(path, f"{part!r} is missing, or 'day_of_year' in place of month and day")
    return Dates(parts)


def compile_text(words: TextWords, document: Document, path: Path) -> TimeTexts:
    """Compile a time that is a text."""
    place = (*path, "text")
    try:
        pieces = list(Formatter().parse(words.text))
    except ValueError as error:
        document.fail(place, f"{words.text!r} must have names in braces, such as '{{date}} {{clock}}' ({error})")
    names = [(name, spec, conversion) for _, name, spec, conversion in pieces if name is not None]
    if not names:
        document.fail(place, f"{words.text!r} has no name in braces, such as '{{date}} {{clock}}'")
    for name, spec, conversion in names:
        if not IDENTIFIER.fullmatch(name) or spec or conversion:
            own = "; give columns names of your own: 'columns: [date_time, …]' and 'skip: 1' for the line with these"
            problem = f"in {words.text!r}, {name!r} is not a name alone: letters, digits and _"
            document.fail(place, problem + (own if " " in name.strip() else ""))
    if words.form is None:
        return TimeTexts(words.text)
    form = TextForm(words.form)
    if form.problem:
        document.fail((*path, "form"), form.problem)
    if "z" in form.letters and (clash := "zone" if words.zone is not None else "scale" if words.scale != "utc" else ""):
        document.fail((*path, clash), f"each text says its offset from UTC (%z); leave {clash!r} out")
    return TimeTexts(words.text, (form,))


def compile_zone(words: MadeWords, document: Document, path: Path) -> Zone | None:
    """Compile the time zone; None for times in UTC."""
    if words.zone is None:
        if "repeated" in words.model_fields_set:
            document.fail((*path, "repeated"), "an hour comes twice only in a time zone; 'zone' is missing")
        return None
    if words.zone == REQUIRED:
        return Zone("", words.repeated, f"{document.data['instrument']}.zone")
    if problem := find_zone_problem(words.zone):
        document.fail((*path, "zone"), problem)
    return Zone(words.zone, words.repeated)


def count_nanoseconds(moment: dt.datetime) -> int:
    """Return the nanoseconds since 1970 of a moment of any year."""
    return int(as_utc(moment).astype("datetime64[us]").astype(np.int64)) * 1_000
