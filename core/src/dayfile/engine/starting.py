"""Starting a run: lock the archive, and repair what a killed run left behind."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from dayfile.archive import disk
from dayfile.archive.bases import check_bases, check_links, link_base
from dayfile.archive.catalogue import Catalogue
from dayfile.archive.catalogue_rows import find_losses
from dayfile.archive.counting import complete_catalogue, count_day_file
from dayfile.archive.digests import Digest
from dayfile.archive.opening import DayFileError
from dayfile.archive.quarantine import Quarantine
from dayfile.archive.reindexing import make_catalogue
from dayfile.archive.root import Root
from dayfile.engine.accepting import accept_each
from dayfile.engine.full_disk import warn_when_low
from dayfile.engine.intake import list_further
from dayfile.engine.pipeline import Pipeline
from dayfile.engine.report import Report
from dayfile.engine.run import Run
from dayfile.engine.tuning import DEFAULTS, Tuning
from dayfile.hdf5.library import load_library
from dayfile.plugins import Plugins
from dayfile.settings import Settings
from dayfile.state.engine import EngineRecorder, record_engine
from dayfile.state.records import EngineCommand
from dayfile.stores.declarations import TypeFinder, make_type_finder

__all__ = ["start_run"]

logger = logging.getLogger(__name__)


@contextmanager
def start_run(
    root: Root,
    plugins: Plugins,
    settings: Settings,
    *,
    command: EngineCommand = "run",
    only: str | None = None,
    make: bool = False,
    wait: float = 0.0,
    tuning: Tuning = DEFAULTS,
    before: EngineRecorder | None = None,
) -> Iterator[Run]:
    """Start a run in the archive's lock, after repairing what a killed run left behind.

    What it does is recorded as that of a ``command``, after what ``before`` has recorded in the same watch. With
    ``make``, create an archive if its path does not exist. Wait at most ``wait`` seconds for another run to end. With
    ``only``, the path of a day file below the root, write no other: it is rebuilt.

    Raises
    ------
    UsageError, SettingsError
        The environment names an impossible base directory, or ``intake.also`` a directory that must not be moved.
    ArchiveLockedError
        Another run works on the archive, and did not end in time.
    StorageError
        The archive does not exist, or could not be written; input is left in place.
    InstallationError
        The HDF5 library cannot be called.
    """
    load_library()  # before any source is touched: without it nothing can be written
    check_bases(root, plugins.bases)
    unseen: list[tuple[Path, OSError]] = []
    also = list_further(root, settings.core.intake_also, lambda path, error: unseen.append((path, error)))
    made = root.prepare(make=make)
    with root.hold_lock(wait) as crashed, record_engine(root, command, before) as recorder:
        if command != "put":
            recorder.beat("preparing")
        report = Report(failures=list(plugins.failures), recovered=crashed, made=str(root.path) if made else "")
        for name, variable in plugins.bases.items():
            if os.environ.get(variable):
                link_base(root, name, Path(os.environ[variable]), variable)
        check_links(root, plugins.data_types.values())
        rebuilt = replace_lost_catalogue(root, plugins)
        find_type = make_type_finder(plugins.data_types.values())
        record_announced(root, find_type)
        complete_catalogue(root, find_type)
        if crashed or rebuilt or not recorder.keys.is_complete():
            recorder.keys.replace(Catalogue(root.catalogue).list_newest())
        Quarantine(root).repair()
        pipeline = Pipeline(root, plugins, settings, report, recorder, only=only)
        run = Run(root, pipeline, tuning.block_bytes)
        run.low = warn_when_low(root, settings.core.disk_least_free)
        for path, error in unseen:
            run.report_unseen(path, error)
        for _ in accept_each(root, also, run.hold):
            pass  # the run takes them from accepted/
        process = os.getpid()
        try:
            run.try_suspects()
            yield run
        finally:
            if os.getpid() == process:  # not a fork that ends in here
                pipeline.abandon()
        if os.getpid() == process:
            run.finish()


def replace_lost_catalogue(root: Root, plugins: Plugins) -> bool:
    """Rebuild the catalogue if it is missing and day files exist: a run would only list the files it writes.

    Return whether it was rebuilt.
    """
    if Catalogue(root.catalogue).exists() or (day_file := root.find_day_file()) is None:
        return False
    logger.warning("the catalogue is missing, and there are day files (%s); rebuilding it from them", day_file)
    for note in make_catalogue(root, plugins).notes:
        logger.warning("%s", note)
    return True


def record_announced(root: Root, find_type: TypeFinder) -> None:
    """Record day files in the catalogue that a run announced, but did not record because it was killed.

    A file that cannot be read, for instance after a power cut, stays announced, with a warning: the rest of the run
    does not need it, and ``dayfile rebuild``, which repairs it, is a run too. If a file is missing, or has fewer
    records than the catalogue, the rows of the catalogue stay: no run has published that file.
    """
    catalogue = Catalogue(root.catalogue)
    for path, day in catalogue.list_announced().items():
        published = root.day_file(path)
        try:
            if disk.exists(published):
                found = count_day_file(root, path, str(day), find_type, blobs=True)
                if not find_losses(catalogue.read_file_rows(path), found.rows) or catalogue.list_losses(path):
                    catalogue.record({path: replace(found, digest=Digest.of(published))})
                    continue
        except DayFileError as error:
            logger.warning("%s", error)
            continue
        catalogue.withdraw([path])
