"""How a run starts: in the archive's lock, with what one that was killed left behind put right."""

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
from dayfile.engine.accepting import (
    accept_each,
)
from dayfile.engine.intake import left_behind
from dayfile.engine.pipeline import Pipeline
from dayfile.engine.report import Report
from dayfile.engine.run import Run
from dayfile.engine.tuning import DEFAULTS, Tuning
from dayfile.hdf5.library import load_library
from dayfile.plugins import Plugins
from dayfile.settings import Settings
from dayfile.stores.declarations import TypeFinder, make_type_finder

__all__ = ["started"]

logger = logging.getLogger(__name__)


@contextmanager
def started(
    root: Root,
    plugins: Plugins,
    settings: Settings,
    *,
    only: str | None = None,
    make: bool = False,
    tuning: Tuning = DEFAULTS,
) -> Iterator[Run]:
    """A run in the archive's lock, with what a killed run left behind put right.

    ``make``: make an archive where nothing is at its path.

    Raises
    ------
    UsageError, SettingsError
        The environment names a base directory that cannot be one, or ``intake.also`` what may not be taken in.
    ArchiveLockedError
        Another run works on the archive.
    StorageError
        There is no archive, or it could not be written; input is where it was.
    InstallationError
        The HDF5 library cannot be called.
    """
    load_library()  # before any source is touched: without it nothing can be written
    check_bases(root, plugins.bases)
    unseen: list[tuple[Path, OSError]] = []
    also = left_behind(root, settings.core.intake_also, lambda path, error: unseen.append((path, error)))
    made = root.prepare(make=make)
    with root.hold_lock() as crashed:
        report = Report(failures=list(plugins.failures), recovered=crashed, made=str(root.path) if made else "")
        for name, variable in plugins.bases.items():
            if os.environ.get(variable):
                link_base(root, name, Path(os.environ[variable]), variable)
        check_links(root, plugins.data_types.values())
        replace_lost_catalogue(root, plugins)
        find_type = make_type_finder(plugins.data_types.values())
        record_announced(root, find_type)
        complete_catalogue(root, find_type)
        Quarantine(root).repair()
        pipeline = Pipeline(root, plugins, settings, report, only=only)
        run = Run(root, pipeline, tuning.block_bytes)
        for path, error in unseen:
            run.unseen(path, error)
        for _ in accept_each(root, also, run.hold):
            pass  # they are taken with all that is in accepted/
        process = os.getpid()
        try:
            run.try_suspects()
            yield run
        finally:
            if os.getpid() == process:  # a fork that ends in here has no part in the run
                pipeline.abandon()
        if os.getpid() == process:
            run.finish()


def replace_lost_catalogue(root: Root, plugins: Plugins) -> None:
    """Make a new catalogue where there is none and day files are: one made by a run would list a part of them."""
    if Catalogue(root.catalogue).exists() or (day_file := root.find_day_file()) is None:
        return
    logger.warning("the catalogue is missing, and there are day files (%s); rebuilding it from them", day_file)
    for note in make_catalogue(root, plugins).notes:
        logger.warning("%s", note)


def record_announced(root: Root, find_type: TypeFinder) -> None:
    """Put into the catalogue what a run announced and, cut off, did not record.

    One that cannot be read, as after a loss of power, stays announced, and a warning says so: the rest of the run does
    not need it, and ``dayfile rebuild``, which mends it, is a run too. Of one that is not there, what was known stays.
    So it does where the file has fewer records than were known: that is none that a run has published.
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
