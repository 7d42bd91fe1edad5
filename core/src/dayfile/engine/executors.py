"""The engine of one process: all that there is to take, one group of sources after the other."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from dayfile.archive.root import Root
from dayfile.engine.accepting import accept_each
from dayfile.engine.intake import Arrival, Incoming, given_files, groups, own_files
from dayfile.engine.report import Report
from dayfile.engine.run import Run
from dayfile.engine.starting import started
from dayfile.engine.tuning import DEFAULTS, Tuning
from dayfile.plugins import Plugins
from dayfile.settings import Settings

__all__ = ["Progress", "accepted_before", "arrivals", "count_waiting", "run_serial", "silent"]

Progress = Callable[[int, int, str], None]
"""Called with the number of sources done, of all, and the name of the next; with an empty name while publishing."""


def silent(done: int, total: int, name: str) -> None:
    """Show nothing."""


def run_serial(
    root: Root,
    plugins: Plugins,
    settings: Settings,
    given: Iterable[Path] = (),
    progress: Progress = silent,
    *,
    tuning: Tuning = DEFAULTS,
) -> Report:
    """Archive what lies in ``incoming/`` and what is given, in this process, one group of sources after the other.

    Parameters
    ----------
    root : Root
        The archive; made if nothing is at its path.
    plugins : Plugins
        Who decodes.
    settings : Settings
        Of the archive and of each plugin.
    given : iterable of Path
        Files and directories; read where they lie and never moved.
    progress : callable
        Told before each group of sources.
    tuning : Tuning
        How much is taken at once, and how much may wait.

    Returns
    -------
    Report
        What was done.

    Raises
    ------
    UsageError
        A given path does not exist.
    ArchiveLockedError
        Another run works on the archive.
    StorageError
        The archive could not be written; input is where it was.
    """
    files = given_files(given)
    with started(root, plugins, settings, make=True, tuning=tuning) as run:
        total = len(files) + count_waiting(root)
        done = 0
        for group, _ in groups(arrivals(run, settings.core.watch_settle, files), tuning):
            progress(done, total, group[0].path.name)
            run.take(group)
            run.publish_idle(tuning.most_waiting)
            done += len(group)
        progress(total, total, "")
        run.publish()
    return run.report


def count_waiting(root: Root) -> int:
    """Count the files that a run finds in ``accepted/`` and ``incoming/``, to show how far it is."""
    return sum(len(own_files(directory, lambda *_: None)) for directory in (root.accepted, root.incoming))


def accepted_before(run: Run) -> Iterator[Arrival]:
    """What an earlier run had accepted and not released."""
    for file in own_files(run.root.accepted, run.unseen):
        if file.path not in run.skipped:
            yield Arrival(file.path, ours=True)


def arrivals(run: Run, settle: float, given: Iterable[Arrival]) -> Iterator[Arrival]:
    """Everything a run has to take: what an earlier run had accepted, what was given, what arrived."""
    yield from accepted_before(run)
    yield from (arrival for arrival in given if arrival.path.absolute() not in run.skipped)
    incoming = Incoming(run.root, settle, run.unseen, run.passed_over)
    yield from accept_each(run.root, incoming.ready(), run.hold)
    if incoming.waiting:
        time.sleep(settle)
        yield from accept_each(run.root, incoming.ready(), run.hold)
        run.report.growing = [str(path.relative_to(run.root.path)) for path in incoming.waiting]
