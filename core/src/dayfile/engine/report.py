"""The report of a run: numbers that add up."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dayfile.engine.packed import advise_by_names
from dayfile.errors import StorageError
from dayfile.messages import plural
from dayfile.model.status import Status
from dayfile.plugins import Failure

__all__ = ["Held", "Quarantined", "Report"]

MOST_NAMED = 3
SOURCE_WORDS = ("archived", "already", "quarantined", "held", "left")
STATUS_WORDS = {
    Status.WRITTEN: "written",
    Status.CONFLICT: "overlap",
    Status.IN_CONFLICT: "overlap",
    Status.IDENTICAL: "identical",
}


@dataclass(frozen=True)
class Quarantined:
    """Something that went to quarantine.

    Parameters
    ----------
    source : str
        Name of the source it came from.
    records : int or None
        Number of its records; None for a whole source.
    reason : str
        What is wrong.
    entry : str
        Directory of the entry below the archive root.
    """

    source: str
    records: int | None
    reason: str
    entry: str

    @property
    def message(self) -> str:
        """One line for people."""
        what = "" if self.records is None else f" ({plural(self.records, 'record')})"
        place = "" if self.reason.startswith(self.source) else f"{self.source}: "
        return f"{place}{self.reason}{what} -> {self.entry}"


@dataclass(frozen=True)
class Held:
    """A source that is left in place, and tried again by the next run.

    Parameters
    ----------
    source : str
        Name of the source.
    reason : str
        Why it could not be taken, and what to do.
    """

    source: str
    reason: str

    @property
    def message(self) -> str:
        """One line for people."""
        return f"{self.source}: held: {self.reason}"


@dataclass
class Report:
    """Counts of one run.

    Attributes
    ----------
    sources : dict of str to int
        ``archived``, ``already`` (every record was archived by an earlier run), ``quarantined``, ``held`` (left in
        place and tried again by the next run) and ``left`` (not recognised by the plugins of this run, untouched).
    records : dict of str to dict
        For each data type ``written``, ``identical``, ``overlap`` and ``rejected``.
    quarantine : list of Quarantined
        Entries of the quarantine.
    held : list of Held
        Sources that were held, and the reasons.
    left : list of str
        Names of sources that no plugin of the run recognises.
    left_is_trouble : bool
        Whether any of these was expected to be recognised: all except files found in a given directory.
    failures : list of Failure
        Plugins that did not load, and sources that could not be read.
    remarks : dict of str to int
        Remarks on archived records, and the number of records.
    seconds : float
        How long the run took.
    recovered : bool
        Whether the previous run was interrupted, and this run repaired what it left.
    made : str
        Absolute path of the archive, if the run made it; otherwise empty.
    growing : list of str
        Files in ``incoming/`` that were left for the next run because they were still changing.
    """

    sources: dict[str, int] = field(default_factory=lambda: dict.fromkeys(SOURCE_WORDS, 0))
    records: dict[str, dict[str, int]] = field(default_factory=dict)
    quarantine: list[Quarantined] = field(default_factory=list)
    held: list[Held] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    left_is_trouble: bool = False
    failures: list[Failure] = field(default_factory=list)
    remarks: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    recovered: bool = False
    made: str = ""
    growing: list[str] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic, repr=False)
    paths: set[str] = field(default_factory=set, repr=False)

    def count(self, data_type: str, word: str, number: int) -> None:
        """Add to one count of records."""
        counts = self.records.setdefault(data_type, dict.fromkeys(("written", "identical", "overlap", "rejected"), 0))
        counts[word] += number

    def count_statuses(self, data_type: str, statuses: npt.NDArray[np.uint8], *, sign: int = 1) -> None:
        """Add the statuses that the write hook returned; with the sign -1, subtract them."""
        for status, number in enumerate(np.bincount(statuses, minlength=len(STATUS_WORDS)).tolist()):
            if number:
                self.count(data_type, STATUS_WORDS[Status(status)], sign * number)

    def hold(self, source: str, reason: str, counted: str = "") -> None:
        """Count a source that is left in place, with the reason; ``counted`` is a word that no longer counts it."""
        self.held.append(Held(source, reason))
        self.sources["held"] += 1
        if counted:
            self.sources[counted] -= 1

    def leave(self, source: str, *, trouble: bool) -> None:
        """Count a source that no plugin recognises and that is left in place."""
        self.left.append(source)
        self.left_is_trouble |= trouble
        self.sources["left"] += 1

    @property
    def left_message(self) -> str:
        """One line for people about sources that were left; empty without any."""
        if not self.left:
            return ""
        names = ", ".join(self.left[:MOST_NAMED]) + (", …" if len(self.left) > MOST_NAMED else "")
        what = f"{plural(len(self.left), 'source')} not recognised by the plugins of this run, left in place: {names}"
        return "; ".join(filter(None, (what, advise_by_names(self.left))))

    def note(self, entry: Quarantined) -> None:
        """Add an entry of the quarantine; if its directory is listed, add to its number of records."""
        for place, known in enumerate(self.quarantine):
            if known.entry == entry.entry:
                self.quarantine[place] = replace(known, records=(known.records or 0) + (entry.records or 0))
                return
        self.quarantine.append(entry)

    def remark(self, text: str, number: int) -> None:
        """Add a remark on records."""
        self.remarks[text] = self.remarks.get(text, 0) + number

    def add_published(self, path: str) -> None:
        """Add a published day file."""
        self.paths.add(path)

    @property
    def day_files(self) -> list[str]:
        """Paths below the archive root that were published, sorted."""
        return sorted(self.paths)

    def finish(self) -> None:
        """Set the duration, and sort the counts."""
        self.seconds = round(time.monotonic() - self.started, 3)
        self.records = dict(sorted(self.records.items()))

    @property
    def exit_code(self) -> int:
        """0 if everything was archived, 3 if something was quarantined, held or left, or a plugin failed.

        Unrecognised files in a given directory do not count.
        """
        return 3 if self.quarantine or self.held or self.failures or self.left_is_trouble else 0

    def as_json(self) -> dict[str, Any]:
        """Return the report as plain data."""
        return {
            "sources": self.sources,
            "records": self.records,
            "day_files": self.day_files,
            "quarantine": [vars(entry) for entry in self.quarantine],
            "held": [vars(entry) for entry in self.held],
            "left": self.left,
            "failures": [{"plugin": failure.plugin, "message": failure.message} for failure in self.failures],
            "remarks": self.remarks,
            "recovered": self.recovered,
            "made": self.made,
            "growing": self.growing,
            "seconds": self.seconds,
        }

    def write(self, path: Path) -> None:
        """Write the report as a JSON file; StorageError if that fails."""
        text = json.dumps(self.as_json(), indent=2, ensure_ascii=False) + "\n"
        try:
            path.write_bytes(text.encode(errors="backslashreplace"))  # a name may not be Unicode
        except OSError as error:
            message = f"could not write the report: {error.strerror or error}; the run itself is complete"
            raise StorageError(message, where=path) from error
