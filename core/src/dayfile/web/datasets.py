"""The datasets of an archive: each data type, and each value of its main key, with what a client calls it."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import numpy as np

from dayfile.archive.description import Key, Total
from dayfile.archive.finding import UnreadableTypeError
from dayfile.archive.inventory import Inventory
from dayfile.archive.question import list_key_names
from dayfile.model.datatype import DataType
from dayfile.web.codes import RequestError

__all__ = ["Dataset", "find_dataset", "list_datasets"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Dataset:
    """Records of a data type, of all its keys or of one value of the main key.

    Parameters
    ----------
    data_type : DataType
        What they are, as the newest day file declares it.
    key : dict
        The keys that all of them have, as :meth:`dayfile.Archive.read` takes them; empty for the whole type.
    totals : tuple of Total
        What there is of each key; at least one.
    """

    data_type: DataType
    key: Key
    totals: tuple[Total, ...] = field(repr=False)

    @property
    def id(self) -> str:
        """Return what clients call it.

        What is neither a letter, a digit, ``_``, ``.`` nor ``-`` in values of keys is written as ``~20``: so an id is
        the same in a URL, also if it is decoded twice.
        """
        return "/".join([self.data_type.name, *(encode_key(value) for value in self.key.values())])

    @property
    def title(self) -> str:
        """Return one line for people."""
        keys = ", ".join(f"{name} {value}" for name, value in self.key.items())
        title = self.data_type.title or self.data_type.name
        return f"{title} ({keys})" if keys else title

    @property
    def free_keys(self) -> list[str]:
        """Return the names of the keys in which its records may differ."""
        return [name for name in list_key_names(self.data_type) if name not in self.key]

    @property
    def arguments(self) -> dict[str, Any]:
        """Return the keys as arguments of a function that reads."""
        return dict(self.key)

    @property
    def is_listed(self) -> bool:
        """Return whether its records are of one series, so that it belongs into the catalog."""
        return bool(self.key) or not self.free_keys

    @property
    def records(self) -> int:
        """Return the number of records."""
        return sum(total.records for total in self.totals)

    @property
    def first(self) -> np.datetime64:
        """Return the earliest time."""
        return min(total.first for total in self.totals)

    @property
    def last(self) -> np.datetime64:
        """Return the latest time or end."""
        return max(total.last for total in self.totals)

    @property
    def days(self) -> tuple[dt.date, dt.date]:
        """Return the days of the first and of the last time."""
        first, last = (time.astype("datetime64[D]").astype(object) for time in (self.first, self.last))
        return first, last


def encode_key(value: str | int) -> str:
    """Write the value of a key without characters that mean something in a URL.

    Examples
    --------
    >>> encode_key("a b"), encode_key("50~60%")
    ('a~20b', '50~7E60~25')
    """
    return quote(str(value), safe="").replace("~", "%7E").replace("%", "~")


def list_datasets(archive: Inventory) -> Iterator[Dataset]:
    """Yield the datasets of an archive, in order of types and keys, without types of which no day file can be read."""
    for name in archive.types():
        try:
            yield from list_type_datasets(archive, name)
        except UnreadableTypeError as error:
            logger.error("no dataset of %s: %s", name, error)  # noqa: TRY400 - what is wrong with the files is no bug


def list_type_datasets(archive: Inventory, name: str) -> Iterator[Dataset]:
    """Yield the datasets of a type: all of it, then those of its keys. None if it has no records."""
    totals = archive.totals(name)
    if not totals:
        return
    data_type = archive.finder.find_newest(name)
    yield Dataset(data_type, {}, tuple(totals))
    main = data_type.placement.node.main_key
    chosen = [main] if main else list_key_names(data_type)
    if not chosen:
        return
    groups: dict[tuple[str | int, ...], list[Total]] = {}
    for total in totals:
        groups.setdefault(tuple(total.key[each] for each in chosen), []).append(total)
    for values, group in groups.items():
        yield Dataset(data_type, dict(zip(chosen, values, strict=True)), tuple(group))


def find_dataset(archive: Inventory, wanted: str) -> Dataset:
    """Find a dataset by its id.

    Raises
    ------
    RequestError
        No dataset has this id.
    """
    name = wanted.partition("/")[0]
    there = list_type_datasets(archive, name) if name in archive.types() else ()
    found = next((dataset for dataset in there if dataset.id == wanted), None)
    if found is None:
        raise RequestError(1406)
    return found
