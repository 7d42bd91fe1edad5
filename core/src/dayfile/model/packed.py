"""Packed buffers: items of variable length, such as events, one after another in one field of a record.

A :class:`Packed` says which field is such a buffer, which one counts its items, and what is in front of each item.
:func:`unpack` makes one row of each item.

The length of an item is inside it, in a format of the instrument's own that no layout can declare. So the declaration
alone finds only the first item of a buffer; a function that returns lengths finds them all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from dayfile.errors import UsageError
from dayfile.messages import plural

__all__ = ["HeaderField", "Length", "Packed", "unpack"]

Length: TypeAlias = Callable[[npt.NDArray[np.uint8]], npt.ArrayLike]
"""Return the lengths in bytes, shape (n,), of n items, given the bytes from their first on, shape (n, longest)."""

IntegerArray: TypeAlias = npt.NDArray[np.int64]

COLUMNS = ("record", "number", "offset", "size", "unsplit", "event")
"""Fields of the rows besides those of the record and of the header."""


@dataclass(frozen=True)
class HeaderField:
    """One value in front of each item.

    Parameters
    ----------
    name : str
        Its name in the rows.
    type : str
        A number: ``uint8``, ``int32``, ``float64`` and so on.
    unit, doc : str
        Physical unit and meaning.
    """

    name: str
    type: str
    unit: str = ""
    doc: str = ""


@dataclass(frozen=True)
class Packed:
    """A field that holds items one after another.

    Parameters
    ----------
    field : str
        The buffer: an array of uint8.
    count : str
        The field that says how many items the buffer holds.
    longest : int
        Bytes of the longest possible item, without its header.
    continued : str
        The field that is not 0 if further items of the record are in the next record with the same single values; empty
        if records never continue.
    header : tuple of HeaderField
        The values in front of each item, without gaps.
    byte_order : {'big', 'little'}
        Byte order of the header.
    """

    field: str
    count: str
    longest: int
    continued: str = ""
    header: tuple[HeaderField, ...] = ()
    byte_order: Literal["big", "little"] = "big"

    @property
    def fields(self) -> tuple[str, ...]:
        """Return the names of the record's fields that unpacking needs."""
        return (self.count, self.field, self.continued) if self.continued else (self.count, self.field)

    @cached_property
    def header_dtype(self) -> np.dtype[np.void]:
        """Return the dtype of the header as it is in the buffer.

        Examples
        --------
        >>> Packed("hits", "n_hits", longest=4, header=(HeaderField("delay", "uint16"),)).header_dtype
        dtype([('delay', '>u2')])
        """
        return np.dtype([(field.name, np.dtype(field.type).newbyteorder(self.byte_order)) for field in self.header])

    def stamps(self, dtype: np.dtype[Any]) -> list[str]:
        """Return the names of the other fields with a single value, which say in each row what record it is from."""
        return [name for name in dtype.names or () if not dtype[name].shape and name not in self.fields]

    def row_dtype(self, dtype: np.dtype[Any]) -> np.dtype[np.void]:
        """Return the dtype of the rows that :func:`unpack` makes of records.

        Parameters
        ----------
        dtype : numpy.dtype
            That of the records.
        """
        stamps = [(name, dtype[name]) for name in self.stamps(dtype)]
        header = [(field.name, np.dtype(field.type)) for field in self.header]
        return np.dtype(
            [
                *stamps,
                ("record", "<i8"),
                ("number", "<i4"),
                *header,
                ("offset", "<i4"),
                ("size", "<i4"),
                ("unsplit", "<i4"),
                ("event", "u1", (self.longest,)),
            ]
        )


def unpack(records: npt.NDArray[Any], packed: Packed, length: Length | None = None) -> npt.NDArray[Any]:
    """Make one row of each item in the buffers of records.

    Parameters
    ----------
    records : structured array, shape (n,)
        With the fields that ``packed`` names; the other fields that hold a single value are the stamps of a record.
    packed : Packed
        What the buffers are.
    length : callable, optional
        Returns the lengths of n items, integers of shape (n,), for a uint8 array of shape (n, longest): from the first
        byte of each on, whatever the buffer holds, zero after its end. The header of an item does not count. Called
        once for the first items of all records, once for all second ones, and so on.

    Returns
    -------
    structured array, shape (items,)
        Items in the order of ``records`` and of the buffers. Records with the same stamps come together, a continued
        one before the one that continues it. Fields:

        - the stamps, as in ``records``;
        - ``record``: index in ``records``;
        - ``number``: place of the item, from 0 on. It goes on from a continued record to the next one with the same
          stamps; two records with the same stamps that are not continued both begin at 0;
        - the values of the header, in the byte order of this machine;
        - ``offset``: where in the buffer the first byte of the item is;
        - ``size``: its bytes; -1 if the length is not known;
        - ``unsplit``: items of the record that come after this one and have no row; 0 except on a record's last row;
        - ``event``: uint8, shape (longest,), zero after the end of the item. Where the length is not known, the item
          and then what comes after it, up to the end of the buffer.

    Raises
    ------
    UsageError
        The records lack a field, or the buffer has no room for the longest item; or ``length`` does not return one
        integer for each item.

    Notes
    -----
    Without ``length`` each record with items gives one row, its first item, with ``size`` -1. That item is whole in
    ``event``: if ``unsplit`` is 0, nothing but unused bytes of the buffer can come after it.

    A length that is less than 1, more than ``longest`` or runs over the end of the buffer counts as not known: the item
    is the last row of its record, and ``unsplit`` says how many were to come. It does so as well if the buffer ends
    before as many items as the count says. So rows and ``unsplit`` add up to the count.

    Examples
    --------
    Two events, of 3 and of 1 bytes, each after a byte with its delay, in a format where the first byte is the length:

    >>> cycle = np.zeros(1, [("second", "u4"), ("hits", "u2"), ("buffer", "u1", 12)])
    >>> cycle["second"], cycle["hits"] = 1000, 2
    >>> cycle["buffer"][0, :6] = [200, 3, 11, 12, 17, 1]
    >>> packed = Packed("buffer", "hits", longest=4, header=(HeaderField("delay", "uint8"),))
    >>> rows = unpack(cycle, packed, length=lambda events: events[:, 0])
    >>> rows[["second", "number", "delay", "size"]].tolist()
    [(1000, 0, 200, 3), (1000, 1, 17, 1)]
    >>> rows["event"].tolist()
    [[3, 11, 12, 0], [1, 0, 0, 0]]

    Without a function for lengths the second one cannot be found:

    >>> first = unpack(cycle, packed)
    >>> first[["number", "size", "unsplit"]].tolist(), first["event"].tolist()
    ([(0, -1, 1)], [[3, 11, 12, 17]])
    """
    check_fields(records, packed)
    stamps, in_front = packed.stamps(records.dtype), packed.header_dtype.itemsize
    buffers, numbers = records[packed.field], records[packed.count].astype(np.int64)
    order, first_number = group_cycles(records, stamps, numbers, packed.continued)
    record, number, offset, size = find_items(buffers, numbers, order, packed, length)

    rows = np.zeros(len(record), packed.row_dtype(records.dtype))
    for name in stamps:
        rows[name] = records[name][record]
    rows["record"], rows["number"] = record, first_number[record] + number
    rows["offset"], rows["size"] = offset, size
    if in_front:
        header = take_bytes(buffers, record, offset - in_front, in_front).view(packed.header_dtype)[:, 0]
        for field in packed.header:
            rows[field.name] = header[field.name]
    last = np.flatnonzero(np.diff(record, append=-1))
    rows["unsplit"][last] = (numbers[record] - number - 1)[last]
    rows["event"] = take_bytes(buffers, record, offset, packed.longest)
    used = np.where(size < 0, packed.longest, size)
    rows["event"][np.arange(packed.longest) >= used[:, np.newaxis]] = 0
    return rows


def check_fields(records: npt.NDArray[Any], packed: Packed) -> None:
    """Refuse records without a buffer that can hold an item."""
    missing = [name for name in packed.fields if name not in (records.dtype.names or ())]
    if missing:
        raise UsageError(f"these records have no {' and no '.join(missing)}; give records with the packed buffer")
    size, in_front = records.dtype[packed.field].shape[0], packed.header_dtype.itemsize
    if size < in_front + packed.longest:
        longest = f"an event of up to {plural(packed.longest, 'byte')}, and {in_front} in front,"
        raise UsageError(f"{longest} do not fit into a buffer of {size}")


def group_cycles(
    records: npt.NDArray[Any], stamps: list[str], numbers: IntegerArray, continued: str
) -> tuple[IntegerArray, IntegerArray]:
    """Sort the records, those with the same stamps together: their indexes, and the number of each one's first item."""
    # Repacked, as a selection of fields drags the buffers along when it is sorted.
    from numpy.lib.recfunctions import repack_fields  # imports numpy.ma, which takes long

    _, first, cycle = np.unique(repack_fields(records[stamps]), return_index=True, return_inverse=True)
    cycle = first[cycle]  # the cycles stay in the order in which they come
    flagged = records[continued] != 0 if continued else np.zeros(len(records), bool)
    order = np.lexsort((~flagged, cycle))
    goes_on = np.zeros(len(order), bool)
    goes_on[1:] = (cycle[order][1:] == cycle[order][:-1]) & flagged[order][:-1]
    before = np.cumsum(numbers[order]) - numbers[order]
    begin = np.maximum.accumulate(np.where(goes_on, 0, np.arange(len(order))))
    first_number = np.empty_like(before)
    first_number[order] = before - before[begin]
    return order, first_number


def find_items(
    buffers: npt.NDArray[np.uint8], numbers: IntegerArray, order: IntegerArray, packed: Packed, length: Length | None
) -> tuple[IntegerArray, IntegerArray, IntegerArray, IntegerArray]:
    """Find the items: record, number in it, offset and size of each, record by record in the order given."""
    end, in_front, longest = buffers.shape[1], packed.header_dtype.itemsize, packed.longest
    place = np.flatnonzero(numbers[order] > 0)
    offset = np.full(len(place), in_front)
    found = [np.zeros((4, 0), np.int64)]
    number = 0
    while len(place):
        record = order[place]
        size = np.full(len(place), -1)
        if length is not None:
            answered = ask_lengths(length, take_bytes(buffers, record, offset, longest))
            size = np.where((answered > 0) & (answered <= np.minimum(longest, end - offset)), answered, -1)
        found.append(np.stack([place, np.full(len(place), number), offset, size]))
        number += 1
        following = offset + size + in_front
        more = (size > 0) & (numbers[record] > number) & (following < end)
        place, offset = place[more], following[more]
    items = np.concatenate(found, axis=1)
    place, in_record, offset, size = items[:, np.argsort(items[0], kind="stable")]
    return order[place], in_record, offset, size


def ask_lengths(length: Length, events: npt.NDArray[np.uint8]) -> IntegerArray:
    """Ask for the lengths of items."""
    answered = np.asarray(length(events))
    if answered.shape != (len(events),) or answered.dtype.kind not in "iu":
        wanted, got = f"{plural(len(events), 'integer')}", f"{answered.dtype} of shape {answered.shape}"
        raise UsageError(f"the function for the lengths of events must return {wanted}; it returned {got}")
    return answered.astype(np.int64)


def take_bytes(
    buffers: npt.NDArray[np.uint8], record: IntegerArray, offset: IntegerArray, number: int
) -> npt.NDArray[np.uint8]:
    """Return n bytes of buffers from an offset on, zero after the end of the buffer; shape (items, number)."""
    end = buffers.shape[1]
    # Windows are views: of the buffers only the bytes asked for are copied, and each item at once.
    windows = np.lib.stride_tricks.sliding_window_view(buffers, number, axis=1)
    taken: npt.NDArray[np.uint8] = windows[record, np.minimum(offset, end - number)]
    late = np.flatnonzero(offset > end - number)
    places = offset[late, np.newaxis] + np.arange(number)
    inside = buffers[record[late, np.newaxis], np.minimum(places, end - 1)]
    taken[late] = np.where(places < end, inside, 0)
    return taken
