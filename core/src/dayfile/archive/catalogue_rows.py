"""The rows of a catalogue: what a day file holds, by data type and key."""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from dayfile.archive.digests import Digest
from dayfile.archive.survey import NodeSummary
from dayfile.model.datatype import DataType
from dayfile.stores.ledger import NO_SOURCES, Chain
from dayfile.stores.nodes import Keys, fill_template, match_keys, parse_key

__all__ = [
    "HOURS",
    "CatalogueRow",
    "KeyCount",
    "Publication",
    "as_number",
    "as_time",
    "find_losses",
    "make_key",
    "make_key_of",
    "make_rows",
]

HOURS = 24
"""Hours of a day; a record in a leap second counts in the last one."""


@dataclass(frozen=True)
class KeyCount:
    """The records of one key of a data type in one day file.

    Parameters
    ----------
    key : str
        The values of the placeholders in the path of the node, as a JSON object in their order; ``{}`` without any.
    records : int
        Number of records, at least 1.
    first, last : numpy.datetime64 or None
        UTC of the earliest time and latest time or end, datetime64[ns].
    hours : array of int, 24
        Number of records by the hour of their time, from the start of the day. Records outside it count in its first
        or last hour.
    """

    key: str
    records: int
    first: np.datetime64 | None
    last: np.datetime64 | None
    hours: array[int]


@dataclass(frozen=True)
class CatalogueRow:
    """One data type in one day file.

    Parameters
    ----------
    path : str
        Path below the archive root.
    data_type : str
        Name of the type.
    day : str
        ISO date.
    records : int
        Number of records.
    first, last : numpy.datetime64 or None
        UTC of the earliest time and latest time or end, datetime64[ns].
    counts : tuple of KeyCount, optional
        Its records by key, in order of the keys; None where they were not read, or are not known.
    """

    path: str
    data_type: str
    day: str
    records: int
    first: np.datetime64 | None
    last: np.datetime64 | None
    counts: tuple[KeyCount, ...] | None = None


@dataclass(frozen=True)
class Publication:
    """The new entry of the catalogue for a day file that was published.

    Parameters
    ----------
    rows : list of CatalogueRow
        What it holds, by type.
    digest : Digest or None
        The digest of its bytes; None where they are not known to be right, and the old digest stays.
    chain : Chain
        How many sources its ledger lists, and which.
    arrivals : tuple of int
        When sources of this publication arrived, nanoseconds since 1970, as far as that is known.
    added : int
        Number of records that are new in it.
    seconds : float
        How long it took to publish it.
    """

    rows: list[CatalogueRow]
    digest: Digest | None
    chain: Chain = NO_SOURCES
    arrivals: tuple[int, ...] = ()
    added: int = 0
    seconds: float = 0.0


def make_rows(path: str, day: str, summaries: Iterable[NodeSummary]) -> list[CatalogueRow]:
    """Make the rows of a day file: one for each data type, over all of its tables."""
    by_type: dict[str, dict[str, list[NodeSummary]]] = {}
    for summary in summaries:
        if summary.data_type is not None:
            key = make_key(summary.data_type.placement.node.path, summary.path)
            by_type.setdefault(summary.data_type.name, {}).setdefault(key, []).append(summary)
    rows = []
    for name, by_key in by_type.items():
        counts = [count_key(key, day, tables) for key, tables in sorted(by_key.items())]
        held = tuple(count for count in counts if count.records)
        records = sum(count.records for count in held)
        rows.append(CatalogueRow(path, name, day, records, *find_span(held), held))
    return rows


def make_key(template: str, path: str) -> str:
    """Make the key of a table: the values of the placeholders in the template of its path, as JSON in their order.

    Examples
    --------
    >>> make_key("/array/telescope_{telescope}/events", "/array/telescope_7/events"), make_key("/rates", "/rates")
    ('{"telescope": 7}', '{}')
    """
    keys = match_keys(template, path) or {}
    return json.dumps({name: parse_key(text) for name, text in keys.items()}, ensure_ascii=False)


def make_key_of(data_type: DataType, keys: Keys) -> str:
    """Make the key of the table to which records of a data type with these keys belong; see :func:`make_key`."""
    template = data_type.placement.node.path
    return make_key(template, fill_template(template, keys))


def count_key(key: str, day: str, summaries: list[NodeSummary]) -> KeyCount:
    """Count the records of one key, over its table and its overlap table."""
    hours = np.zeros(HOURS, np.int64)
    for summary in summaries:
        if summary.first is not None:
            begins = summary.data_type.clock.day_begins if summary.data_type else 0
            since = summary.first.astype("datetime64[h]") - np.datetime64(day, "h") - begins
            places = since.astype(np.int64) + np.arange(len(summary.hours))
            np.add.at(hours, np.clip(places, 0, HOURS - 1), summary.hours)
    records = sum(summary.records for summary in summaries)
    return KeyCount(key, records, *find_span(summaries), array("q", hours.tolist()))


def find_span(parts: Iterable[NodeSummary | KeyCount]) -> tuple[np.datetime64 | None, np.datetime64 | None]:
    """Find the first and the last time of several parts; None where no part has records."""
    spans = [(part.first, part.last) for part in parts if part.first is not None and part.last is not None]
    return min((first for first, _ in spans), default=None), max((last for _, last in spans), default=None)


def find_losses(known: Iterable[CatalogueRow], found: Iterable[CatalogueRow]) -> list[CatalogueRow]:
    """Find the known rows of a day file for whose data types fewer records are found now."""
    records = {row.data_type: row.records for row in found}
    return [row for row in known if records.get(row.data_type, 0) < row.records]


def as_number(time: np.datetime64 | None) -> int | None:
    """Convert a time to nanoseconds since 1970."""
    return None if time is None else int(time.astype("datetime64[ns]").astype(np.int64))


def as_time(number: int | None) -> np.datetime64 | None:
    """Convert nanoseconds since 1970 to a time."""
    return None if number is None else np.datetime64(number, "ns")
