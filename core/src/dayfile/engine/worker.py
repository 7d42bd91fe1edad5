"""A worker: a process that decodes sources, and writes its own day files.

It receives tasks and sends answers over a pipe, but no records. Records that it decoded stay in its memory if it writes
their day file itself, and go into a part file if another worker does.
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
from dayfile.engine.parts import load_pieces, save_pieces
from dayfile.engine.pieces import Piece
from dayfile.engine.reading import NO_ROOM, Read, State, Unread, read_source
from dayfile.engine.shares import Setback, Share, Written
from dayfile.engine.writing import Writing
from dayfile.errors import DayfileError, HeldError
from dayfile.model.batch import Source
from dayfile.plugins import Plugins
from dayfile.settings import Settings

__all__ = ["Decoding", "Identity", "ReadAgain", "TaskError", "Worker", "locate_part_file", "work"]

PR_SET_PDEATHSIG = 1


class Identity(NamedTuple):
    """A source without its bytes; see :class:`dayfile.model.batch.Origin`."""

    name: str
    size: int = 0
    sha256: str = ""
    arrived: float = 0.0


class ReadAgain:
    """A source that a worker read; its bytes are read again when needed."""

    def __init__(self, path: Path, origin: Identity) -> None:
        self.path = path
        self.name, self.size, self.sha256, self.arrived = origin

    @property
    def content(self) -> bytes:
        """The bytes that the worker read, also if more were appended; HeldError if they are gone or have changed."""
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


class Decoding(NamedTuple):
    """The result of decoding a source in a worker, without its records.

    Parameters
    ----------
    origin : Identity
        The source.
    decoded : Decoded
        The result of decoding it.
    unread : Unread or None
        Why it could not be read.
    state : State or None
        State of its file when it was read.
    """

    origin: Identity
    decoded: Decoded
    unread: Unread | None = None
    state: State | None = None


@dataclass(frozen=True)
class TaskError:
    """An exception that ended a worker's task.

    Parameters
    ----------
    error : DayfileError or None
        The error, if people can act on it.
    trace : str
        The traceback of any other exception.
    """

    error: DayfileError | None
    trace: str


def locate_part_file(root: Root, number: int) -> Path:
    """Return the path of a group's part file."""
    return root.workshop / f"part-{number}"


class Worker:
    """The tasks of a worker: each is a method, and its result is the answer.

    Parameters
    ----------
    root, plugins, settings
        As for :class:`dayfile.engine.pipeline.Pipeline`.
    name : str
        Prefix of the names of its work files.
    """

    def __init__(self, root: Root, plugins: Plugins, settings: Settings, name: str) -> None:
        self.root = root
        self.plugins = plugins
        self.decoder = Decoder(plugins, settings, new_days=NewDays(root, settings.core.run_most_new_days))
        self.day_files = DayFiles(root, plugins, settings, f"{name}-")
        self.largest = settings.core.sources_largest
        self.kept: dict[int, list[Piece]] = {}
        self.foreign: set[str] = set()

    def decode(self, number: int, group: Iterable[Arrival], others: Iterable[str]) -> tuple[list[Decoding], set[str]]:
        """Decode a group of sources; return their results, and the day files with records in the part file.

        ``others`` are day files that got another worker as their writer since the last call.
        """
        self.foreign.update(others)
        results: list[Decoding] = []
        readable: list[tuple[int, Source]] = []
        for place, arrival in enumerate(group):
            read = read_source(arrival, self.largest)
            if isinstance(read, Read):
                source = read.source
                identity = Identity(source.name, source.size, source.sha256, source.arrived)
                results.append(Decoding(identity, Decoded(), state=read.state))
                readable.append((place, source))
            else:
                results.append(Decoding(Identity(arrival.path.name), Decoded(), read))
        try:
            decoded, pieces = self.decoder([source for _, source in readable])
        except MemoryError:
            # The first process sends them again, one by one. For a single source this is a failure, not an error.
            alone = [(place, results[place].origin) for place, _ in readable]
            for place, origin in alone:
                results[place] = Decoding(origin, Decoded(), NO_ROOM)
            return results, set()
        places = np.array([place for place, _ in readable], np.int64)
        self.kept[number] = [replace(piece, sources=places[piece.sources]) for piece in pieces]
        for place, each in zip(places.tolist(), decoded, strict=True):
            results[place] = results[place]._replace(decoded=each)
        return results, self.hand(number, self.foreign)

    def hand(self, number: int, paths: Collection[str]) -> set[str]:
        """Put the records of some day files into the group's part file; return the day files that had any."""
        kept = self.kept.get(number, [])
        given = [piece for piece in kept if piece.path in paths]
        if given:
            with disk.storage_errors("write", locate_part_file(self.root, number)):
                disk.step("write", locate_part_file(self.root, number))
                save_pieces(locate_part_file(self.root, number), given)
            self.kept[number] = [piece for piece in kept if piece.path not in paths]
        return {piece.path for piece in given}

    def write(self, number: int, origins: list[Identity], mine: Collection[str], handed: Collection[str]) -> Written:
        """Write the records of a group that belong to day files of this worker.

        ``mine`` are day files whose records it decoded itself, ``handed`` those with records in the part file.
        """
        pieces = [piece for piece in self.kept.pop(number, []) if piece.path in mine]
        if handed:
            with disk.storage_errors("read", locate_part_file(self.root, number)):
                disk.step("open", locate_part_file(self.root, number))
                try:
                    pieces += load_pieces(locate_part_file(self.root, number), self.plugins.data_types, handed)
                except MemoryError:
                    pieces = [piece for piece in pieces if piece.path not in handed]
                    written = Writing(self.day_files, origins).write(pieces)
                    written.shares.update((path, Share(held=NO_ROOM.reason)) for path in handed)
                    return written
        return Writing(self.day_files, origins).write(pieces)

    def enter(self, entries: Iterable[tuple[str, Identity, int]]) -> None:
        """Enter sources into ledgers: each entry has day file, source and number of records."""
        for path, origin, records in entries:
            if path in self.day_files.work_files:  # not given up meanwhile
                self.day_files.enter(path, origin, records)

    def list_changed(self) -> dict[str, np.datetime64]:
        """List the day files with unpublished changes."""
        return self.day_files.list_changed()

    def publish(self, path: str) -> Publication | Setback:
        """Publish a day file; return its rows for the catalogue, or why it was given up."""
        ((_, published),) = self.day_files.publish([path])
        return published

    def forget(self) -> None:
        """Drop work files without changes, after the others are published."""
        self.day_files.forget_unchanged()


def work(connection: Connection, parent: int, worker: Worker) -> None:
    """Run the tasks that come over the pipe, until it is closed.

    A message is the name of a task and its arguments. An answer is the name and the result, or a :class:`TaskError`.
    """
    end_with(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal sends it to all processes; the first one decides
    tasks: SimpleQueue[tuple[str, tuple[Any, ...]] | None] = SimpleQueue()
    Thread(target=listen, args=(connection, tasks), daemon=True).start()
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        while (message := tasks.get()) is not None:
            task, arguments = message
            try:
                answer = getattr(worker, task)(*arguments)
            except DayfileError as error:
                answer = TaskError(error, "")
            except Exception:  # noqa: BLE001 - the first process raises it again
                answer = TaskError(None, traceback.format_exc())
            connection.send((task, arguments[:1], answer))
    worker.day_files.abandon()
    os._exit(0)


def listen(connection: Connection, tasks: SimpleQueue[tuple[str, tuple[Any, ...]] | None]) -> None:
    """Receive messages at once: otherwise, during a long answer, both ends of the pipe could wait for each other."""
    with contextlib.suppress(EOFError, OSError):
        while True:
            tasks.put(connection.recv())
    tasks.put(None)


def end_with(parent: int) -> None:
    """End this process as soon as its parent ends: without the archive's lock it would harm the next run.

    Linux sends a signal for this. Elsewhere the worker ends when it next reads from the pipe.
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
