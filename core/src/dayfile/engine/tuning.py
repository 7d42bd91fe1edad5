"""How much a run takes at once, and how much of it may wait."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["DEFAULTS", "Tuning"]


@dataclass(frozen=True)
class Tuning:
    """Bounds that trade speed for memory and open work; what is archived does not depend on them.

    Parameters
    ----------
    group_bytes : int
        Bytes of a group of sources, which are decoded and written together; a group ends with the source that reaches
        them.
    group_sources : int
        Sources of a group at most.
    most_waiting : int
        Day files that may wait for the end of a run, each in the workshop and with some kilobytes of memory; when there
        are more, those that were not written for long are published.
    most_left : int
        With several processes, day files that then wait on: those that were written last.
    block_bytes : int
        With one process, bytes of a source beyond which it is not read whole, and of the blocks it is read in then.
    groups_ahead : int
        With several processes, groups for each worker to decode, so that none waits for work.
    groups_open : int
        With several processes, groups for each worker that are sent and not finished, so that memory is bounded.

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
"""What a run takes if nothing else is asked for."""
