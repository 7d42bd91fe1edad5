"""Recording what a receiver receives, in memory at once and on disk once a second, and logging what goes well."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from contextlib import suppress

from dayfile.archive.root import Root
from dayfile.errors import StorageError
from dayfile.messages import format_size
from dayfile.state.files import RECEIVER, StateFile, list_receivers, read_state
from dayfile.state.measuring import MEASURE_SECONDS, Measure, find_day
from dayfile.state.processes import ProcessId
from dayfile.state.records import BEAT_SECONDS, LastError, ReceiverState, Refusals

__all__ = ["UploadRecorder", "forget_old_receivers"]

MOST_REFUSALS = 50
OTHER_REASONS = "other reasons"
FORGOTTEN_SECONDS = 2 * 86400.0
"""After which the file of a receiver is removed whose process cannot be seen from here."""

logger = logging.getLogger(__name__)


class UploadRecorder:
    """Records uploads of one process. Routes of plugins call it; any thread may.

    Before :meth:`begin` nothing is written to disk, so that it can be made before a fork.

    Parameters
    ----------
    root : Root
        The archive.
    """

    def __init__(self, root: Root) -> None:
        self.root = root
        self.lock = threading.Lock()
        self.file: StateFile | None = None
        self.state = make_state()
        self.measure: Measure | None = None
        self.pending = False

    def begin(self, name: str = "", *, regular: bool = True, address: str = "", measuring: bool = False) -> None:
        """Begin to write the state of this process.

        Parameters
        ----------
        name : str
            Name of the process among those of its receiver. What a dead one of this name counted today stays.
        regular : bool
            Whether :meth:`beat` will be called all the time.
        address : str
            Where the receiver listens.
        measuring : bool
            Whether this process measures disk, queue and quarantine.
        """
        self.lock = threading.Lock()
        # Process numbers are the same in each container; names of hosts are not.
        host = socket.gethostname().replace("/", "_")
        self.file = StateFile(self.root, f"{RECEIVER}{host}-{name or os.getpid()}.json")
        before = None
        with suppress(StorageError):
            before = read_state(self.file.path, ReceiverState)
        state = make_state(regular=regular, address=address)
        if before is not None and before.day == state.day and before.process.is_alive() is not True:
            state.stored, state.bytes, state.refused = before.stored, before.bytes, before.refused
            state.last_stored = before.last_stored
        self.state = state
        self.measure = Measure(self.root) if measuring else None
        self._write()

    def note_stored(self, sender: str, content: str, size: int) -> None:
        """Record an upload that was stored, and log it.

        Parameters
        ----------
        sender : str
            Who sent it, such as the number of a station.
        content : str
            What it holds, such as ``100 events``.
        size : int
            Its bytes.
        """
        with self.lock:
            now = self._begin_upload()
            self.state.stored += 1
            self.state.bytes += size
            self.state.last_stored = now
        fields = {"event": "upload", "sender": sender, "content": content, "bytes": size}
        logger.info("upload %s %s %s", sender, content, format_size(size), extra={"fields": fields})
        self._write_if_due()

    def note_refused(self, reason: str) -> None:
        """Record an upload that was not stored, for one of few reasons: no text of the sender's may be in it."""
        with self.lock:
            now = self._begin_upload()
            refused = self.state.refused
            if reason not in refused and len(refused) >= MOST_REFUSALS:
                reason = OTHER_REASONS
            each = refused.setdefault(reason, Refusals())
            each.number += 1
            each.last = now
        self._write_if_due()

    def note_error(self, message: str) -> None:
        """Record that an upload could not be stored through a fault of this machine."""
        with self.lock:
            self.state.last_error = LastError(time.time(), " ".join(message.split()))
            self.pending = True

    def beat(self) -> None:
        """Give a sign of life; write the file if something has changed, or a few seconds have passed."""
        with self.lock:
            if time.time() - self.state.beat >= BEAT_SECONDS:
                self.state.beat = time.time()
                self.state.begin_day(find_day(self.state.beat))
                self.pending = True
        if self.pending:
            self._write_if_due()

    def end(self) -> None:
        """Record the end of the process."""
        with self.lock:
            self.state.ended = self.state.beat = time.time()
            self._write()

    def _begin_upload(self) -> float:
        """Return the time, after beginning another day if it has come; called in the lock."""
        now = time.time()
        self.state.begin_day(find_day(now))
        self.pending = True
        if not self.state.regular:
            self.state.beat = now
        return now

    def _write_if_due(self) -> None:
        with self.lock:
            if self.file is not None and not self.file.due_in:
                self._write()

    def _write(self) -> None:
        """Write the file; called in the lock."""
        if self.file is None:
            return
        measured = self.state.measured
        if self.measure and (measured is None or not 0 <= time.time() - measured.at < MEASURE_SECONDS):
            with suppress(OSError):  # /healthz says what is wrong
                self.state.measured = self.measure()
        self.file.write(self.state)
        self.pending = False


def make_state(*, regular: bool = True, address: str = "") -> ReceiverState:
    """Make the state of this process, before it has received anything."""
    import dayfile  # its version, without the rest of it

    now = time.time()
    process = ProcessId.of_this_process()
    return ReceiverState(process, dayfile.__version__, now, now, regular, address, day=find_day(now))


def forget_old_receivers(root: Root) -> None:
    """Remove the files of receivers that have ended, except those that counted uploads today."""
    today = find_day(time.time())
    with suppress(OSError, StorageError):
        for path in list_receivers(root):
            state = read_state(path, ReceiverState)
            if state is None or is_forgotten(state, today):
                path.unlink()


def is_forgotten(state: ReceiverState, today: str) -> bool:
    """Return whether nobody needs the state of a receiver any more."""
    alive = state.process.is_alive()
    if alive is None:
        return time.time() - state.beat > FORGOTTEN_SECONDS
    return not alive and state.day != today
