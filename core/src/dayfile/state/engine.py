"""Recording what the engine does, in memory at once and on disk once a second, and logging what goes well."""

from __future__ import annotations

import logging
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from math import inf

from dayfile.archive.root import Root
from dayfile.errors import StorageError
from dayfile.messages import format_size, plural
from dayfile.state.files import ENGINE, WRITE_SECONDS, StateFile, read_state, state_directory
from dayfile.state.keys import NewestKeys
from dayfile.state.measuring import MEASURE_SECONDS, Measure
from dayfile.state.processes import ProcessId
from dayfile.state.records import BEAT_SECONDS, LATE_SECONDS, SLOWEST, EngineCommand, EngineState, LastError

__all__ = ["EngineRecorder", "record_engine"]

Observer = Callable[[EngineState], None]
"""Called with the state whenever it has changed."""

LONG_SECONDS = 60.0
"""What may take longer than this is written before it begins, whenever the last write was."""

logger = logging.getLogger(__name__)


class EngineRecorder:
    """Records what the engine does. The program that holds the archive's lock has one, or waits for room to take it.

    Every change is in :attr:`state` at once, and observers are called. The file follows at the next :meth:`beat` that
    is a second after the last write.

    Parameters
    ----------
    root : Root
        The archive, locked.
    command : {'run', 'watch', 'put', 'rebuild'}
        What the program was started for.
    before : EngineRecorder, optional
        The one that has ended in the same program, which goes on: what it counted is counted further.

    Attributes
    ----------
    state : EngineState
        What is known now.
    keys : NewestKeys
        The newest record and last arrival of each key.
    complete : list of callable
        Called with the state before it is written, to fill in what takes a while to find out.
    observers : list of callable
        Called with the state whenever it has changed, such as a display.
    unfinished : Counter of str
        Sources whose day files are not published, by what became of them; if the run fails, the next takes them again.
    """

    def __init__(self, root: Root, command: EngineCommand, before: EngineRecorder | None = None) -> None:
        import dayfile  # its version, without the rest of it

        now = time.time()
        self.state = EngineState(ProcessId.of_this_process(), dayfile.__version__, command, now, now)
        self.keys = NewestKeys(root)
        self.complete: list[Observer] = []
        self.observers: list[Observer] = []
        self.file = StateFile(root, ENGINE)
        self.day_files: set[str] = set()
        self.unfinished: Counter[str] = Counter()
        self.written = False
        self.pending = True
        last = None
        with suppress(StorageError):  # unreadable, and about to be replaced
            last = read_state(state_directory(root) / ENGINE, EngineState)
        self.state.measured = last.measured if last else None
        if before is not None:
            self._count_further(before)
        elif last is not None and last.ended is None and last.process.is_alive() is False:
            self.note_trouble(f"the {last.command} of process {last.process.pid} was killed")
        self.measure = Measure(root, last.measured.samples if last and last.measured else None)
        # A program that puts records starts an engine again and again.
        if command == "put" and last is not None and 0 <= now - (last.ended or last.beat) < WRITE_SECONDS:
            self.file.wrote = time.monotonic()

    def _count_further(self, before: EngineRecorder) -> None:
        """Begin with what another one counted, without the sources whose day files were not published."""
        ended = before.state
        self.state.since, self.state.published, self.day_files = ended.since, ended.published, before.day_files
        self.state.taken, self.state.last_taken = ended.taken - before.unfinished.total(), ended.last_taken
        self.state.troubles, self.state.last_error = ended.troubles, ended.last_error
        met_again = Counter(held=ended.sources.get("held", 0), left=ended.sources.get("left", 0)) + before.unfinished
        self.state.sources = {word: number - met_again[word] for word, number in ended.sources.items()}

    def beat(self, doing: str = "", size: int = 0) -> None:
        """Give a sign of life, and record what is being done if that has changed; write the file if it is time.

        What works on ``size`` bytes at once may take long until the next one.
        """
        self.state.beat = time.time()
        self.state.patience = LATE_SECONDS + size / SLOWEST
        self.state.doing = doing or self.state.doing
        self.pending = True
        self.notify()
        if not self.file.due_in or self.state.patience > LATE_SECONDS + LONG_SECONDS:
            self.write()

    @property
    def due_in(self) -> float:
        """Return in how many seconds the next :meth:`beat` is due."""
        return min(BEAT_SECONDS, self.file.due_in if self.pending else inf)

    def notify(self) -> None:
        """Call the observers."""
        for observer in self.observers:
            observer(self.state)

    def write(self) -> None:
        """Write the files now."""
        measured = self.state.measured
        if measured is None or not 0 <= time.time() - measured.at < MEASURE_SECONDS:
            with suppress(OSError):  # what has happened to the archive is the engine's to say
                self.state.measured = self.measure()
        for complete in self.complete:
            complete(self.state)
        self.file.write(self.state)
        self.keys.write()
        self.written, self.pending = True, False

    def note_taken(self, sources: int) -> None:
        """Record that sources were decoded and written into work files."""
        self.state.taken += sources
        self.state.last_taken = time.time()
        what = plural(sources, "source")
        logger.info("took %s", what, extra={"fields": {"event": "took", "sources": sources}})

    def note_published(self, path: str, records: int, size: int, seconds: float) -> None:
        """Record that a day file was put in place.

        Parameters
        ----------
        path : str
            Its path below the archive.
        records : int
            Records that are new in it.
        size : int
            Its size in bytes.
        seconds : float
            What that took.
        """
        self.day_files.add(path)
        published = self.state.published
        published.day_files = len(self.day_files)
        published.publications += 1
        published.records += records
        published.bytes += size
        published.last, published.path = time.time(), path
        fields = {"event": "published", "path": path, "records": records, "bytes": size, "seconds": round(seconds, 3)}
        what = f"{path.rpartition('/')[2]} +{plural(records, 'record')} {format_size(size)} {seconds:.1f} s"
        logger.info("published %s", what, extra={"fields": fields})

    def note_trouble(self, message: str) -> None:
        """Record a failure, a source that is held, or an entry of the quarantine."""
        self.state.troubles += 1
        self.state.last_error = LastError(time.time(), message)

    def end(self, failed: str = "") -> None:
        """Record the end of the program, with the error that ended it."""
        for complete in self.complete:
            complete(self.state)
        self.state.ended = self.state.beat = time.time()
        self.state.failed = failed
        self.state.doing = "ended"
        if failed:
            self.note_trouble(failed)
        if self.state.command != "put":
            self.state.measured = None  # measured again below
        if self.state.command != "put" or self.written or self.state.troubles or self._is_due_after_a_put():
            self.write()
        self.keys.write()
        self.notify()

    def _is_due_after_a_put(self) -> bool:
        """Return whether something was published, and the last write is long enough ago."""
        return self.state.published.publications > 0 and not self.file.due_in


@contextmanager
def record_engine(root: Root, command: EngineCommand, before: EngineRecorder | None = None) -> Iterator[EngineRecorder]:
    """Record what the engine does until it ends, by itself or by an error; not in a fork that ends here.

    With ``before``, the recorder of the same program that has ended, count further. An error of a program that puts
    records is its own, unless the archive could not be written.
    """
    recorder = EngineRecorder(root, command, before)
    process = os.getpid()
    try:
        yield recorder
    except BaseException as error:
        if os.getpid() == process:
            stopped = isinstance(error, KeyboardInterrupt)
            of_the_program = stopped or (command == "put" and not isinstance(error, StorageError))
            recorder.end("" if of_the_program else describe_end(error))
        raise
    if os.getpid() == process:
        recorder.end()


def describe_end(error: BaseException) -> str:
    """Describe what ended a program, in one line."""
    if isinstance(error, MemoryError):
        return "not enough memory"
    return " ".join(str(error).split()) or type(error).__name__
