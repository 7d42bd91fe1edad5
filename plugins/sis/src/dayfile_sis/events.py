"""Unpack the events of event cycles, under the name used before :meth:`dayfile.Records.unpack` existed."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

from dayfile import Records
from dayfile.errors import UsageError
from dayfile.model.packed import Length, unpack
from dayfile_sis import instrument

__all__ = ["events"]


def events(records: Records | npt.NDArray[Any], length: Length | None = None) -> npt.NDArray[Any]:
    """Make one row of each event in the buffers of cycles: ``records.unpack("EventBuffer", length)``.

    It also accepts an array, and day files written before they declared their packed buffers. It will be removed in a
    later version.

    Parameters
    ----------
    records : Records or structured array, shape (n,)
        Of ``sis.events``.
    length : callable, optional
        Returns the lengths of n compressed events from a uint8 array of shape (n, MAX_NUM_SIS_EVENT_BYTES): what the
        buffer holds from the first byte of each event on. An event has its length inside, at a place that the C headers
        of the layout do not give. Without such a function only the first event of each struct can be found.

    Returns
    -------
    structured array, shape (events,)
        ``ClockCycle`` (s), ``Second1996`` (s), ``microsecond`` (us) of the cycle; ``record``, ``number``, ``age``
        (cycles), ``minor_frame``, ``offset``, ``size`` (bytes, -1 if not known), ``unsplit``, ``event`` (uint8, shape
        (MAX_NUM_SIS_EVENT_BYTES,)): see :func:`dayfile.model.packed.unpack`.

    Raises
    ------
    UsageError
        The records are not event cycles of this instrument; or ``length`` does not return an integer for each event.

    Examples
    --------
    >>> import numpy as np
    >>> cycle = np.zeros(1, instrument.layout.by_code()["L1SisEventCycle"].dtype)
    >>> cycle["NumberEvents"] = 2
    >>> cycle["EventBuffer"][0, :9] = [0, 200, 3, 11, 12, 1, 17, 2, 21]
    >>> events(cycle)[["age", "minor_frame", "size", "unsplit"]].tolist()
    [(0, 200, -1, 1)]
    >>> events(cycle, length=lambda first: first[:, 0])[["age", "minor_frame", "size", "unsplit"]].tolist()
    [(0, 200, 3, 0), (1, 17, 2, 0)]
    """
    if isinstance(records, Records) and records.data_type.instrument != instrument.layout.words.instrument:
        raise UsageError(f"{records.data_type.name} is another instrument's; give records of sis.events")
    cycles = records.array if isinstance(records, Records) else records
    [packed] = [data_type.packed for data_type in instrument.layout.types if data_type.packed]
    return unpack(cycles, packed, length)
