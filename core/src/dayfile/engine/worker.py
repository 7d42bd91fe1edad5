"""A worker: a process that decodes sources, and writes the day files that are its own.

It is told what to do, and answers, by messages over a pipe; records do not go that way. What it decoded it keeps in
memory for the day files it writes itself, and hands over in a part file for those of others.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import os
import signal
import traceback
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any, NamedTuple

import numpy as np

from dayfile.archive import disk
from dayfile.archive.catalogue_rows import Publication
from dayfile.archive.root import Root
from dayfile.engine.day_files import DayFiles
from dayfile.engine.decoding import Decoded, Decoder
from dayfile.engine.intake import Arrival
from dayfile.engine.limits import NewDays
from dayfile.engine.parts import load, save
from dayfile.engine.pieces import Piece
from dayfile.engine.reading import NO_ROOM, Read, State, Unread, read_source
from dayfile.engine.shares import Setback, Share, Written
from dayfile.engine.writing import Writing
from dayfile.errors import DayfileError, HeldError
from dayfile.model.batch import Source
from dayfile.plugins import Plugins
from dayfile.settings import Settings

__all__ = ["Identity", "Problem", "ReadAgain", "Told", "Worker", "part_file", "work"]

PR_SET_PDEATHSIG = 1


class Identity(NamedTuple):
    """A source without its bytes; see :class:`dayfile.model.batch.Origin`."""

    name: str
    size: int = 0
    sha256: str = ""
    arrived: float = 0.0


class ReadAgain:
    """A source that a worker read, whose bytes are read again if they are asked for."""

    def __init__(self, path: Path, origin: Identity) -> None:
        self.path = path
        self.name, self.size, self.sha256, self.arrived = origin

    @property
    def content(self) -> bytes:
        """The bytes, also if others were appended since; HeldError if they are gone, or others."""
        try:
            disk.step("open", self.path)
            with self.path.open("rb") as file:
                content = file.read(self.size)
        except OSError as error:
            raise HeldError(f"cannot be read again ({error.strerror})", where=self.path) from error
        except MemoryError as error:
            raise HeldError("cannot be read again, the memory is too small for it", where=self.path) from error
        if hashlib.sha256(content).hexdigest() != self.sha256:
            raise HeldError("changed while it was being archived", where=self.path)
        return content


class Told(NamedTuple):
    """What is known of a source that a worker decoded: all but its records.

    Parameters
    ----------
    origin : Identity
        Which source.
    decoded : Decoded
        What became of it.
    unread : Unread or None
        Why it could not be read.
    state : State or None
        What its file was when it was read.
    """

    origin: Identity
    decoded: Decoded
    unread: Unread | None = None
    state: State | None = None


@dataclass(frozen=True)
class Problem:
    """An exception that ended a worker's task.

    Parameters
    ----------
    error : DayfileError or None
        One that people can act on.
    trace : str
        The traceback of any other.
    """

    error: DayfileError | None
    trace: str


def part_file(root: Root, number: int) -> Path:
    """Where the pieces of a group of sources are handed over."""
    return root.workshop / f"part-{number}"


class Worker:
    """What a worker does; each task is a method and its answer goes back.

    Parameters
    ----------
    root, plugins, settings
        As for :class:`dayfile.engine.pipeline.Pipeline`.
    name : str
        Tells its work files from those of others.
    """

    def __init__(self, root: Root, plugins: Plugins, settings: Settings, name: str) -> None:
        self.root = root
        self.plugins = plugins
        self.decoder = Decoder(plugins, settings, new_days=NewDays(root, settings.core.run_most_new_days))
        self.day_files = DayFiles(root, plugins, settings, f"{name}-")
        self.largest = settings.core.sources_largest
        self.kept: dict[int, list[Piece]] = {}
        self.foreign: set[str] = set()

    def decode(self, number: int, arrivals: Iterable[Arrival], foreign: Iterable[str]) -> tuple[list[Told], set[str]]:
        """Decode a group of sources; what is known of each, and the day files whose records were handed over.

        ``foreign`` are day files of which it has become known since that others write them.
        """
        self.foreign.update(foreign)
        told: list[Told] = []
        readable: list[tuple[int, Source]] = []
        for place, arrival in enumerate(arrivals):
            read = read_source(arrival, self.largest)
            if isinstance(read, Read):
                source = read.source
                identity = Identity(source.name, source.size, source.sha256, source.arrived)
                told.append(Told(identity, Decoded(), state=read.state))
                readable.append((place, source))
            else:
                told.append(Told(Identity(arrival.path.name), Decoded(), read))
        try:
            decoded, pieces = self.decoder([source for _, source in readable])
        except MemoryError:
            # The first process sends them again, one by one; a single one is a failure, not an error.
            alone = [(place, told[place].origin) for place, _ in readable]
            for place, origin in alone:
                told[place] = Told(origin, Decoded(), NO_ROOM)
            return told, set()
        places = np.array([place for place, _ in readable], np.int64)
        self.kept[number] = [replace(piece, sources=places[piece.sources]) for piece in pieces]
        for place, each in zip(places.tolist(), decoded, strict=True):
            told[place] = told[place]._replace(decoded=each)
        return told, self.hand(number, self.foreign)

    def hand(self, number: int, paths: Collection[str]) -> set[str]:
        """Put the records of a group that belong to some day files into its part file; those there were some for."""
        kept = self.kept.get(number, [])
        given = [piece for piece in kept if piece.path in paths]
        if given:
            with disk.storage_errors("write", part_file(self.root, number)):
                disk.step("write", part_file(self.root, number))
                save(part_file(self.root, number), given)
            self.kept[number] = [piece for piece in kept if piece.path not in paths]
        return {piece.path for piece in given}

    def write(self, number: int, origins: list[Identity], mine: Collection[str], handed: Collection[str]) -> Written:
        """Write the records of a group that belong to day files of this worker.

        ``mine`` are those whose records it decoded itself, ``handed`` those in the part file.
        """
        pieces = [piece for piece in self.kept.pop(number, []) if piece.path in mine]
        if handed:
            with disk.storage_errors("read", part_file(self.root, number)):
                disk.step("open", part_file(self.root, number))
                try:
                    pieces += load(part_file(self.root, number), self.plugins.data_types, handed)
                except MemoryError:
                    pieces = [piece for piece in pieces if piece.path not in handed]
                    written = Writing(self.day_files, origins).write(pieces)
                    written.shares.update((path, Share(held=NO_ROOM.reason)) for path in handed)
                    return written
        return Writing(self.day_files, origins).write(pieces)

    def enter(self, entries: Iterable[tuple[str, Identity, int]]) -> None:
        """Enter sources into ledgers: day file, source, number of its records."""
        for path, origin, records in entries:
            if path in self.day_files.work_files:  # not given up meanwhile
                self.day_files.enter(path, origin, records)

    def changed(self) -> dict[str, np.datetime64]:
        """Day files with something new."""
        return self.day_files.changed()

    def publish(self, path: str) -> Publication | Setback:
        """Publish a day file; what the catalogue is to say of it, or why it was given up."""
        ((_, published),) = self.day_files.publish([path])
        return published

    def forget(self) -> None:
        """Let go of work files with nothing new, once the others are published."""
        self.day_files.forget_unchanged()


def work(connection: Connection, parent: int, worker: Worker) -> None:
    """Do what comes over the pipe, until it is closed.

    A message is the name of a task and its arguments, an answer the name and what it gave, or a :class:`Problem`.
    """
    end_with(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # sent to all of a terminal; the first process decides
    tasks: SimpleQueue[tuple[str, tuple[Any, ...]] | None] = SimpleQueue()
    Thread(target=listen, args=(connection, tasks), daemon=True).start()
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        while (message := tasks.get()) is not None:
            task, arguments = message
            try:
                answer = getattr(worker, task)(*arguments)
            except DayfileError as error:
                answer = Problem(error, "")
            except Exception:  # noqa: BLE001 - it is raised again where the messages come from
                answer = Problem(None, traceback.format_exc())
            connection.send((task, arguments[:1], answer))
    worker.day_files.abandon()
    os._exit(0)


def listen(connection: Connection, tasks: SimpleQueue[tuple[str, tuple[Any, ...]] | None]) -> None:
    """Take in all that comes at once: were this process busy with a long answer, both ends could wait for the other."""
    with contextlib.suppress(EOFError, OSError):
        while True:
            tasks.put(connection.recv())
    tasks.put(None)


def end_with(parent: int) -> None:
    """End this process at once when its parent ends: what it does without the archive's lock would harm the next run.

    Linux sends the signal; elsewhere the worker ends when it next looks at the pipe.
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
