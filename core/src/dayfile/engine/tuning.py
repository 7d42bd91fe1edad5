"""Bounds of a run: how much it takes at once, and how much may wait."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["DEFAULTS", "Tuning"]


@dataclass(frozen=True)
class Tuning:
    """Bounds that trade speed for memory and open work; what is archived does not depend on them.

    Parameters
    ----------
    group_bytes : int
        Size in bytes of a group of sources that are decoded and written together; the source that reaches it is the
        last of its group.
    group_sources : int
        Largest number of sources in a group.
    most_waiting : int
        Largest number of day files that wait for the end of a run, each in the workshop and with some kilobytes of
        memory; beyond it, those that are not open are published.
    most_left : int
        With several processes, number of day files that keep waiting then: those that were written last.
    block_bytes : int
        With one process, size in bytes above which a source is read in blocks, and the size of the blocks.
    groups_ahead : int
        With several processes, number of groups for each worker to decode, so that it always has work.
    groups_open : int
        With several processes, number of unfinished groups for each worker, which bounds the memory.

    Examples
    --------
    >>> Tuning(group_sources=1).group_bytes
    1048576
    """

    group_bytes: int = 2**20
    group_sources: int = 1024
    most_waiting: int = 200
    most_left: int = 50
    block_bytes: int = 16 * 2**20
    groups_ahead: int = 2
    groups_open: int = 6


DEFAULTS = Tuning()
"""The bounds of a run by default."""
