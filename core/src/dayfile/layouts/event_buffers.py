"""Events out of the buffers that cycles carry: one row an event.

A cycle of an instrument sends its events one after another in one buffer. Facts of such structs:

- ``NumberEvents`` says how many events the buffer holds. In front of each stand two bytes: its age in cycles, and the
  minor frame in which its first byte was sent.
- ``ContinuationFlag`` is set when further events of the cycle are in the following struct. 0 is taken for "not set";
  only what the set flag means is stated.
- How long an event is stands inside it, in a format that is the instrument's own. So only the first event of a buffer
  can be found by these facts alone; whoever knows the format gives a function that tells lengths, and gets them all.

What else might tell lengths does not: of ``NumberNormalEventBytes`` it is not stated which element stands for which
cycle, nor whether the two bytes count; and it is not stated that a buffer is zero behind its last event.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from numpy.lib.recfunctions import repack_fields

from dayfile.errors import UsageError
from dayfile.messages import plural

__all__ = ["Length", "open_buffers"]

Length: TypeAlias = Callable[[npt.NDArray[np.uint8]], npt.ArrayLike]
"""Lengths in bytes, shape (n,), of n events by what their buffers hold from their first byte on, shape (n, longest)."""

Integers: TypeAlias = npt.NDArray[np.int64]

IN_FRONT = 2
OF_THE_BUFFER = ("NumberEvents", "EventBuffer", "ContinuationFlag")
OF_THE_EVENT = [
    ("record", "<i8"),
    ("number", "<i4"),
    ("age", "u1"),
    ("minor_frame", "u1"),
    ("offset", "<i4"),
    ("size", "<i4"),
    ("unsplit", "<i4"),
]


def open_buffers(records: npt.NDArray[Any], *, longest: int, length: Length | None = None) -> npt.NDArray[Any]:
    """Open the event buffers of cycles.

    Parameters
    ----------
    records : structured array, shape (n,)
        One struct each, with ``NumberEvents``, ``EventBuffer`` (uint8, shape (size,)) and ``ContinuationFlag``; the
        other fields that hold a single value are the stamps of the cycle.
    longest : int
        Bytes of the longest event there can be.
    length : callable, optional
        Tells the lengths of n events from a uint8 array of shape (n, longest): from the first byte of each on, whatever
        the buffer holds, zero behind its end. The bytes in front of an event do not count. It is called once for the
        first events of all structs, once for all second ones, and so on.

    Returns
    -------
    structured array, shape (events,)
        Structs in the order of ``records``, those of one cycle together, the continued before what continues them;
        events in the order of the buffer. Fields:

        - the stamps of the cycle, as in ``records``;
        - ``record``: index in ``records``;
        - ``number``: place of the event in its cycle, from 0 on. It goes on from a struct with the flag set to the next
          one with the same stamps; two structs with the same stamps and no flag both begin at 0;
        - ``age`` in cycles, ``minor_frame``: the two bytes in front of the event;
        - ``offset``: where in the buffer its first byte is;
        - ``size``: its bytes; -1 if the length is not known;
        - ``unsplit``: events of the struct that come behind this one and have no row; 0 but on a struct's last row;
        - ``event``: uint8, shape (longest,), zero behind the end of the event. Where the length is not known, the event
          and then what comes behind it, up to the end of the buffer.

    Raises
    ------
    UsageError
        The records are no event cycles, or the buffer has no room for the longest event; or ``length`` does not return
        one integer for each event.

    Notes
    -----
    Without ``length`` each struct with events gives one row, its first event, with ``size`` -1. That event is whole in
    ``event``: if ``unsplit`` is 0, nothing but unused bytes of the buffer can come behind it.

    A length that is less than 1, more than ``longest`` or runs over the end of the buffer is one that is not known: the
    event is the last row of its struct, and ``unsplit`` says how many were to come. It does so as well if the buffer
    ends before as many events as ``NumberEvents`` says. So rows and ``unsplit`` add up to ``NumberEvents``.

    Examples
    --------
    Two events, of 3 and of 1 bytes, in a format where the first byte is the length:

    >>> fields = [("Second", "u4"), ("NumberEvents", "u2"), ("EventBuffer", "u1", 12), ("ContinuationFlag", "u1")]
    >>> cycle = np.zeros(1, fields)
    >>> cycle["Second"], cycle["NumberEvents"] = 1000, 2
    >>> cycle["EventBuffer"][0, :8] = [0, 200, 3, 11, 12, 1, 17, 1]
    >>> opened = open_buffers(cycle, longest=4, length=lambda events: events[:, 0])
    >>> opened[["Second", "number", "age", "minor_frame", "size"]].tolist()
    [(1000, 0, 0, 200, 3), (1000, 1, 1, 17, 1)]
    >>> opened["event"].tolist()
    [[3, 11, 12, 0], [1, 0, 0, 0]]

    Without a function for lengths the second one cannot be found:

    >>> first = open_buffers(cycle, longest=4)
    >>> first[["number", "size", "unsplit"]].tolist(), first["event"].tolist()
    ([(0, -1, 1)], [[3, 11, 12, 1]])
    """
    check_fields(records, longest)
    stamps = [name for name in records.dtype.names or () if not records.dtype[name].shape and name not in OF_THE_BUFFER]
    buffers, numbers = records["EventBuffer"], records["NumberEvents"].astype(np.int64)
    order, first_number = in_cycles(records, stamps, numbers)
    record, number, offset, size = split(buffers, numbers, order, longest, length)

    carried = [(name, records.dtype[name]) for name in stamps]
    rows = np.zeros(len(record), [*carried, *OF_THE_EVENT, ("event", "u1", (longest,))])
    for name in stamps:
        rows[name] = records[name][record]
    rows["record"], rows["number"] = record, first_number[record] + number
    rows["offset"], rows["size"] = offset, size
    rows["age"], rows["minor_frame"] = buffers[record, offset - IN_FRONT], buffers[record, offset - 1]
    last = np.flatnonzero(np.diff(record, append=-1))
    rows["unsplit"][last] = (numbers[record] - number - 1)[last]
    rows["event"] = bytes_from(buffers, record, offset, longest)
    rows["event"][np.arange(longest) >= np.where(size < 0, longest, size)[:, np.newaxis]] = 0
    return rows


def check_fields(records: npt.NDArray[Any], longest: int) -> None:
    """Refuse records without a buffer that can hold an event."""
    missing = [name for name in OF_THE_BUFFER if name not in (records.dtype.names or ())]
    if missing:
        raise UsageError(f"these records have no {' and no '.join(missing)}; give the records of event cycles")
    size = records.dtype["EventBuffer"].shape[0]
    if size < IN_FRONT + longest:
        raise UsageError(
            f"an event of up to {plural(longest, 'byte')}, and two in front, do not fit into a buffer of {size}"
        )


def in_cycles(records: npt.NDArray[Any], stamps: list[str], numbers: Integers) -> tuple[Integers, Integers]:
    """Indexes of the structs, those of one cycle together; and for each struct the number of its first event."""
    # Repacked, as a selection of fields drags the buffers along when it is sorted.
    _, first, cycle = np.unique(repack_fields(records[stamps]), return_index=True, return_inverse=True)
    cycle = first[cycle]  # the cycles stay in the order in which they come
    continued = records["ContinuationFlag"] != 0
    order = np.lexsort((~continued, cycle))
    goes_on = np.zeros(len(order), bool)
    goes_on[1:] = (cycle[order][1:] == cycle[order][:-1]) & continued[order][:-1]
    before = np.cumsum(numbers[order]) - numbers[order]
    begin = np.maximum.accumulate(np.where(goes_on, 0, np.arange(len(order))))
    first_number = np.empty_like(before)
    first_number[order] = before - before[begin]
    return order, first_number


def split(
    buffers: npt.NDArray[np.uint8], numbers: Integers, order: Integers, longest: int, length: Length | None
) -> tuple[Integers, Integers, Integers, Integers]:
    """Find the events: struct, number in it, offset and size of each, struct by struct in the order given."""
    end = buffers.shape[1]
    place = np.flatnonzero(numbers[order] > 0)
    offset = np.full(len(place), IN_FRONT)
    found = [np.zeros((4, 0), np.int64)]
    number = 0
    while len(place):
        record = order[place]
        size = np.full(len(place), -1)
        if length is not None:
            told = lengths(length, bytes_from(buffers, record, offset, longest))
            size = np.where((told > 0) & (told <= np.minimum(longest, end - offset)), told, -1)
        found.append(np.stack([place, np.full(len(place), number), offset, size]))
        number += 1
        following = offset + size + IN_FRONT
        more = (size > 0) & (numbers[record] > number) & (following < end)
        place, offset = place[more], following[more]
    events = np.concatenate(found, axis=1)
    place, in_struct, offset, size = events[:, np.argsort(events[0], kind="stable")]
    return order[place], in_struct, offset, size


def lengths(length: Length, events: npt.NDArray[np.uint8]) -> Integers:
    """Ask for the lengths of events."""
    told = np.asarray(length(events))
    if told.shape != (len(events),) or told.dtype.kind not in "iu":
        wanted, got = f"{plural(len(events), 'integer')}", f"{told.dtype} of shape {told.shape}"
        raise UsageError(f"the function that tells the lengths of events is to return {wanted}; it returned {got}")
    return told.astype(np.int64)


def bytes_from(
    buffers: npt.NDArray[np.uint8], record: Integers, offset: Integers, longest: int
) -> npt.NDArray[np.uint8]:
    """So many bytes of buffers from an offset on, zero behind the end of the buffer; shape (n, longest)."""
    end = buffers.shape[1]
    # Windows are views: of the buffers only the bytes asked for are copied, and each event at once.
    windows = np.lib.stride_tricks.sliding_window_view(buffers, longest, axis=1)
    taken: npt.NDArray[np.uint8] = windows[record, np.minimum(offset, end - longest)]
    late = np.flatnonzero(offset > end - longest)
    places = offset[late, np.newaxis] + np.arange(longest)
    inside = buffers[record[late, np.newaxis], np.minimum(places, end - 1)]
    taken[late] = np.where(places < end, inside, 0)
    return taken
