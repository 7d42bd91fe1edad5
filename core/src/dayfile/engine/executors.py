"""A run in one process: it takes all sources, one group after the other."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from dayfile.archive.root import Root
from dayfile.engine.accepting import accept_each
from dayfile.engine.intake import Arrival, Incoming, group_arrivals, list_own
from dayfile.engine.offering import Offered, accept_offered, add_keys_to_all, convert_given, find_given
from dayfile.engine.report import Report
from dayfile.engine.run import Run
from dayfile.engine.starting import start_run
from dayfile.engine.tuning import DEFAULTS, Tuning
from dayfile.plugins import Plugins
from dayfile.settings import Settings

__all__ = ["Progress", "count_waiting", "find_accepted", "find_arrivals", "run_given", "run_serial", "show_nothing"]

Progress = Callable[[int, int, str], None]
"""Called with the number of sources done, their total, and the name of the next; the name is empty while publishing."""


def show_nothing(done: int, total: int, name: str) -> None:
    """Show nothing."""


def run_serial(
    root: Root,
    plugins: Plugins,
    settings: Settings,
    given: Iterable[Path | Offered] = (),
    progress: Progress = show_nothing,
    *,
    tuning: Tuning = DEFAULTS,
) -> Report:
    """Archive what is in ``incoming/`` and what is given, in this process, one group of sources after the other.

    Parameters
    ----------
    root : Root
        The archive; created if its path does not exist.
    plugins : Plugins
        The plugins that decode.
    settings : Settings
        Settings of the archive and of each plugin.
    given : iterable of Path or Offered
        Files and directories, which are read in place and never moved; bytes and pipes.
    progress : callable
        Called before each group of sources.
    tuning : Tuning
        Sizes of groups and blocks, and bounds on waiting day files.

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
        The archive could not be written; input is left in place.
    """
    sources = find_given(given)
    with start_run(root, plugins, settings, make=True, tuning=tuning) as run:
        arrivals = find_arrivals(run, settings.core.watch_settle, accept_offered(run, sources))
        take_all(run, arrivals, len(sources) + count_waiting(root), progress, tuning)
    return run.report


def run_given(
    root: Root,
    plugins: Plugins,
    settings: Settings,
    given: Iterable[Path | Offered],
    *,
    keys: Mapping[str, str | int] | None = None,
    wait: float = 0.0,
    tuning: Tuning = DEFAULTS,
) -> Report:
    """Archive what is given, and nothing else; what other runs left, and ``incoming/``, are for the next full run.

    Parameters
    ----------
    root : Root
        The archive.
    plugins, settings, given, tuning
        As for :func:`run_serial`.
    keys : mapping of str to str or int, optional
        What the sources do not say themselves: settings of the plugins, by their names, for these sources.
    wait : float
        Seconds to wait for another run to end.

    Returns
    -------
    Report
        What was done.

    Raises
    ------
    UsageError, ArchiveLockedError, StorageError
        As for :func:`run_serial`; a UsageError also if no plugin has a setting of the name of a key.
    SettingsError
        A key has an impossible value.
    """
    sources = find_given(given)
    offered: Iterable[Arrival | Offered] = sources
    if keys:
        offered = add_keys_to_all(sources, plugins, settings, convert_given(keys))
    with start_run(root, plugins, settings, command="put", wait=wait, tuning=tuning) as run:
        arrivals = (arrival for arrival in accept_offered(run, offered) if arrival.path.absolute() not in run.skipped)
        take_all(run, arrivals, len(sources), show_nothing, tuning)
    return run.report


def take_all(run: Run, arrivals: Iterable[Arrival], total: int, progress: Progress, tuning: Tuning) -> None:
    """Archive sources, one group after the other, and publish their day files."""
    done = 0
    for group, _ in group_arrivals(arrivals, tuning):
        progress(done, total, group[0].path.name)
        run.take(group)
        run.publish_idle(tuning.most_waiting)
        done += len(group)
    progress(total, total, "")
    run.publish()


def count_waiting(root: Root) -> int:
    """Count the files in ``accepted/`` and ``incoming/``, to show the progress of a run."""
    return sum(len(list_own(directory, lambda *_: None)) for directory in (root.accepted, root.incoming))


def find_accepted(run: Run) -> Iterator[Arrival]:
    """Find the sources that an earlier run accepted and did not release."""
    for file in list_own(run.root.accepted, run.report_unseen):
        if file.path not in run.skipped:
            yield Arrival(file.path, ours=True)


def find_arrivals(run: Run, settle: float, given: Iterable[Arrival]) -> Iterator[Arrival]:
    """Find everything that a run takes: sources an earlier run accepted, given files, arrived files."""
    yield from find_accepted(run)
    yield from (arrival for arrival in given if arrival.path.absolute() not in run.skipped)
    incoming = Incoming(run.root, settle, run.report_unseen, run.is_passed_over)
    yield from accept_each(run.root, incoming.find_ready(), run.hold)
    if incoming.waiting:
        time.sleep(settle)
        yield from accept_each(run.root, incoming.find_ready(), run.hold)
        run.report.growing = [str(path.relative_to(run.root.path)) for path in incoming.waiting]
