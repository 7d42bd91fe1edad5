"""A disk that is nearly full, or full: the warning before, and waiting until there is room."""

from __future__ import annotations

import logging
from collections.abc import Callable

from dayfile.archive.root import Root
from dayfile.archive.space import Space, list_space, may_be_full
from dayfile.errors import StorageError
from dayfile.messages import format_size
from dayfile.settings import CoreSettings

__all__ = ["FullDisk", "warn_when_low"]

LONGEST_PAUSE = 300.0
"""Seconds between two tries where the disk has room by the numbers, and writing fails all the same."""

logger = logging.getLogger(__name__)


def measure_all(root: Root) -> list[Space]:
    """Measure the file systems on which an archive writes: its own, and those of day files elsewhere."""
    return list_space([root.path, *root.find_elsewhere()])


def find_low(root: Root, least_free: int) -> str:
    """Find a file system that has less room than it should, and describe it; empty if none has."""
    for space in measure_all(root):
        if space.free < least_free or not space.takes_files:
            left = f"{format_size(space.free)} free" if space.takes_files else "no room for the name of another file"
            return f"{space.path}: {left}; disk.least_free is {format_size(least_free)}"
    return ""


def warn_when_low(root: Root, least_free: int, before: str = "") -> str:
    """Log once that a disk is nearly full, and once that it is not any more.

    Parameters
    ----------
    root : Root
        The archive.
    least_free : int
        Bytes that should be free; 0: only a full disk is low.
    before : str
        What was low at the last call.

    Returns
    -------
    str
        What is low now, for people; empty if there is room enough.
    """
    low = find_low(root, least_free)
    if low and not before:
        logger.warning("the disk is nearly full: %s", low)
    elif before and not low:
        logger.warning("%s: there is room again", root.path)
    return low


class FullDisk:
    """Decides whether a watch waits for room on disk, and for how long.

    Parameters
    ----------
    root : Root
        The archive.
    core : CoreSettings
        ``disk.wait``, ``disk.least_free`` and ``watch.rescan``.

    Attributes
    ----------
    waiting : str
        What the watch waits for, for people; empty while it works.
    """

    def __init__(self, root: Root, core: CoreSettings) -> None:
        self.root = root
        self.core = core
        self.waiting = ""
        self.pause = core.watch_rescan

    def is_cause_of(self, error: Exception) -> bool:
        """Return whether a watch ended because its disk is full, and waits; see :func:`may_be_full`."""
        try:
            self.root.check_there()
        except StorageError:
            return False  # it is unmounted, and the disk below its mount point does not matter
        return self.core.disk_wait and may_be_full(error, measure_all(self.root))

    def wait_for_room(self, error: Exception, sleep: Callable[[float], bool]) -> bool:
        """Wait until as much is free as should be, and longer each time, as an error may not depend on it.

        Parameters
        ----------
        error : Exception
            What ended the watch.
        sleep : callable
            Sleeps for seconds; returns False if the watch has to stop.

        Returns
        -------
        bool
            Whether to go on; False if the watch has to stop.
        """
        low = find_low(self.root, self.core.disk_least_free)
        pause, self.pause = self.pause, min(2 * self.pause, LONGEST_PAUSE)
        when = f" ({low})" if low else f"; trying again in {pause:g} s"
        self.waiting = f"the disk is full; the watch goes on when there is room{when}"
        logger.warning("%s", error)
        logger.warning("%s", self.waiting)
        goes_on = sleep(pause)
        while goes_on and find_low(self.root, self.core.disk_least_free):
            goes_on = sleep(self.core.watch_rescan)
        self.waiting = ""
        if goes_on:
            logger.warning("%s: there is room again; the watch goes on", self.root.path)
        return goes_on

    def note_success(self) -> None:
        """Note that a day file was published since: the next pause is short again."""
        self.pause = self.core.watch_rescan
