"""Compile what a layout declares about times: the clock, how a type's times are made, and which are plausible."""

from __future__ import annotations

from collections.abc import Mapping

from dayfile.layouts.document import EMPTY, Document, Path
from dayfile.layouts.schema import CalendarWords, CountWords, LayoutWords, TimeWords, TypeWords
from dayfile.messages import suggest
from dayfile.model.clock import Clock
from dayfile.model.datatype import Field
from dayfile.model.instants import as_utc
from dayfile.model.plausible import Plausible
from dayfile.model.stamps import find_stamp_problem
from dayfile.model.times import PER_SECOND, Calendar, Count, Timing

__all__ = ["check_timing", "compile_clock", "compile_timing", "compile_valid"]

EARLIEST_YEAR, LATEST_YEAR = 1900, 2200
FIRST_EPOCH = 1700
"""Year of the earliest epoch: modified Julian days count from 1858, and datetime64[ns] begins in 1677."""
CALENDAR_PARTS = ("year", "month", "day", "hour", "minute", "second")


def compile_clock(words: LayoutWords, document: Document) -> Clock:
    """Compile the clock; LayoutError if it cannot give times."""
    said, path = words.clock, ("clock", "epoch")
    if not FIRST_EPOCH <= said.epoch.year <= LATEST_YEAR:
        document.fail(path, f"the year must be between {FIRST_EPOCH} and {LATEST_YEAR}")
    epoch = as_utc(said.epoch)
    if said.scale != "utc" and said.epoch.tzinfo is not None:
        document.fail(path, f"a time in the scale {said.scale} has no time zone: leave it out")
    plain = next(unit for unit in ("s", "us") if epoch == epoch.astype(f"datetime64[{unit}]"))
    clock = Clock(epoch.astype(f"datetime64[{plain}]"), said.unit, said.leap_seconds, said.undefined, said.scale)
    if problem := clock.problem():
        document.fail(path, problem)
    return clock


def compile_timing(words: TypeWords) -> Timing:
    """Compile how the times of a type are made of its fields."""
    begins = words.time.begins if isinstance(words.time, CountWords) else "moment"
    return Timing(compile_stamp(words.time), compile_stamp(words.end) if words.end is not None else None, begins)


def compile_stamp(words: TimeWords) -> Count | Calendar:
    """Compile one time of a type."""
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
    for word, name in (("from", "since"), ("days_ahead", "days_ahead")):
        if name in valid.model_fields_set and getattr(valid, name) is None:
            document.fail((*path, word), EMPTY)
    if not valid.model_fields_set:
        document.fail(path, "'from' (a date), 'days_ahead' (a number of days) or both must be given")
    if valid.since is None:
        return Plausible(days_ahead=valid.days_ahead)
    if not EARLIEST_YEAR <= valid.since.year <= LATEST_YEAR:
        document.fail((*path, "from"), f"the year must be between {EARLIEST_YEAR} and {LATEST_YEAR}")
    since = as_utc(valid.since)
    # Messages then show a date without a time, and a time without a fraction, if it has none.
    plain = next(form for form in ("D", "s", "us") if since == since.astype(f"datetime64[{form}]"))
    return Plausible(since.astype(f"datetime64[{plain}]"), valid.days_ahead)
