"""Runs: every source through the pipeline, then every day file published, then the sources released."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from pydantic import BaseModel

from dayfile.archive import disk
from dayfile.archive.root import Root
from dayfile.engine.intake import arrivals, given_files, visible_files
from dayfile.engine.pipeline import Pipeline
from dayfile.engine.report import Report
from dayfile.model.batch import Source
from dayfile.plugins import Failure, Plugins

__all__ = ["Progress", "run_serial"]

Progress = Callable[[int, int, str], None]
"""Called with the number of sources done, of all, and the name of the next; with an empty name while publishing."""


def silent(done: int, total: int, name: str) -> None:
    """Show nothing."""


def run_serial(
    root: Root,
    plugins: Plugins,
    settings: dict[str, BaseModel],
    given: Iterable[Path] = (),
    progress: Progress = silent,
) -> Report:
    """Archive what lies in ``incoming/`` and what is given, in this process, one source after the other.

    Parameters
    ----------
    root : Root
        The archive; made if absent.
    plugins : Plugins
        Who decodes.
    settings : dict of str to BaseModel
        Settings of each plugin.
    given : iterable of Path
        Files and directories; read where they lie and never moved.
    progress : callable
        Told before each source.

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
    root.create()
    with root.locked():
        report = Report(failures=list(plugins.failures))
        pipeline = Pipeline(root, plugins, settings, report)
        total = len(files) + len(visible_files(root.accepted)) + len(visible_files(root.incoming))
        release: list[Path] = []
        for done, arrival in enumerate(arrivals(root, files)):
            progress(done, total, arrival.name)
            try:
                source = Source.read(arrival.path)
            except OSError as error:
                message = f"{arrival.path}: cannot be read ({error.strerror}); it stays where it is"
                report.failures.append(Failure("dayfile", message, type(error).__name__))
                continue
            pipeline.take(source)
            if arrival.ours:
                release.append(arrival.path)
        progress(total, total, "")
        pipeline.publish()
        released(root, release)
        report.finish()
    return report


def released(root: Root, paths: Sequence[Path]) -> None:
    """Remove sources from ``accepted/``: their records are published, or they are in quarantine."""
    for path in paths:
        disk.unlink(path)
        if path.parent != root.accepted and not any(path.parent.iterdir()):
            with disk.storage_errors("remove", path.parent):
                path.parent.rmdir()
