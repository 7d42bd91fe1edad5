"""Measuring what an archive's directories and its disk hold now, as a program does now and then for its state."""

from __future__ import annotations

import os
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from dayfile.archive.directories import is_visible, scan
from dayfile.archive.entry import read_entry
from dayfile.archive.root import Root
from dayfile.archive.space import measure_space

__all__ = ["MEASURE_SECONDS", "Entries", "Measure", "Measured", "Queue", "find_day"]

MEASURE_SECONDS = 10.0
"""Between two measurements of one program."""
MOST_FILES = 100_000
"""Files of a directory that are counted; where there are more, this number is reported."""
MOST_CAUSES = 20
OTHER_CAUSES = "other causes"
SAMPLE_SECONDS, MOST_SAMPLES = 6 * 3600.0, 56
"""Between two samples of the free disk, and how many are kept: two weeks."""


@dataclass
class Queue:
    """The files in a directory of the archive.

    Parameters
    ----------
    files : int
        How many, at most ``MOST_FILES``.
    oldest : float or None
        When the oldest of them came, seconds since 1970.
    """

    files: int = 0
    oldest: float | None = None


@dataclass
class Entries:
    """The entries of the quarantine.

    Parameters
    ----------
    entries : int
        How many.
    today : dict of str to int
        How many of this UTC day, by plugin and cause.
    """

    entries: int = 0
    today: dict[str, int] = field(default_factory=dict)


@dataclass
class Measured:
    """What a program saw on the disk.

    Parameters
    ----------
    at : float
        When, seconds since 1970.
    free, size : int
        Bytes that may still be written on the file system of the archive, and all bytes of it.
    incoming, accepted : Queue or None
        Sources that wait: not taken yet, and not yet published; None if they may not be listed.
    quarantine : Entries or None
        Its entries; None if they may not be listed.
    samples : list of (float, int)
        Free bytes at earlier times, the oldest first.
    """

    at: float
    free: int
    size: int
    incoming: Queue | None = None
    accepted: Queue | None = None
    quarantine: Entries | None = None
    samples: list[tuple[float, int]] = field(default_factory=list)

    @property
    def days_left(self) -> float | None:
        """Return in how many days the disk will be full at the rate of the last two weeks; None if it does not fill.

        Examples
        --------
        >>> Measured(at=86400.0, free=900, size=2000, samples=[(0.0, 1000)]).days_left
        9.0
        """
        if not self.samples or self.at - self.samples[0][0] < SAMPLE_SECONDS:
            return None
        first, before = self.samples[0]
        used = before - self.free
        return None if used <= 0 else self.free / used * (self.at - first) / 86400


class Measure:
    """Measures one archive again and again; what has not changed since is not read again.

    Parameters
    ----------
    root : Root
        The archive.
    samples : list of (float, int)
        Earlier samples of the free disk.
    """

    def __init__(self, root: Root, samples: list[tuple[float, int]] | None = None) -> None:
        self.root = root
        self.samples = list(samples or ())
        self.causes: dict[str, str] = {}
        self.listed: tuple[int, str, Entries] | None = None

    def __call__(self) -> Measured:
        """Measure now; OSError if the archive's directory cannot be reached."""
        now = time.time()
        disk = measure_space(self.root.path)
        if not self.samples or now - self.samples[-1][0] >= SAMPLE_SECONDS:
            self.samples = [*self.samples, (now, disk.free)][-MOST_SAMPLES:]
        return Measured(
            now,
            disk.free,
            disk.size,
            count_files(self.root.incoming),
            count_files(self.root.accepted),
            self._look_into_quarantine(find_day(now)),
            self.samples,
        )

    def _look_into_quarantine(self, day: str) -> Entries | None:
        """List the quarantine, if an entry came or went since; read the reasons of entries of this day, once each."""
        try:
            changed = self.root.quarantine.stat().st_mtime_ns
            if self.listed is not None and self.listed[:2] == (changed, day):
                return self.listed[2]
            names = [entry.name for entry in scan(self.root.quarantine) if is_visible(entry)]
        except OSError:
            return None
        fresh = [name for name in names if name.startswith(day)]
        self.causes = {name: self.causes[name] for name in fresh if name in self.causes}
        today: Counter[str] = Counter()
        for name in sorted(fresh):
            cause = self._describe_cause(name)
            today[cause if cause in today or len(today) < MOST_CAUSES else OTHER_CAUSES] += 1
        found = Entries(len(names), dict(today))
        self.listed = (changed, day, found)
        return found

    def _describe_cause(self, name: str) -> str:
        """Describe the cause of an entry: its plugin, and its message without what varies."""
        if name not in self.causes:
            if len(self.causes) >= MOST_FILES:
                return OTHER_CAUSES
            plugin, *_, message = read_entry(self.root.quarantine / name).cause
            self.causes[name] = f"{plugin or 'dayfile'}: {message}"
        return self.causes[name]


def find_day(moment: float) -> str:
    """Return the UTC day of a time, as an ISO date.

    Examples
    --------
    >>> find_day(86400.0)
    '1970-01-02'
    """
    return time.strftime("%Y-%m-%d", time.gmtime(moment))


def count_files(directory: Path) -> Queue | None:
    """Count the visible files below a directory, and find the oldest; None if it may not be listed."""
    place = Queue()
    waiting = [os.fspath(directory)]
    while waiting:
        here = waiting.pop()
        try:
            with os.scandir(here) as found:
                for entry in filter(is_visible, found):
                    with suppress(OSError):  # taken meanwhile
                        if entry.is_dir(follow_symlinks=False):
                            waiting.append(entry.path)
                        elif entry.is_file(follow_symlinks=False):
                            place.files += 1
                            came = entry.stat(follow_symlinks=False).st_ctime  # a rename keeps the other times
                            place.oldest = came if place.oldest is None else min(place.oldest, came)
                    if place.files >= MOST_FILES:
                        return place
        except FileNotFoundError:
            continue  # removed meanwhile
        except OSError:
            if here == os.fspath(directory):
                return None
    return place
