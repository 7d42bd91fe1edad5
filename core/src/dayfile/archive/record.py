"""One record of those that were read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from dayfile.model.times import TIME_WORDS

if TYPE_CHECKING:
    from dayfile.archive.records import Records

__all__ = ["Record", "refuse_attribute"]


def refuse_attribute(owner: str, name: str, names: Iterable[str]) -> NoReturn:
    """Raise an AttributeError that says how the time, a field or a key is read, if the name is one."""
    hint = ""
    if name in names:
        hint = f"; write [{name!r}] for the field or key"
    elif name in TIME_WORDS:
        hint = "; write .times" if owner == "Records" else "; write .time"
    raise AttributeError(f"{owner} has no attribute {name!r}{hint}")


class Record(Mapping[str, Any]):
    """One record: a mapping of its keys and fields to their values.

    Parameters
    ----------
    records : Records
        The records that it is one of.
    index : int
        Which one, from 0.
    time : numpy.datetime64, optional
        Its time, if that is known already.

    Examples
    --------
    ``[record.time for record in open_archive("archive").read("muon.hits") if record["energy"] > 5]``
    """

    __slots__ = ("_time", "index", "records")

    def __init__(self, records: Records, index: int, time: np.datetime64 | None = None) -> None:
        self.records = records
        self.index = index
        self._time = time

    @property
    def time(self) -> np.datetime64:
        """Return its UTC time, datetime64[ns]."""
        time: np.datetime64 = self.records[self.index : self.index + 1].times[0] if self._time is None else self._time
        return time

    if not TYPE_CHECKING:  # a type checker would take every name for an attribute

        def __getattr__(self, name: str) -> NoReturn:
            """Say how a field, a key or the time is read."""
            refuse_attribute("Record", name, () if name in self.__slots__ or name[0] == "_" else self.records.names)

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401 - whatever the field holds
        """Return one field or key: a number, text or array of the shape of the field; UsageError for another name."""
        return self.records[name][self.index]

    def __iter__(self) -> Iterator[str]:
        return iter(self.records.names)

    def __len__(self) -> int:
        return len(self.records.names)

    def __repr__(self) -> str:
        values = ", ".join(f"{name}={value}" for name, value in self.items())
        return f"<record of {self.records.data_type.name} at {self.time}: {values}>"

    def blobs(self, name: str) -> list[bytes | None]:
        """Read the blobs of one field; see :meth:`dayfile.Records.blobs`."""
        return self.records.blobs(name, self.index)
