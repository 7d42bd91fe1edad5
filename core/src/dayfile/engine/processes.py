"""Runs on several cores: workers decode and write, and this process distributes the work and keeps the counts.

A group of sources is decoded by the worker with the least work. A day file is written by the worker that first decoded
records of it, in the order of the sources, so the files equal those of a run in one process.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkProcess
from pathlib import Path
from typing import Any

import numpy as np

from dayfile.archive.catalogue_rows import Publication
from dayfile.archive.root import Root
from dayfile.archive.sources import store_source
from dayfile.cores import available_cores
from dayfile.engine.executors import Progress, count_waiting, find_arrivals, show_nothing
from dayfile.engine.intake import Arrival, group_arrivals, list_given, list_visible
from dayfile.engine.pipeline import Conclusion
from dayfile.engine.reading import NO_ROOM, Unread
from dayfile.engine.report import Report
from dayfile.engine.run import Run
from dayfile.engine.shares import Setback, Written
from dayfile.engine.starting import start_run
from dayfile.engine.tuning import DEFAULTS, Tuning
from dayfile.engine.worker import Decoding, Identity, ReadAgain, TaskError, Worker, locate_part_file, work
from dayfile.errors import HeldError, StorageError, UsageError
from dayfile.messages import plural
from dayfile.model.batch import Source
from dayfile.plugins import Plugins
from dayfile.settings import Settings

__all__ = ["needs_processes", "run_processes"]

WORTH_BYTES = 32 * 2**20
"""Bytes of sources above which several processes are faster than one."""


def needs_processes(root: Root, given: Iterable[Path]) -> bool:
    """Return whether there is enough work, and more than one core, for several processes."""
    if available_cores() < 2:
        return False
    total = 0
    waiting = [path for place in (root.accepted, root.incoming) for path in list_visible(place, lambda *_: None)]
    for number, path in enumerate([*(arrival.path for arrival in list_given(given)), *waiting]):
        with suppress(OSError):
            total += path.stat().st_size
        if number and total >= WORTH_BYTES:  # a single source is decoded by one process
            return True
    return False


def run_processes(
    root: Root,
    plugins: Plugins,
    settings: Settings,
    given: Iterable[Path] = (),
    progress: Progress = show_nothing,
    workers: int | None = None,
    *,
    tuning: Tuning = DEFAULTS,
) -> Report:
    """Archive what is in ``incoming/`` and what is given, with several processes.

    Parameters
    ----------
    root, plugins, settings, given, progress, tuning
        As for :func:`dayfile.engine.executors.run_serial`.
    workers : int, optional
        Number of processes that decode and write; by default the number of cores.

    Returns
    -------
    Report
        What was done.

    Raises
    ------
    UsageError, ArchiveLockedError, StorageError
        As for :func:`dayfile.engine.executors.run_serial`; also a StorageError if a worker was killed.
    """
    files = list_given(given)
    workers = workers or available_cores()
    with start_run(root, plugins, settings, make=True) as run, start_crew(run, workers, tuning) as foreman:
        done, total = 0, len(files) + count_waiting(root)
        for group, size in group_arrivals(find_arrivals(run, settings.core.watch_settle, files), tuning):
            progress(done, total, group[0].path.name)
            foreman.send(group, size)
            done += len(group)
            if len(foreman.unpublished) > tuning.most_waiting:
                foreman.publish(leave=tuning.most_left)
        foreman.send_alone()
        progress(total, total, "")
        foreman.publish()
    return run.report


@dataclass
class Group:
    """A group of sources that is being archived.

    Attributes
    ----------
    results : list of Decoding or None
        The answer of the decoding worker; None before it.
    asked : bool
        Whether the decoding worker was asked to hand over more records.
    handed : set of str
        Day files whose records are in the part file.
    writing : int or None
        Number of workers that still write; None before they were asked to.
    written : Written
        The result of writing their records so far.
    """

    number: int
    arrivals: list[Arrival]
    size: int
    member: Member
    results: list[Decoding] | None = None
    asked: bool = False
    handed: set[str] = field(default_factory=set)
    writing: int | None = None
    written: Written = field(default_factory=Written)


@dataclass(eq=False)
class Member:
    """The foreman's view of a worker."""

    process: ForkProcess
    connection: Connection
    tasks: int = 0
    decoding: int = 0  # groups
    load: int = 0  # bytes of their sources
    unknown: set[str] = field(default_factory=set)  # day files of other writers, not sent to it yet

    def send(self, task: str, *arguments: object) -> None:
        """Send it a task."""
        try:
            self.connection.send((task, arguments))
        except OSError as error:
            raise self.explain_end() from error
        self.tasks += 1

    def explain_end(self) -> StorageError:
        """Make the error for a process that has ended."""
        self.process.join(timeout=5)
        message = f"a worker process ended (exit code {self.process.exitcode}); input is left in place; run again"
        return StorageError(message)


@contextmanager
def start_crew(run: Run, workers: int, tuning: Tuning) -> Iterator[Foreman]:
    """Start workers, and end them on exit.

    They are forks of this process, and share its plugins and its lock: if it is killed, the last one releases the lock.
    """
    context = get_context("fork")
    members: list[Member] = []
    pipeline = run.pipeline
    try:
        for number in range(workers):
            worker = Worker(pipeline.root, pipeline.plugins, pipeline.settings, f"w{number}")
            try:
                here, there = context.Pipe()
                # A pipe is closed when all its holders close it, so a worker closes the ends of those before it.
                others = [here, *(member.connection for member in members)]
                process = context.Process(target=begin, args=(there, os.getpid(), worker, others), daemon=True)
                process.start()
            except OSError as error:
                message = f"only {number} of {plural(workers, 'process')} could be started ({error.strerror})"
                raise UsageError(f"{message}; ask for fewer: --workers N") from error
            there.close()
            members.append(Member(process, here))
        yield Foreman(run, members, tuning)
    finally:
        for member in members:
            member.connection.close()
        for member in members:
            member.process.join(timeout=10)
            if member.process.is_alive():
                member.process.kill()
                member.process.join()


def begin(connection: Connection, parent: int, worker: Worker, others: list[Connection]) -> None:
    """Run a worker in its process."""
    for other in others:
        other.close()
    work(connection, parent, worker)


class Foreman:
    """Gives tasks to workers and processes their answers.

    Parameters
    ----------
    run : Run
        The run, with its report and its waiting sources.
    members : list of Member
        The workers.
    tuning : Tuning
        Bounds on groups that are sent and not finished.
    """

    def __init__(self, run: Run, members: list[Member], tuning: Tuning) -> None:
        self.run = run
        self.members = members
        self.tuning = tuning
        self.owners: dict[str, Member] = {}
        self.groups: dict[int, Group] = {}
        self.next = 0
        self.waiting: deque[Group] = deque()
        self.unpublished: dict[str, None] = {}  # day files, least recently written first
        self.changed: dict[str, tuple[Member, np.datetime64]] = {}
        self.published: dict[str, Publication | Setback] = {}
        self.crowded: list[Arrival] = []  # sources of groups that were too large for the memory

    def send_alone(self) -> None:
        """Send the sources of groups that were too large for the memory again, one at a time and without other work."""
        while self.groups:
            self.receive()
        crowded, self.crowded = self.crowded, []
        for arrival in crowded:
            self.send([arrival], 0)
            while self.groups:
                self.receive()

    def send(self, sources: list[Arrival], size: int) -> None:
        """Send a group of sources to be decoded and written; return when more can be sent."""
        member = min(self.members, key=lambda member: (member.load, member.tasks))
        group = Group(self.next, sources, size, member)
        self.next += 1
        self.groups[group.number] = group
        self.waiting.append(group)
        self.run.attempts.begin(group.number, [arrival.path for arrival in sources])
        member.decoding += 1
        member.load += group.size
        foreign, member.unknown = member.unknown, set()
        member.send("decode", group.number, sources, foreign)
        while len(self.groups) > self.tuning.groups_open * len(self.members) or all(
            member.decoding >= self.tuning.groups_ahead for member in self.members
        ):
            self.receive()

    def receive(self) -> None:
        """Wait for answers, and process them."""
        by_connection: dict[Any, Member] = {member.connection: member for member in self.members if member.tasks}
        for ready in wait(list(by_connection)):
            member = by_connection[ready]
            try:
                task, arguments, answer = member.connection.recv()
            except (EOFError, OSError) as error:
                raise member.explain_end() from error
            member.tasks -= 1
            if isinstance(answer, TaskError):
                raise answer.error or RuntimeError(f"in a worker process:\n{answer.trace}")
            self._take(member, task, arguments, answer)
        self._dispatch()

    def _take(self, member: Member, task: str, arguments: tuple[Any, ...], answer: Any) -> None:  # noqa: ANN401 - of any task
        match task:
            case "decode":
                group = self.groups[arguments[0]]
                member.decoding -= 1
                member.load -= group.size
                group.results, group.handed = answer
            case "hand":
                self.groups[arguments[0]].handed |= answer
            case "write":
                self._record_written(self.groups[arguments[0]], answer)
            case "list_changed":
                self.changed.update({path: (member, day) for path, day in answer.items()})
            case "publish":
                self.published[arguments[0]] = answer

    def _dispatch(self) -> None:
        """Give decoded groups to their writers, in the order of the sources."""
        while self.waiting and self.waiting[0].results is not None:
            group = self.waiting[0]
            paths = sorted({path for result in group.results or [] for path in result.decoded.days})
            for path in paths:
                if path not in self.owners:
                    self.owners[path] = group.member
                    for member in self.members:
                        if member is not group.member:
                            member.unknown.add(path)
            missing = {path for path in paths if self.owners[path] is not group.member} - group.handed
            if missing:
                # It was decoded before another worker became the writer of this day file.
                if not group.asked:
                    group.member.send("hand", group.number, missing)
                    group.asked = True
                return
            self.waiting.popleft()
            self._assign_writing(group, paths)

    def _assign_writing(self, group: Group, paths: list[str]) -> None:
        origins = [result.origin for result in group.results or []]
        writers = [m for m in self.members if m is group.member or any(self.owners[path] is m for path in paths)]
        for member in writers:
            mine = {path for path in paths if self.owners[path] is member}
            member.send("write", group.number, origins, mine - group.handed, mine & group.handed)
        group.writing = len(writers)

    def _record_written(self, group: Group, answer: Written) -> None:
        """Add the answer of a writer to its group; conclude the groups that are complete, in their order."""
        group.written.add(answer)
        group.writing = (group.writing or 0) - 1
        while self.groups and (first := next(iter(self.groups.values()))).writing == 0:
            self._conclude(first)

    def _conclude(self, group: Group) -> None:
        """Count the sources of a group, and send their entries for the ledgers."""
        del self.groups[group.number]
        self.run.attempts.end(group.number)
        locate_part_file(self.run.root, group.number).unlink(missing_ok=True)
        entries: dict[Member, list[tuple[str, Identity, int]]] = {}
        self.run.pipeline.count(group.written)
        self.run.recorder.note_taken(len(group.arrivals))
        for place, (arrival, result) in enumerate(zip(group.arrivals, group.results or [], strict=True)):
            if result.unread == NO_ROOM and len(group.arrivals) > 1:
                self.crowded.append(arrival)
                continue
            if result.unread is not None:
                self.run.leave(arrival, result.unread)
                continue
            source = ReadAgain(arrival.path, result.origin)
            try:
                conclusion = self.run.pipeline.conclude(source, place, result.decoded, group.written)
                conclusion = self.run.decide(arrival, conclusion, source)
                if self.run.keeps_sources:
                    again = Source(source.path, source.name, source.content, source.arrived)
                    store_source(self.run.root, again, conclusion.days.values())
            except HeldError as error:
                self._hold(arrival, result, error)
                continue
            for path, records in conclusion.fresh.items():
                entries.setdefault(self.owners[path], []).append((path, result.origin, records))
            self._note_unpublished(result)
            self.run.wait(arrival, conclusion, result.state)
        self.run.set_back(group.written.setbacks)
        self.run.recorder.beat("taking sources")
        for member, each in entries.items():
            member.send("enter", each)

    def _note_unpublished(self, result: Decoding) -> None:
        """Move the day files of a source to the end: they were written last."""
        for path in result.decoded.days:
            self.unpublished.pop(path, None)
            self.unpublished[path] = None

    def _hold(self, arrival: Arrival, result: Decoding, error: HeldError) -> None:
        """Keep a source out of the ledgers because its bytes have changed since it was decoded; it is taken again."""
        self._note_unpublished(result)
        if arrival.ours:
            self.run.wait(arrival, Conclusion("", result.decoded.days, {}), None)
        else:
            self.run.leave(arrival, Unread(error.message))

    def publish(self, leave: int = 0) -> None:
        """Wait for all groups, and publish changed day files, except the ``leave`` that were written last."""
        while self.groups:
            self.receive()
        self.run.pipeline.remarks.flush()
        later = set(list(self.unpublished)[-leave:]) if leave else set()
        self.changed, self.published = {}, {}
        for member in self.members:
            member.send("list_changed")
        self._finish()
        chosen = {path: each for path, each in self.changed.items() if path not in later}
        if chosen:
            self.run.pipeline.announce({path: day for path, (_, day) in chosen.items()})
        try:
            for path, (member, _) in chosen.items():
                member.send("publish", path)
            self._finish()
            for member in self.members:
                member.send("forget")
            self._finish()
        finally:
            self.run.pipeline.record_published(self.published)
        self.run.set_back({path: each for path, each in self.published.items() if isinstance(each, Setback)})
        self.unpublished = {path: None for path in self.unpublished if path in later}
        self.run.release(self.unpublished)

    def _finish(self) -> None:
        """Wait until no worker has a task."""
        while any(member.tasks for member in self.members):
            self.receive()
