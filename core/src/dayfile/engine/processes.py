"""Runs on several cores: workers decode and write, this process says who does what, and keeps the accounts.

Sources are decoded in groups, by whichever worker has the least to do. A day file is written by one worker, that which
was the first to decode records of it, and in the order of the sources, so the files are those of a run in one process.
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
from dayfile.engine.executors import Progress, arrivals, count_waiting, silent
from dayfile.engine.intake import Arrival, given_files, groups, visible_files
from dayfile.engine.pipeline import Conclusion
from dayfile.engine.reading import NO_ROOM, Unread
from dayfile.engine.report import Report
from dayfile.engine.run import Run
from dayfile.engine.shares import Setback, Written
from dayfile.engine.starting import started
from dayfile.engine.tuning import DEFAULTS, Tuning
from dayfile.engine.worker import Identity, Problem, ReadAgain, Told, Worker, part_file, work
from dayfile.errors import HeldError, StorageError, UsageError
from dayfile.messages import plural
from dayfile.model.batch import Source
from dayfile.plugins import Plugins
from dayfile.settings import Settings

__all__ = ["run_processes", "worth_processes"]

WORTH_BYTES = 32 * 2**20
"""Bytes of sources from which on several processes are quicker than one."""


def worth_processes(root: Root, given: Iterable[Path]) -> bool:
    """Whether there is work enough, and more than one core, for a run on several."""
    if available_cores() < 2:
        return False
    total = 0
    waiting = [path for place in (root.accepted, root.incoming) for path in visible_files(place, lambda *_: None)]
    for number, path in enumerate([*(arrival.path for arrival in given_files(given)), *waiting]):
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
    progress: Progress = silent,
    workers: int | None = None,
    *,
    tuning: Tuning = DEFAULTS,
) -> Report:
    """Archive what lies in ``incoming/`` and what is given, with several processes.

    Parameters
    ----------
    root, plugins, settings, given, progress, tuning
        As for :func:`dayfile.engine.executors.run_serial`.
    workers : int, optional
        How many processes decode and write; as many as there are cores if not given.

    Returns
    -------
    Report
        What was done.

    Raises
    ------
    UsageError, ArchiveLockedError, StorageError
        As for :func:`dayfile.engine.executors.run_serial`; a worker that was killed is a StorageError too.
    """
    files = given_files(given)
    with started(root, plugins, settings, make=True) as run, crew(run, workers or available_cores(), tuning) as foreman:
        done, total = 0, len(files) + count_waiting(root)
        for group, size in groups(arrivals(run, settings.core.watch_settle, files), tuning):
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
    """Sources on their way.

    Attributes
    ----------
    told : list of Told or None
        What the decoding worker said; None before.
    asked : bool
        Whether the decoding worker was asked to hand over more than it knew it had to.
    handed : set of str
        Day files whose records are in the part file.
    writing : int or None
        How many workers still write; None before they were told to.
    written : Written
        What became of their records.
    """

    number: int
    arrivals: list[Arrival]
    size: int
    member: Member
    told: list[Told] | None = None
    asked: bool = False
    handed: set[str] = field(default_factory=set)
    writing: int | None = None
    written: Written = field(default_factory=Written)


@dataclass(eq=False)
class Member:
    """One worker, as the foreman knows it."""

    process: ForkProcess
    connection: Connection
    tasks: int = 0
    decoding: int = 0  # groups
    load: int = 0  # bytes of their sources
    unknown: set[str] = field(default_factory=set)

    def send(self, task: str, *arguments: object) -> None:
        """Give it a task."""
        try:
            self.connection.send((task, arguments))
        except OSError as error:
            raise self.gone() from error
        self.tasks += 1

    def gone(self) -> StorageError:
        """What to say when the process is not there any more."""
        self.process.join(timeout=5)
        message = f"a worker process ended (exit code {self.process.exitcode}); input stays where it was, run again"
        return StorageError(message)


@contextmanager
def crew(run: Run, workers: int, tuning: Tuning) -> Iterator[Foreman]:
    """Workers, started and ended.

    They are forks of this process: they have its plugins, and its hold on the archive's lock, which so ends with the
    last of them if this process is killed.
    """
    context = get_context("fork")
    members: list[Member] = []
    pipeline = run.pipeline
    try:
        for number in range(workers):
            worker = Worker(pipeline.root, pipeline.plugins, pipeline.settings, f"w{number}")
            try:
                here, there = context.Pipe()
                # A pipe ends with its last holder: each worker lets go of the ends of those before it.
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
    """Where a worker's process begins."""
    for other in others:
        other.close()
    work(connection, parent, worker)


class Foreman:
    """Gives tasks to workers and takes their answers.

    Parameters
    ----------
    run : Run
        The run, with its report and its sources to be released.
    members : list of Member
        The workers.
    tuning : Tuning
        How many groups may be on their way.
    """

    def __init__(self, run: Run, members: list[Member], tuning: Tuning) -> None:
        self.run = run
        self.members = members
        self.tuning = tuning
        self.owners: dict[str, Member] = {}
        self.groups: dict[int, Group] = {}
        self.next = 0
        self.waiting: deque[Group] = deque()
        self.unpublished: dict[str, None] = {}  # day files, written longest ago first
        self.changed: dict[str, tuple[Member, np.datetime64]] = {}
        self.published: dict[str, Publication | Setback] = {}
        self.crowded: list[Arrival] = []  # sources of groups that were too much for the memory

    def send_alone(self) -> None:
        """Send sources again whose groups were too much for the memory: one by one, with nothing else on its way."""
        while self.groups:
            self.receive()
        crowded, self.crowded = self.crowded, []
        for arrival in crowded:
            self.send([arrival], 0)
            while self.groups:
                self.receive()

    def send(self, arrivals_: list[Arrival], size: int) -> None:
        """Let sources of so many bytes be decoded and written; returns when there is room for more."""
        member = min(self.members, key=lambda member: (member.load, member.tasks))
        group = Group(self.next, arrivals_, size, member)
        self.next += 1
        self.groups[group.number] = group
        self.waiting.append(group)
        self.run.attempts.begin(group.number, [arrival.path for arrival in arrivals_])
        member.decoding += 1
        member.load += group.size
        foreign, member.unknown = member.unknown, set()
        member.send("decode", group.number, arrivals_, foreign)
        while len(self.groups) > self.tuning.groups_open * len(self.members) or all(
            member.decoding >= self.tuning.groups_ahead for member in self.members
        ):
            self.receive()

    def receive(self) -> None:
        """Wait for answers, and do what follows from them."""
        by_connection: dict[Any, Member] = {member.connection: member for member in self.members if member.tasks}
        for ready in wait(list(by_connection)):
            member = by_connection[ready]
            try:
                task, arguments, answer = member.connection.recv()
            except (EOFError, OSError) as error:
                raise member.gone() from error
            member.tasks -= 1
            if isinstance(answer, Problem):
                raise answer.error or RuntimeError(f"in a worker process:\n{answer.trace}")
            self._take(member, task, arguments, answer)
        self._dispatch()

    def _take(self, member: Member, task: str, arguments: tuple[Any, ...], answer: Any) -> None:  # noqa: ANN401 - of any task
        match task:
            case "decode":
                group = self.groups[arguments[0]]
                member.decoding -= 1
                member.load -= group.size
                group.told, group.handed = answer
            case "hand":
                self.groups[arguments[0]].handed |= answer
            case "write":
                self._written(self.groups[arguments[0]], answer)
            case "changed":
                self.changed.update({path: (member, day) for path, day in answer.items()})
            case "publish":
                self.published[arguments[0]] = answer

    def _dispatch(self) -> None:
        """Let what is decoded be written, group after group in the order of the sources."""
        while self.waiting and self.waiting[0].told is not None:
            group = self.waiting[0]
            paths = sorted({path for told in group.told or [] for path in told.decoded.days})
            for path in paths:
                if path not in self.owners:
                    self.owners[path] = group.member
                    for member in self.members:
                        if member is not group.member:
                            member.unknown.add(path)
            missing = {path for path in paths if self.owners[path] is not group.member} - group.handed
            if missing:
                # It was decoded before it was known that another writes this day file.
                if not group.asked:
                    group.member.send("hand", group.number, missing)
                    group.asked = True
                return
            self.waiting.popleft()
            self._let_write(group, paths)

    def _let_write(self, group: Group, paths: list[str]) -> None:
        origins = [told.origin for told in group.told or []]
        writers = [m for m in self.members if m is group.member or any(self.owners[path] is m for path in paths)]
        for member in writers:
            mine = {path for path in paths if self.owners[path] is member}
            member.send("write", group.number, origins, mine - group.handed, mine & group.handed)
        group.writing = len(writers)

    def _written(self, group: Group, answer: Written) -> None:
        """Put down what became of a group; when it and all before it are written, that of each source is known."""
        group.written.shares |= answer.shares
        group.written.statuses += answer.statuses
        group.written.setbacks |= answer.setbacks
        group.writing = (group.writing or 0) - 1
        while self.groups and (first := next(iter(self.groups.values()))).writing == 0:
            self._conclude(first)

    def _conclude(self, group: Group) -> None:
        """Count what became of the sources of a group, and let it be entered into the ledgers."""
        del self.groups[group.number]
        self.run.attempts.end(group.number)
        part_file(self.run.root, group.number).unlink(missing_ok=True)
        entries: dict[Member, list[tuple[str, Identity, int]]] = {}
        self.run.pipeline.count(group.written)
        for place, (arrival, told) in enumerate(zip(group.arrivals, group.told or [], strict=True)):
            if told.unread == NO_ROOM and len(group.arrivals) > 1:
                self.crowded.append(arrival)
                continue
            if told.unread is not None:
                self.run.leave(arrival, told.unread)
                continue
            source = ReadAgain(arrival.path, told.origin)
            try:
                conclusion = self.run.pipeline.conclude(source, place, told.decoded, group.written)
                conclusion = self.run.decide(arrival, conclusion, source)
                if self.run.keeps_sources:
                    again = Source(source.path, source.name, source.content, source.arrived)
                    store_source(self.run.root, again, conclusion.days.values())
            except HeldError as error:
                self._hold(arrival, told, error)
                continue
            for path, records in conclusion.fresh.items():
                entries.setdefault(self.owners[path], []).append((path, told.origin, records))
            self._note_unpublished(told)
            self.run.wait(arrival, conclusion, told.state)
        self.run.set_back(group.written.setbacks)
        for member, each in entries.items():
            member.send("enter", each)

    def _note_unpublished(self, told: Told) -> None:
        """Put the day files of a source behind those that were written before."""
        for path in told.decoded.days:
            self.unpublished.pop(path, None)
            self.unpublished[path] = None

    def _hold(self, arrival: Arrival, told: Told, error: HeldError) -> None:
        """Leave a source whose bytes are not what was decoded any more out of the ledgers; it is taken again."""
        self._note_unpublished(told)
        if arrival.ours:
            self.run.wait(arrival, Conclusion("", told.decoded.days, {}), None)
        else:
            self.run.leave(arrival, Unread(error.message))

    def publish(self, leave: int = 0) -> None:
        """Wait for all that was sent, and publish what is new, but for so many day files that were written last."""
        while self.groups:
            self.receive()
        self.run.pipeline.remarks.flush()
        later = set(list(self.unpublished)[-leave:]) if leave else set()
        self.changed, self.published = {}, {}
        for member in self.members:
            member.send("changed")
        self._finish()
        chosen = {path: told for path, told in self.changed.items() if path not in later}
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
            self.run.pipeline.published(self.published)
        self.run.set_back({path: each for path, each in self.published.items() if isinstance(each, Setback)})
        self.unpublished = {path: None for path in self.unpublished if path in later}
        self.run.release(self.unpublished)

    def _finish(self) -> None:
        """Wait until nobody has a task left."""
        while any(member.tasks for member in self.members):
            self.receive()
