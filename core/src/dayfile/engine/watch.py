"""Watching: archive what arrives, publish now and then, and stop on a signal."""

from __future__ import annotations

import logging
import os
import select
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Self

from dayfile.archive.root import Root
from dayfile.engine.accepting import ACCEPTED_TOGETHER, accept
from dayfile.engine.executors import find_accepted
from dayfile.engine.full_disk import FullDisk, warn_when_low
from dayfile.engine.intake import Incoming, group_arrivals
from dayfile.engine.report import Report
from dayfile.engine.run import Run
from dayfile.engine.starting import start_run
from dayfile.errors import StorageError
from dayfile.interrupts import AGAIN, announce
from dayfile.messages import format_age, plural, suggest_extra
from dayfile.plugins import Plugins
from dayfile.settings import Settings
from dayfile.state.engine import EngineRecorder, record_engine
from dayfile.state.records import EngineState
from dayfile.supervision import Supervisor

__all__ = ["run_watch"]

# Milliseconds between two checks of watchfiles' own queue; it wakes up for each.
NOTICE_STEP = 250
SHORTEST_PAUSE = 0.02
"""Seconds between two checks, at least: a clock that is read twice may differ a little."""

logger = logging.getLogger(__name__)


def run_watch(
    root: Root,
    plugins: Plugins,
    settings: Settings,
    observers: Sequence[Callable[[EngineState], None]] = (),
    beside: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> Report:
    """Archive what arrives in ``incoming/`` until SIGTERM or SIGINT, then publish what is left.

    The file system sends notices of new files. Because notices can be lost, and some file systems send none, the
    directory is also read every ``watch.rescan`` seconds. Call it in the main thread, which receives signals.

    Parameters
    ----------
    root, plugins, settings
        As for :func:`dayfile.engine.executors.run_serial`.
    observers : sequence of callable
        Called with the state whenever it has changed, such as a display.
    beside : callable
        Returns a context that is entered while it watches, after the last fork: it may start threads.

    Returns
    -------
    Report
        What was done.

    Raises
    ------
    StorageError
        The archive does not exist; or its directory was renamed, removed or replaced meanwhile, or cannot be written.

    Notes
    -----
    With ``disk.wait``, a full disk ends a run as it does otherwise, and the next run starts in the same process when
    there is room. What is recorded goes on with it; the report is that of the last run.
    """
    full_disk, supervisor = FullDisk(root, settings.core), Supervisor()
    recorder: EngineRecorder | None = None
    with Bell() as bell, stop_by_signals(bell):
        while True:
            try:
                with start_run(root, plugins, settings, command="watch", before=recorder) as run:
                    recorder = run.recorder
                    watch_once(run, observers, beside, bell, full_disk, supervisor)
            except StorageError as error:
                if not full_disk.is_cause_of(error):
                    raise
                with beside(), record_engine(root, "watch", recorder) as recorder:
                    recorder.note_trouble(str(error))
                    recorder.state.waits_for = "room on the disk"
                    recorder.state.doing = "waiting for room"
                    recorder.observers += [*observers, lambda _: supervisor.report_alive(full_disk.waiting)]
                    if not full_disk.wait_for_room(error, partial(sleep, recorder, bell, supervisor)):
                        raise
            else:
                logger.info("stopped", extra={"fields": {"event": "stopped"}})
                return run.report


def sleep(recorder: EngineRecorder, bell: Bell, supervisor: Supervisor, seconds: float) -> bool:
    """Sleep until the bell rings, at most ``seconds``, with signs of life; return False if the watch has to stop."""
    end = time.monotonic() + seconds
    while not bell.stopped and (left := end - time.monotonic()) > 0:
        recorder.beat()
        if bell.wait(supervisor.limit(min(left, recorder.due_in))):
            break
    return not bell.stopped


def watch_once(
    run: Run,
    observers: Sequence[Callable[[EngineState], None]],
    beside: Callable[[], AbstractContextManager[None]],
    bell: Bell,
    full_disk: FullDisk,
    supervisor: Supervisor,
) -> None:
    """Archive what arrives, in one run, until the bell says stop."""
    core = run.pipeline.settings.core
    supervisor.report_ready(f"archiving what a run before had accepted in {run.root.path}")
    run.recorder.observers += [*observers, lambda _: supervisor.report_alive(describe_watch(run))]
    run.observers.append(partial(logger.warning, "%s"))
    logger.info("watching %s", run.root.path, extra={"fields": {"event": "watching", "archive": str(run.root.path)}})
    incoming = Incoming(run.root, core.watch_settle, run.report_unseen, run.is_passed_over)
    for group, _ in group_arrivals(find_accepted(run)):
        if bell.stopped:
            break
        run.take(group)
        run.publish(run.pipeline.day_files.list_due())
    run.note_troubles()
    with beside(), watch_directory(run.root.incoming, bell):
        while not bell.stopped:
            work_through(run, incoming, bell)
            run.low = warn_when_low(run.root, core.disk_least_free, run.low)
            if run.report.paths:
                full_disk.note_success()
            run.note_troubles()
            run.recorder.beat("waiting")
            sleep(run.recorder, bell, supervisor, compute_pause(run, incoming))
    run.recorder.beat("publishing what was accepted")
    supervisor.report_stopping("publishing what was accepted")
    run.publish()


def describe_watch(run: Run) -> str:
    """Describe what a watch has done, and how old is what readers do not see yet."""
    day_files = run.pipeline.day_files
    waiting = len(day_files.list_changed())
    done = f"{plural(run.count_sources()['archived'], 'source')} archived"
    behind = f"{plural(waiting, 'day file')} with new records, up to {format_age(day_files.age)} old" if waiting else ""
    return "; ".join(filter(None, (done, behind or "all is published", run.low)))


class Bell:
    """Wakes the loop, from a signal handler or from another thread.

    It is a pipe and not a :class:`threading.Event`: a signal handler could interrupt the main thread while that holds
    the lock of the event, and would then wait for the lock forever.

    Attributes
    ----------
    stopped : bool
        Whether the loop must end.
    """

    def __init__(self) -> None:
        self.stopped = False
        self.reader, self.writer = os.pipe()
        os.set_blocking(self.reader, False)
        os.set_blocking(self.writer, False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        os.close(self.reader)
        os.close(self.writer)

    def ring(self) -> None:
        """Wake the loop, or keep it from sleeping."""
        with suppress(BlockingIOError):  # the pipe is full, which wakes the loop as well
            os.write(self.writer, b".")

    def wait(self, seconds: float) -> bool:
        """Sleep until it rings, at most for ``seconds``; return whether it rang."""
        ready, _, _ = select.select([self.reader], [], [], seconds)
        with suppress(BlockingIOError):
            while os.read(self.reader, 4096):
                pass
        return bool(ready)


def work_through(run: Run, incoming: Incoming, bell: Bell) -> None:
    """Archive what is ready, some files at a time, and publish the day files that are due."""
    run.root.check_there()
    ready = incoming.find_ready()

    for start in range(0, max(len(ready), 1), ACCEPTED_TOGETHER):
        paths = ready[start : start + ACCEPTED_TOGETHER]
        if bell.stopped:
            return
        run.recorder.state.queued = len(ready) - start + len(incoming.waiting)
        for group, _ in group_arrivals(accept(run.root, paths, run.hold)):
            run.take(group)
        # Also if no day file is due: it releases sources without new records.
        run.publish(run.pipeline.day_files.list_due())


def compute_pause(run: Run, incoming: Incoming) -> float:
    """Compute the seconds until the next check without a notice."""
    core = run.pipeline.settings.core
    waits = [core.watch_rescan]
    if incoming.waiting:
        waits.append(core.watch_settle)
    waits += run.pipeline.day_files.compute_waits().values()
    return max(min(waits), SHORTEST_PAUSE)


@contextmanager
def stop_by_signals(bell: Bell) -> Iterator[None]:
    """Let SIGTERM and SIGINT end the loop; a second SIGINT raises KeyboardInterrupt, at any place."""

    def stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the form of a signal handler
        """Stop the loop."""
        if number == signal.SIGINT:
            if bell.stopped:
                raise KeyboardInterrupt
            announce(f"publishing what was accepted; {AGAIN}")
        bell.stopped = True
        bell.ring()

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def watch_directory(directory: Path, bell: Bell) -> Iterator[None]:
    """Ring when something changes in a directory.

    Without the library watchfiles (extra ``watch``), or without notices from the system, it never rings, and only the
    rescan finds files.
    """
    try:
        from watchfiles import watch
    except ImportError:
        logger.info("no notices of what arrives: they need an extra; %s", suggest_extra("watch"))
        yield
        return
    ended = threading.Event()

    def follow() -> None:
        """Ring for each notice, in a thread."""
        notices = watch(directory, stop_event=ended, step=NOTICE_STEP, raise_interrupt=False, yield_on_timeout=True)
        try:
            for number, changes in enumerate(notices):
                # The first time also without a change: there is no notice of files that arrived before it started.
                if changes or number == 0:
                    bell.ring()
        except (OSError, RuntimeError) as error:  # raised by watchfiles, for instance if too much is watched already
            logger.warning("no notices of what arrives (%s); incoming/ is read every watch.rescan seconds", error)

    thread = threading.Thread(target=follow, name="notices of incoming", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
