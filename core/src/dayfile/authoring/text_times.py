"""The time of a line of text: which of its columns, and how it is written."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from dayfile.authoring.clocks import CountedClock, list_counted_clocks
from dayfile.authoring.ratings import SampleFile
from dayfile.authoring.text_tables import LEAST_ALIKE, NUMBER_TEXT, TextTable, hold_mostly

__all__ = ["TextTime", "list_text_times"]

ZONE = re.compile(r"(Z|[-+]\d\d(:?\d\d)?)$")
ISO_TEXT = re.compile(r"(\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d([.,]\d+)?)?|\d{8}T\d{6})(Z|[-+]\d\d(:?\d\d)?)?")
TIME_FORMS = [
    f"{date}{between}%H:%M{seconds}"
    for date in ("%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%Y/%m/%d", "%d-%m-%Y", "%Y%m%d")
    for between in (" ", "T")
    for seconds in (":%S", ":%S.%f", "")
]
LINES_LOOKED_AT = 1000
"""Lines that are looked at."""


@dataclass(frozen=True)
class TextTime:
    """How lines have their time.

    Parameters
    ----------
    columns : tuple of str
        The columns that it is made of.
    form : str
        Letters of strptime; empty for ISO 8601 and for numbers.
    clock : CountedClock, optional
        The clock by which numbers count.
    zoned : bool
        Whether the text has its time zone.
    """

    columns: tuple[str, ...]
    form: str = ""
    clock: CountedClock | None = None
    zoned: bool = False

    @property
    def words(self) -> str:
        """What people call it."""
        how = f"counts {self.clock.words}" if self.clock else f"is {self.form or 'ISO 8601'}"
        return f"{' and '.join(self.columns)} {how}"


def list_text_times(table: TextTable, sample: SampleFile, wanted: str | None) -> Iterator[TextTime]:
    """List the times that lines can have: texts first, then two columns together, then numbers."""
    columns = {name: values[:LINES_LOOKED_AT] for name, values in table.columns.items() if wanted in (None, name)}
    for name, values in columns.items():
        yield from (TextTime((name,), form, zoned=zoned) for form, zoned in list_forms(values))
    names = list(table.columns)
    for first, second in itertools.pairwise(names):
        pairs = zip(table.columns[first], table.columns[second], strict=True)
        both = [f"{one} {other}" if one and other else None for one, other in itertools.islice(pairs, LINES_LOOKED_AT)]
        if wanted in (None, first):
            yield from (TextTime((first, second), form, zoned=zoned) for form, zoned in list_forms(both))
    for name, values in columns.items():
        yield from (TextTime((name,), clock=clock) for clock in list_number_clocks(values, sample))


def list_forms(values: list[Any]) -> Iterator[tuple[str, bool]]:
    """List the forms that all values have, and whether they have a zone."""
    texts = [each for each in values if each is not None]
    if not texts or not all(isinstance(each, str) for each in texts):
        return
    if hold_mostly(bool(ISO_TEXT.fullmatch(each)) for each in texts):
        yield "", bool(ZONE.search(texts[0][10:]))
        return
    yield from ((form, False) for form in TIME_FORMS if hold_mostly(fits_form(each, form) for each in texts))


def fits_form(text: str, form: str) -> bool:
    """Return whether a text is a time of a form."""
    try:
        datetime.strptime(text, form)  # noqa: DTZ007 - only whether it can be read
    except ValueError:
        return False
    return True


def list_number_clocks(values: list[Any], sample: SampleFile) -> list[CountedClock]:
    """List the clocks by which numbers are plausible times that go on, those near the sample's writing first."""
    texts = [str(each) for each in values if each is not None]
    good = [each.replace(",", ".") for each in texts if NUMBER_TEXT.fullmatch(each)]
    numbers = np.array(good if len(good) >= LEAST_ALIKE * len(texts) else [], np.float64)
    steps = np.diff(numbers)
    if len(numbers) < 2 or (steps >= 0).mean() < 0.9 or not (steps > 0).any():
        return []
    middle = float(np.median(numbers))
    kinds = [*list_counted_clocks("float64", sample.latest), *list_counted_clocks("uint64", sample.latest)]
    fitting = [each for each in dict.fromkeys(kinds) if each.bounds[0] <= middle < each.bounds[1]]

    def find_distance(clock: CountedClock) -> float:
        reference = sample.day if sample.day is not None else sample.modified
        return float(abs((clock.clock.to_datetime64(np.array([middle]))[0] - reference) / np.timedelta64(1, "s")))

    return sorted(fitting, key=find_distance)
