"""Short ranges that show what a dataset holds."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from dayfile.archive.exporting import select_records
from dayfile.errors import StorageError
from dayfile.plots.curves import guess_fields
from dayfile.web.datasets import Dataset, list_datasets
from dayfile.web.moments import choose_digits, format_hapi_time
from dayfile.web.parameters import choose_names

if TYPE_CHECKING:
    from dayfile.api import Archive

__all__ = ["Example", "choose_example", "choose_sample"]

SAMPLE_RECORDS = 1000
SAMPLE_BYTES_READ = 2**20
"""The most records of a sample, and the most bytes as they are stored."""
logger = logging.getLogger(__name__)

MILLISECOND, MILLISECOND_DIGITS = 1_000_000, 3


def choose_sample(archive: Archive, dataset: Dataset, digits: int) -> tuple[str, str] | None:
    """Choose a range of the newest day, of which each record has a time of its own, to the millisecond.

    Clients that check a server expect that, though HAPI does not require it.

    Returns
    -------
    (str, str) or None
        Start and stop; None if the newest day has no records any more, or cannot be read.
    """
    data_type = dataset.data_type
    days = archive.days(data_type.name, **dataset.arguments)
    if not len(days):
        return None
    day = days[-1]
    selection = select_records(archive, data_type.name, day, day + 1, fields=[], **dataset.arguments)
    try:
        records = next(iter(selection.read()), None)
    except StorageError as error:  # of other days there are records
        logger.error("no sample of %s: %s", dataset.id, error)  # noqa: TRY400 - what is wrong with the file is no bug
        return None
    if records is None:
        return None
    times = records.times.astype(np.int64)
    most = min(SAMPLE_RECORDS, max(1, SAMPLE_BYTES_READ // max(1, data_type.dtype.itemsize)))
    first, last = find_longest_run(find_unique(times // MILLISECOND), most)
    start, stop = (np.datetime64(int(times[place]), "ns") for place in (first, last))
    digits = min(digits, MILLISECOND_DIGITS)
    return format_hapi_time(start, digits), format_hapi_time(stop, digits, after=True)


@dataclass(frozen=True)
class Example:
    """What is read to show how.

    Parameters
    ----------
    dataset : str
        Its id.
    parameter : str
        One that looks like a measurement; empty if none does.
    start, stop : str
        A short range with records.
    """

    dataset: str
    parameter: str
    start: str
    stop: str


def choose_example(archive: Archive) -> Example | None:
    """Choose what to read to show how; None in an empty archive. Datasets with a measurement go first."""
    listed = [dataset for dataset in list_datasets(archive) if dataset.is_listed]
    for dataset in sorted(listed, key=lambda each: not guess_fields(each.data_type)):
        if sample := choose_sample(archive, dataset, choose_digits(dataset.data_type)):
            names = choose_names([*dataset.free_keys, *(field.name for field in dataset.data_type.fields)])
            parameter = next((names[name] for name in guess_fields(dataset.data_type)), "")
            return Example(dataset.id, parameter, *sample)
    return None


def find_unique(values: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Find the values, in order, that no neighbour has, shape (n,)."""
    same = np.diff(values) == 0
    unique: npt.NDArray[np.bool_] = ~(np.append(same, False) | np.append(False, same))
    return unique


def find_longest_run(wanted: npt.NDArray[np.bool_], most: int) -> tuple[int, int]:
    """Return the first and the last place of the longest run, cut to a number of places; the first place without any.

    Examples
    --------
    >>> find_longest_run(np.array([True, False, True, True, True]), most=2)
    (2, 3)
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[False], wanted, [False]]).astype(np.int8)))
    if not len(edges):
        return 0, 0
    starts, stops = edges[::2], edges[1::2]
    longest = int(np.argmax(stops - starts))
    first = int(starts[longest])
    return first, min(int(stops[longest]), first + most) - 1
