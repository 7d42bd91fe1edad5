"""Packets that are missing: steps of their sequence counts that are not one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from dayfile.messages import plural
from dayfile.stages.base import Frames

__all__ = ["describe_missing"]

COUNTS = 2**14
"""After how many packets a sequence count begins again (CCSDS 133.0-B-2, 4.1.3.4.3)."""


def describe_missing(
    heads: Mapping[str, Any], frames: Frames, offset: int, latest: dict[int, int]
) -> Iterator[tuple[int, str]]:
    """Describe which packets are missing in a block, once for each APID: behind which frame, and what to say.

    Parameters
    ----------
    heads : mapping of str to array
        ``apid`` and ``sequence_count`` of the packets.
    frames : Frames
        The packets.
    offset : int
        Where the block begins in the source.
    latest : dict of int to int
        The latest count of each APID before the block; it is brought up to date.

    Examples
    --------
    >>> frames = Frames(np.zeros(18, np.uint8), np.array([0, 6, 12]), np.array([6, 6, 6]))
    >>> heads = {"apid": np.array([5, 5, 5]), "sequence_count": np.array([1, 2, 5])}
    >>> list(describe_missing(heads, frames, 100, {}))
    [(2, '2 packets of APID 5 are missing, the first before byte 112')]
    """
    apids, counts = heads["apid"], heads["sequence_count"].astype(np.int64)
    for apid in np.unique(apids).tolist():
        places = np.flatnonzero(apids == apid)
        before = np.concatenate([[latest.get(apid, counts[places[0]] - 1)], counts[places[:-1]]])
        lost = (counts[places] - before - 1) % COUNTS
        latest[apid] = int(counts[places[-1]])
        if lost.any():
            place = int(places[np.flatnonzero(lost)[0]])
            total = int(lost.sum())
            are = "is" if total == 1 else "are"
            where = offset + int(frames.starts[place])
            yield place, f"{plural(total, 'packet')} of APID {apid} {are} missing, the first before byte {where}"
