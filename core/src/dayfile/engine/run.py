"""A run: take sources, publish their day files, and release the sources, in that order."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

from dayfile.archive import disk
from dayfile.archive.attempts import Attempts
from dayfile.archive.root import Root
from dayfile.archive.sources import store_source
from dayfile.engine.accepting import give_back, release, remove_numbered
from dayfile.engine.day_files import DayFiles
from dayfile.engine.intake import Arrival
from dayfile.engine.pipeline import Conclusion, Pipeline, Received, make_source
from dayfile.engine.reading import NO_ROOM, LargeSource, Read, State, Unread, read_source
from dayfile.engine.report import Held, Quarantined
from dayfile.engine.shares import Setback
from dayfile.engine.trials import find_deadly
from dayfile.engine.tuning import DEFAULTS
from dayfile.engine.unrecognised import Left, explain_unrecognised, leaves_unrecognised
from dayfile.errors import HeldError, StorageError
from dayfile.messages import format_size, plural, printable
from dayfile.model.batch import Source
from dayfile.plugins import Failure
from dayfile.state.records import EngineState

__all__ = ["Run"]

FIRST_BYTES = 512
"""Bytes at the start of an unrecognised source in which the signs of a compressed file are looked for."""
MOST_UNSETTLED = 20
"""Plugins that do not load and sources that are held which the state names."""
TRIAL = "trial-"
"""Prefix of the names of work files that are written by trials."""


class Waiting(NamedTuple):
    """A source whose day files are not all published yet.

    Parameters
    ----------
    arrival : Arrival
        The source.
    state : State or None
        The state of the file that was read; None if the present file was not read.
    counted : str
        The word under which the report counts it; empty if it is not counted.
    day_files : set of str
        The day files for which it waits.
    """

    arrival: Arrival
    state: State | None
    counted: str
    day_files: set[str]


def describe_group(group: Sequence[Arrival]) -> tuple[str, int]:
    """Describe what is taken, and the bytes of a single source, which may be large."""
    if len(group) > 1:
        return f"taking {plural(len(group), 'source')}", 0
    size = 0
    with suppress(OSError):  # it is reported when it is read
        size = group[0].path.stat().st_size
    return f"taking {printable(group[0].path.name)} ({format_size(size)})", size


class Run:
    """A run on an archive, in the archive's lock; made by :func:`start_run`.

    Parameters
    ----------
    root : Root
        The archive.
    pipeline : Pipeline
        The steps from sources to day files.
    block_bytes : int
        Size in bytes above which a source is read in blocks.

    Attributes
    ----------
    observers : list of callable
        Called with the message of each failure, held source and quarantine entry, and of sources that are left, such as
        a log: the report itself is shown at the end, which of a watch may be years later.
    low : str
        What disk is nearly full, for people; empty if there is room enough.
    """

    def __init__(self, root: Root, pipeline: Pipeline, block_bytes: int = DEFAULTS.block_bytes) -> None:
        self.block_bytes = block_bytes
        self.root = root
        self.pipeline = pipeline
        self.report = pipeline.report
        self.recorder = pipeline.recorder
        self.sources_before = dict(self.recorder.state.sources)
        self.recorder.complete.append(self._complete_state)
        self.noted: dict[str, int] = {}
        self.observers: list[Callable[[str], None]] = []
        self.waiting: list[Waiting] = []
        self.setbacks: dict[str, Setback] = {}
        self.held: dict[Path, str] = {}
        self.attempts = Attempts(root)
        self.skipped: set[Path] = set()
        self.leaves = {
            incoming: leaves_unrecognised(pipeline.plugins, pipeline.settings, incoming=incoming)
            for incoming in (True, False)
        }
        self.left = Left(root, pipeline.plugins)
        self.known_left: set[Path] = set()
        self.low = ""

    def take(self, group: Sequence[Arrival]) -> None:
        """Archive a group of sources, and list it as attempted meanwhile; report sources that cannot be read."""
        self.root.check_there()
        self.attempts.begin(0, [arrival.path for arrival in group])
        self.recorder.beat(*describe_group(group))
        try:
            self._take_group(group)
        finally:
            self.attempts.end(0)
        self.recorder.note_taken(len(group))
        self.recorder.state.waiting = len(self.waiting)
        self.recorder.beat()

    def _take_group(self, group: Sequence[Arrival]) -> None:
        """Archive a group of sources together, or one by one if the memory is too small for all of it."""
        try:
            self._take(group)
        except MemoryError:
            if len(group) == 1:
                self.leave(group[0], NO_ROOM)
                return
        else:
            return
        for arrival in group:  # the memory that the group needed is free now
            self._take_group([arrival])

    def _take(self, group: Sequence[Arrival]) -> None:
        """Archive a group of sources together; MemoryError, and nothing is done, if the memory is too small for it."""
        readable: list[tuple[Arrival, Read]] = []
        for arrival in group:
            read = self.read(arrival, large=len(group) == 1)
            if isinstance(read, Read):
                readable.append((arrival, read))
            else:
                self.leave(arrival, read)
        try:
            conclusions, setbacks = self.pipeline.take([read.source for _, read in readable])
        except HeldError as error:
            ((arrival, read),) = readable  # only a large source raises it, and it is alone
            source = read.source
            self.leave(arrival, (isinstance(source, LargeSource) and source.trouble) or Unread(str(error), "HeldError"))
            return
        for (arrival, read), conclusion in zip(readable, conclusions, strict=True):
            if self.keeps_sources:
                self._keep(arrival, read.source, conclusion)
            self.wait(arrival, self.decide(arrival, conclusion, read.source), read.state)
        self.set_back(setbacks)

    def _keep(self, arrival: Arrival, source: Source, conclusion: Conclusion) -> None:
        """Keep a source below its days; report it if it can no longer be read."""
        try:
            store_source(self.root, source, conclusion.days.values())
        except HeldError as error:
            self.hold(arrival.path, f"archived, but not kept below sources/: {error.message}")

    def read(self, arrival: Arrival, *, large: bool = True) -> Read | Unread:
        """Read a source; if ``large``, a large one stays on disk and is read in blocks."""
        largest = self.pipeline.settings.core.sources_largest
        return read_source(arrival, largest, self.block_bytes if large else None)

    def try_suspects(self) -> None:
        """Try the sources of an earlier run that was killed in a child process; quarantine those that end it.

        The others are then archived as usual.
        """
        suspects = [
            Arrival(path, ours=path.is_relative_to(self.root.accepted))
            for path in self.attempts.list_left_over()
            if disk.exists(path)
        ]
        ends = find_deadly(len(suspects), lambda number: self._try(suspects[number], number))
        for number, how in ends.items():
            self._quarantine_deadly(suspects[number], how)
        self.attempts.clear()
        for left in self.root.workshop.glob(f"{TRIAL}*"):
            disk.unlink(left)

    def _try(self, arrival: Arrival, number: int) -> None:
        """Decode and write a source as a trial; this process and its work files are discarded."""
        read = self.read(arrival)
        if isinstance(read, Read):
            pipeline = self.pipeline
            day_files = DayFiles(self.root, pipeline.plugins, pipeline.settings, f"{TRIAL}{number}-")
            pipeline.decode([read.source], day_files)
            for work_file in day_files.work_files.values():
                work_file.close()

    def _quarantine_deadly(self, arrival: Arrival, how: str) -> None:
        """Quarantine a source that ends the process."""
        read = self.read(arrival)
        if not isinstance(read, Read):
            return  # this is reported when it is taken
        message = f"ended the process twice ({how}) while it was decoded or written; its plugin may be at fault"
        self.pipeline.quarantine_source(read.source, [Failure("dayfile", message, "SourceError")])
        self.skipped.add(arrival.path)
        self.wait(arrival, Conclusion("quarantined", {}, {}), read.state)

    @property
    def keeps_sources(self) -> bool:
        """Return whether sources are kept permanently."""
        return self.pipeline.settings.core.sources_keep == "always"

    def hold(self, path: Path, reason: str, counted: str = "") -> None:
        """Report a file that is left in place, once for each reason.

        ``counted`` is the word under which it was counted before, if any.
        """
        if self.held.get(path) != reason:
            self.held[path] = reason
            below = path.relative_to(self.root.path) if path.is_relative_to(self.root.path) else path
            self.report.hold(str(below), reason, counted)

    def report_unseen(self, path: Path, error: OSError) -> None:
        """Report a path that cannot be listed or read."""
        self.hold(path, f"cannot be read ({error.strerror or error}); left in place")

    def leave(self, arrival: Arrival, unread: Unread) -> None:
        """Report a source that could not be read.

        An accepted source goes back to ``incoming/`` if it keeps changing, and to quarantine if it is too large.
        """
        if arrival.ours and unread.changing:
            release(self.root, arrival.path, None, self.hold)
        elif arrival.ours and unread.refused is not None:
            self._quarantine_unread(arrival.path, unread, unread.refused)
        elif arrival.ours:
            self.hold(arrival.path, unread.reason)
        elif unread.changing:
            self.hold(arrival.path, f"{unread.reason}; give it again once it is complete")
        else:
            place = "; left in place" if unread.refused else ""
            self.report.failures.append(Failure("dayfile", f"{arrival.path}: {unread.reason}{place}", unread.error))

    def _quarantine_unread(self, path: Path, unread: Unread, refused: State) -> None:
        """Move a source that is too large to be read to quarantine, unless it has changed."""
        try:
            if State.of(path.lstat()) != refused:
                release(self.root, path, None, self.hold)
                return
            self.pipeline.quarantine_unread(path, unread.reason, unread.error)
        except OSError as error:
            if disk.concerns_the_disk(error):
                message = f"could not be moved to quarantine: {error.strerror}; {disk.STAYS}"
                raise StorageError(message, where=path) from error
            self.hold(path, f"{unread.reason}, and cannot be moved to quarantine ({error.strerror}); left in place")
        else:
            remove_numbered(self.root, path)

    def decide(self, arrival: Arrival, conclusion: Conclusion, origin: Received) -> Conclusion:
        """Leave or quarantine a source if no plugin recognises it; return the conclusion, changed if it was."""
        if conclusion.counted != "left":
            return conclusion
        if not self.leaves[arrival.ours]:
            source = make_source(origin)
            first = source.part(0, FIRST_BYTES)
            self.pipeline.quarantine_source(source, [explain_unrecognised(self.pipeline.plugins, source.name, first)])
            return replace(conclusion, counted="quarantined")
        if arrival.ours:
            try:
                path = give_back(self.root, arrival.path, arrival.origin)
            except OSError as error:
                self.hold(arrival.path, f"cannot be moved back to incoming/ ({error.strerror or error})")
                return replace(conclusion, counted="held")
            self.left.add(path)
            self.known_left.add(path)
        self.report.leave(origin.name, trouble=not arrival.found)
        return conclusion

    def is_passed_over(self, path: Path, status: os.stat_result) -> bool:
        """Return whether a file in ``incoming/`` was left before and has not changed; count it once."""
        if not self.leaves[True] or not self.left.holds(path, status):
            return False
        if path not in self.known_left:
            self.known_left.add(path)
            self.report.leave(path.name, trouble=True)
        return True

    def wait(self, arrival: Arrival, conclusion: Conclusion, state: State | None) -> None:
        """Add a source that waits for its day files to be published; held and left sources do not wait."""
        if conclusion.counted not in {"held", "left"}:
            self.waiting.append(Waiting(arrival, state, conclusion.counted, set(conclusion.days)))

    def publish(self, paths: Container[str] | None = None) -> None:
        """Publish day files, those of ``paths`` or all, and release the sources that wait for no other."""
        self.set_back(self.pipeline.publish(paths))
        self.release(self.pipeline.day_files.work_files)

    def set_back(self, setbacks: Mapping[str, Setback]) -> None:
        """Hold the sources of day files that were given up, and subtract the counts of their records."""
        self.setbacks |= setbacks
        for path, setback in setbacks.items():
            for data_type, statuses in setback.statuses:
                self.report.count_statuses(data_type, statuses, sign=-1)
            for source in [source for source in self.waiting if path in source.day_files]:
                self.waiting.remove(source)
                self.hold(source.arrival.path, setback.reason, source.counted)

    def publish_idle(self, most_waiting: int) -> None:
        """Publish the day files that are not open, if more than ``most_waiting`` wait."""
        day_files = self.pipeline.day_files
        if len(day_files.work_files) > most_waiting:
            self.publish([path for path in day_files.work_files if path not in day_files.used])

    def release(self, unpublished: Iterable[str] = ()) -> None:
        """Release the sources that wait for none of these day files; sources still open for writing keep waiting."""
        unpublished = set(unpublished)
        self.waiting = [
            source
            for source in self.waiting
            if not source.day_files.isdisjoint(unpublished) or not self._release(source)
        ]
        self.recorder.state.waiting = len(self.waiting)

    def _release(self, source: Waiting) -> bool:
        """Release a source, which removes it from ``accepted/``; return False if it is still open for writing."""
        hold = partial(self.hold, counted=source.counted)
        return not source.arrival.ours or release(self.root, source.arrival.path, source.state, hold)

    def _complete_state(self, state: EngineState) -> None:
        """Complete the state: which sources wait for publication, and what went wrong."""
        state.sources = self.count_sources()
        self.recorder.unfinished = Counter(each.counted for each in self.waiting)
        state.waiting = len(self.waiting)  # also in a run on several processes
        arrived = (each.state.modified for each in self.waiting if each.arrival.ours and each.state is not None)
        oldest = min(arrived, default=None)
        state.unpublished_since = None if oldest is None else oldest / 1e9
        report = self.report
        unsettled = [failure.message for failure in report.failures] + [held.message for held in report.held]
        state.unsettled = unsettled[:MOST_UNSETTLED]
        state.low = self.low
        self.note_troubles()

    def count_sources(self) -> dict[str, int]:
        """Count sources by what became of them, with those of a run before of the same watch."""
        return {word: number + self.sources_before.get(word, 0) for word, number in self.report.sources.items()}

    def note_troubles(self) -> None:
        """Record failures, held sources and quarantine entries that are new; observers get these and what was left."""
        report = self.report
        if len(report.left) > self.noted.get("left", 0):
            self.noted["left"] = len(report.left)
            self._call_observers(report.left_message)
        kinds: dict[str, Sequence[Failure | Held | Quarantined]] = {
            "failures": report.failures, "held": report.held, "quarantine": report.quarantine,
        }  # fmt: skip
        for kind, troubles in kinds.items():
            new = troubles[self.noted.get(kind, 0) :]
            self.noted[kind] = len(troubles)
            for trouble in new:
                self.recorder.note_trouble(trouble.message)
                self._call_observers(trouble.message)

    def _call_observers(self, message: str) -> None:
        """Call the observers with a message."""
        for observe in self.observers:
            observe(message)

    def finish(self) -> None:
        """Report sources that are left because they are open for writing; the next run checks them again."""
        for source in self.waiting:
            reason = "archived as it is, but another program has it open for writing; left in place"
            self.hold(source.arrival.path, reason, source.counted)
        self.left.save()
        self.report.finish()
