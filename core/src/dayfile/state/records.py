"""What a program of an archive says of itself: the engine that writes day files, and each receiver.

Times are seconds since 1970.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from dayfile.state.measuring import Measured
from dayfile.state.processes import ProcessId

__all__ = [
    "BEAT_SECONDS",
    "LATE_SECONDS",
    "SLOWEST",
    "EngineCommand",
    "EngineState",
    "LastError",
    "Published",
    "ReceiverState",
    "Refusals",
]

BEAT_SECONDS = 5.0
"""Between two signs of life of a program that has nothing to do."""
LATE_SECONDS = 120.0
"""After which a program without a sign of life hangs, unless it works on something large."""
SLOWEST = 2e6
"""Bytes a second at which a day file is opened or published at least, on a slow disk."""

EngineCommand = Literal["run", "watch", "put", "rebuild"]


@dataclass
class LastError:
    """The last error of a program.

    Parameters
    ----------
    at : float
        When.
    message : str
        In one line.
    """

    at: float
    message: str


@dataclass
class Published:
    """Day files that a program has published.

    Parameters
    ----------
    day_files : int
        Day files, each counted once.
    publications : int
        How often one was put in place.
    records, bytes : int
        Records that were new in them, and the bytes that were written.
    last : float or None
        When the last one was put in place.
    path : str
        Its path below the archive.
    """

    day_files: int = 0
    publications: int = 0
    records: int = 0
    bytes: int = 0
    last: float | None = None
    path: str = ""


@dataclass
class EngineState:
    """What the engine does: the one program that writes day files, or the last one that did.

    Parameters
    ----------
    process : ProcessId
        Which process it is.
    version : str
        Of this program.
    command : {'run', 'watch', 'put', 'rebuild'}
        What it was started for.
    since, beat : float
        When it was started, and its last sign of life.
    doing : str
        What it is doing.
    patience : float
        Seconds that this may take without a sign of life.
    waits_for : str
        What somebody has to bring about before it goes on, such as room on the disk; empty while it works.
    ended : float or None
        When it ended by itself; None while it works, and of one that was killed.
    failed : str
        The error that ended it.
    taken : int
        Sources that it took.
    last_taken : float or None
        When it last took one.
    sources : dict of str to int
        What became of them, as in the report of a run.
    queued, waiting : int
        Sources that a watch has found and not taken, and those that it took and whose day files are not all published.
    unpublished_since : float or None
        Arrival of the oldest source that readers do not see yet.
    published : Published
        What it published.
    troubles : int
        Failures, held sources and quarantine entries.
    last_error : LastError or None
        The last of them.
    low : str
        Which disk has less room than it should, and how much; empty if all have enough.
    unsettled : list of str
        What each further run will meet again: plugins that do not load, and sources that are held.
    measured : Measured or None
        Disk, queue and quarantine, as it last saw them.
    place : str
        Which directory it works on, see :func:`dayfile.archive.identity.identify_place`.
    """

    process: ProcessId
    version: str
    command: EngineCommand
    since: float
    beat: float
    doing: str = "starting"
    patience: float = LATE_SECONDS
    waits_for: str = ""
    ended: float | None = None
    failed: str = ""
    taken: int = 0
    last_taken: float | None = None
    sources: dict[str, int] = field(default_factory=dict)
    queued: int = 0
    waiting: int = 0
    unpublished_since: float | None = None
    published: Published = field(default_factory=Published)
    troubles: int = 0
    last_error: LastError | None = None
    low: str = ""
    unsettled: list[str] = field(default_factory=list)
    measured: Measured | None = None
    place: str = ""


@dataclass
class Refusals:
    """Uploads that were refused for one reason.

    Parameters
    ----------
    number : int
        How many.
    last : float
        When the last one was.
    """

    number: int = 0
    last: float = 0.0


@dataclass
class ReceiverState:
    """What one process of a receiver has received on one day.

    Parameters
    ----------
    process : ProcessId
        Which process it is.
    version : str
        Of this program.
    since, beat : float
        When it was started, and its last sign of life.
    regular : bool
        Whether it gives a sign of life every few seconds, and not with uploads only.
    address : str
        Where it listens; empty if it does not know.
    ended : float or None
        When it ended by itself.
    day : str
        The UTC day that the counts are of, as an ISO date.
    stored, bytes : int
        Uploads that were stored, and their bytes.
    last_stored : float or None
        When the last one was stored.
    refused : dict of str to Refusals
        Uploads that were not stored, by the reason.
    last_error : LastError or None
        The last upload that could not be stored through a fault of this machine.
    measured : Measured or None
        Disk, queue and quarantine, as it last saw them.
    place : str
        Which directory it works on, as of an engine.
    """

    process: ProcessId
    version: str
    since: float
    beat: float
    regular: bool = True
    address: str = ""
    ended: float | None = None
    day: str = ""
    stored: int = 0
    bytes: int = 0
    last_stored: float | None = None
    refused: dict[str, Refusals] = field(default_factory=dict)
    last_error: LastError | None = None
    measured: Measured | None = None
    place: str = ""

    def begin_day(self, day: str) -> None:
        """Count from 0 if another day has begun."""
        if self.day != day:
            self.day, self.stored, self.bytes, self.refused = day, 0, 0, {}
