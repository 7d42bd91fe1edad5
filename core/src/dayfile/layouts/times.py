"""Compile what a layout declares about times: the clock, how a type's times are made, and which are plausible."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

import numpy as np

from dayfile.layouts.document import EMPTY, Document, Path
from dayfile.layouts.parts import MADE_TIME, has_made_time
from dayfile.layouts.schema import ClockWords, LayoutWords, TypeWords
from dayfile.layouts.time_words import CalendarWords, CountWords, TimeWords
from dayfile.messages import suggest
from dayfile.model.clock import Clock
from dayfile.model.field import Field
from dayfile.model.instants import as_utc
from dayfile.model.plausible import Plausible
from dayfile.model.stamps import find_stamp_problem
from dayfile.model.times import PER_SECOND, Calendar, Count, Timing

__all__ = ["check_timing", "compile_clock", "compile_timing", "compile_valid"]

EARLIEST_YEAR, LATEST_YEAR = 1900, 2200
FIRST_EPOCH = 1700
"""Year of the earliest epoch: modified Julian days count from 1858, and datetime64[ns] begins in 1677."""
CALENDAR_PARTS = ("year", "month", "day", "hour", "minute", "second")


def compile_clock(said: ClockWords, day_begins: str, document: Document, path: Path) -> Clock:
    """Compile a clock, with the time at which days begin; LayoutError if it cannot give times."""
    path = (*path, "epoch")
    if not FIRST_EPOCH <= said.epoch.year <= LATEST_YEAR:
        document.fail(path, f"the year must be between {FIRST_EPOCH} and {LATEST_YEAR}")
    epoch = as_utc(said.epoch)
    if said.scale != "utc" and said.epoch.tzinfo is not None:
        document.fail(path, f"a time in the scale {said.scale} has no time zone: leave it out")
    plain = next(unit for unit in ("s", "us") if epoch == epoch.astype(f"datetime64[{unit}]"))
    clock = Clock(
        epoch.astype(f"datetime64[{plain}]"),
        said.unit,
        said.leap_seconds,
        said.undefined,
        said.scale,
        int(day_begins.partition(":")[0]),
    )
    if problem := clock.problem():
        document.fail(path, problem)
    return clock


def compile_timing(words: TypeWords) -> Timing:
    """Compile how the times of a type are made of its fields."""
    begins = words.time.begins if isinstance(words.time, CountWords) else "moment"
    made = Count(MADE_TIME.name) if has_made_time(words) else None
    return Timing(
        made or compile_stamp(words.time), compile_stamp(words.end) if words.end is not None else None, begins
    )


def compile_stamp(words: TimeWords) -> Count | Calendar:
    """Compile one time of a type that stored fields make."""
    if isinstance(words, str):
        return Count(words)
    if isinstance(words, CountWords):
        return Count(words.field, words.fraction or "", PER_SECOND[words.unit], words.whole or "")
    assert isinstance(words, CalendarWords)  # noqa: S101 - for mypy
    parts = {part: getattr(words, part) or "" for part in CALENDAR_PARTS}
    return Calendar(**parts, fraction=words.fraction or "", per_second=PER_SECOND[words.unit])


def check_timing(words: TypeWords, fields: Mapping[str, Field], clock: Clock, document: Document, path: Path) -> None:
    """Check that times are made of fields that exist from the first version on, and that these can hold them."""
    timing = compile_timing(words)
    for word, stamp in zip(("time", "end"), timing.stamps, strict=False):
        with document.collect():
            for name in stamp.field_names:
                if name not in fields:
                    document.fail((*path, word), f"{name!r} is not a field{suggest(name, fields)}")
            if problem := find_stamp_problem(stamp, fields, clock):
                document.fail((*path, word), problem)


def compile_valid(words: LayoutWords | TypeWords, document: Document, path: Path) -> Plausible | None:
    """Compile the bounds of plausible times of a layout or of a type; None if it declares no bounds."""
    valid, path = words.valid, (*path, "valid")
    if valid is None:
        if "valid" in words.model_fields_set:
            document.fail(path, EMPTY)
        return None
    for word, name in (("from", "since"), ("to", "until"), ("days_ahead", "days_ahead")):
        if name in valid.model_fields_set and getattr(valid, name) is None:
            document.fail((*path, word), EMPTY)
    if not valid.model_fields_set:
        document.fail(path, "'from' or 'to' (dates), 'days_ahead' (a number of days) or several must be given")
    since = compile_bound(valid.since, document, (*path, "from"))
    until = compile_bound(valid.until, document, (*path, "to"))
    if since is not None and until is not None and until <= since:
        document.fail((*path, "to"), f"{until} is not after {since}, so that no time would be plausible")
    return Plausible(since, valid.days_ahead, until)


def compile_bound(bound: dt.datetime | None, document: Document, path: Path) -> np.datetime64 | None:
    """Compile a date, or date and time; None if it was left out."""
    if bound is None:
        return None
    if not EARLIEST_YEAR <= bound.year <= LATEST_YEAR:
        document.fail(path, f"the year must be between {EARLIEST_YEAR} and {LATEST_YEAR}")
    time: np.datetime64 = as_utc(bound)
    # Messages then show a date without a time, and a time without a fraction, if it has none.
    plain = next(form for form in ("D", "s", "us") if time == time.astype(f"datetime64[{form}]"))
    shown: np.datetime64 = time.astype(f"datetime64[{plain}]")
    return shown
