"""The first look at records to draw: their times, keys and steps, and the range of their values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from dayfile.handover.columns import RecordTable, make_field_column
from dayfile.model.datatype import DataType
from dayfile.model.field import Field

__all__ = [
    "Elements",
    "KeyTexts",
    "Sample",
    "Spread",
    "Survey",
    "label_keys",
    "split_by_key",
    "survey_pieces",
    "take_values",
]

KeyTexts = tuple[str, ...]
"""The values of the keys of a record, as texts, in their order."""

SAMPLE_VALUES = 2**18
"""Values that are kept to find quartiles; of more records, a random part is kept."""
SAMPLE_STEPS = 2**14
SEED = 0
"""The same records are drawn in the same way each time."""


@dataclass(frozen=True)
class Elements:
    """A field to draw, and which of its elements.

    Parameters
    ----------
    field : Field
        The field.
    places : tuple of int
        The elements, by their numbers in memory; of a single value (0,).
    """

    field: Field
    places: tuple[int, ...]


class Sample:
    """A random part of the rows that were added, all of them if they are few; the same rows give the same part."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.share = 1.0
        self.parts: list[npt.NDArray[np.float64]] = []
        self.random = np.random.default_rng(SEED)

    def add(self, rows: npt.NDArray[np.float64]) -> None:
        """Add rows; once there are too many, about half of what was kept is dropped."""
        self.parts.append(rows if self.share == 1 else rows[self.random.random(len(rows)) < self.share])
        while sum(map(len, self.parts)) > self.most:
            kept = self.rows
            self.parts = [kept[self.random.random(len(kept)) < 0.5]]
            self.share /= 2

    @property
    def rows(self) -> npt.NDArray[np.float64]:
        """Return what was kept."""
        return np.concatenate(self.parts)


class Spread:
    """The values of some elements: their range, and a sample of them.

    Parameters
    ----------
    number : int
        Number of elements.
    most : int
        Records to keep in the sample.
    """

    def __init__(self, number: int, most: int) -> None:
        self.least = np.full(number, np.inf)
        self.greatest = np.full(number, -np.inf)
        self.sample = Sample(most)

    def add(self, values: npt.NDArray[np.float64]) -> None:
        """Add values, shape (n, elements), NaN where nothing was measured."""
        finite = np.isfinite(values)
        self.least = np.minimum(self.least, np.where(finite, values, np.inf).min(axis=0))
        self.greatest = np.maximum(self.greatest, np.where(finite, values, -np.inf).max(axis=0))
        self.sample.add(values)


@dataclass
class Track:
    """The records of one key, one after the other: how many, and the steps between them."""

    records: int = 0
    last: np.datetime64 | None = None
    steps: Sample = field(default_factory=lambda: Sample(SAMPLE_STEPS))

    def add(self, times: npt.NDArray[np.datetime64]) -> None:
        """Add the times of further records."""
        whole = times if self.last is None else np.concatenate([[self.last], times])
        self.steps.add(np.diff(whole).astype("timedelta64[ns]").astype(np.float64))
        self.records += len(times)
        self.last = times[-1]


@dataclass(frozen=True)
class Survey:
    """What a first look at records found.

    Parameters
    ----------
    first, last : numpy.datetime64
        Time of the first and of the last record.
    tracks : dict of KeyTexts to Track
        The records of each key.
    values : list of Spread
        Of each of the elements that were asked for.
    """

    first: np.datetime64
    last: np.datetime64
    tracks: dict[KeyTexts, Track]
    values: list[Spread]


def survey_pieces(pieces: Iterable[RecordTable], chosen: Sequence[Elements] = ()) -> Survey:
    """Look at records, at least one, and at the values of some of their elements."""
    most = SAMPLE_VALUES // max(1, sum(len(each.places) for each in chosen))
    values = [Spread(len(each.places), max(most, 100)) for each in chosen]
    tracks: dict[KeyTexts, Track] = {}
    ends: list[np.datetime64] = []
    for records in pieces:
        times = records.times
        ends = [ends[0] if ends else times[0], times[-1]]
        for key, rows in split_by_key(records):
            tracks.setdefault(key, Track()).add(times[rows])
        for summary, each in zip(values, chosen, strict=True):
            summary.add(take_values(records, each))
    return Survey(ends[0], ends[1], tracks, values)


def take_values(records: RecordTable, chosen: Elements) -> npt.NDArray[np.float64]:
    """Return the values of some elements of all records, shape (n, elements); NaN where nothing was measured."""
    values = make_field_column(records, chosen.field, blobs=False).fill_with_nan().reshape(len(records), -1)
    return values[:, list(chosen.places)].astype(np.float64)


def split_by_key(records: RecordTable) -> Iterator[tuple[KeyTexts, slice | npt.NDArray[np.intp]]]:
    """Yield each key of records, with the rows that have it."""
    columns = [column.astype(str) if column.dtype == object else column for column in records.keys.values()]
    codes = np.zeros(len(records), np.int64)
    for column in columns:
        values, numbers = np.unique(column, return_inverse=True)
        codes = codes * len(values) + numbers
    found, places = np.unique(codes, return_index=True)
    for code, place in zip(found, places, strict=True):
        rows = slice(None) if len(found) == 1 else np.flatnonzero(codes == code)
        yield tuple(str(column[place]) for column in columns), rows


def label_keys(data_type: DataType, names: Sequence[str], keys: Iterable[KeyTexts]) -> dict[KeyTexts, str]:
    """Label keys in order, ``station 501``: by the values that differ, or by the main key if it differs as they do."""
    several = sorted(keys, key=lambda each: [(len(text), text) for text in each])
    differing = [place for place in range(len(names)) if len({key[place] for key in several}) > 1]
    main = data_type.placement.node.main_key
    if main in names and len({key[names.index(main)] for key in several}) == len(several) > 1:
        differing = [names.index(main)]
    return {key: ", ".join(f"{names[place]} {key[place]}" for place in differing) for key in several}
