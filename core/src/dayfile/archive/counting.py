"""Read what a day file holds for the catalogue, and complete a catalogue that was of the first form."""

from __future__ import annotations

import logging

from dayfile.archive.catalogue import Catalogue
from dayfile.archive.catalogue_rows import Publication, find_losses, make_rows
from dayfile.archive.opening import DayFileError, Trouble, open_day_file
from dayfile.archive.root import Root
from dayfile.archive.survey import open_leaves, survey, survey_table
from dayfile.hdf5.vlen import VlenArray
from dayfile.messages import plural
from dayfile.stores.declarations import TypeFinder
from dayfile.stores.ledger import Ledger

__all__ = ["complete_catalogue", "count_day_file"]

TOGETHER = 100
"""Day files that are counted between two writes of the catalogue, and read again after a kill at most."""

logger = logging.getLogger(__name__)


def count_day_file(root: Root, path: str, day: str, find_type: TypeFinder, *, blobs: bool = False) -> Publication:
    """Read what a day file holds by type, key and hour, without its digest; its blobs only if they are to be read too.

    Raises
    ------
    DayFileError
        It cannot be read.
    """
    with open_day_file(root.path / path) as file:
        ledger = Ledger.read(file)
        if blobs:
            summaries = survey(file, find_type)
        else:
            summaries = [survey_table(leaf, find_type) for leaf in open_leaves(file) if not isinstance(leaf, VlenArray)]
    return Publication(make_rows(path, day, summaries), None, ledger.chain)


def complete_catalogue(root: Root, find_type: TypeFinder) -> None:
    """Count the day files that a catalogue knows from its first form only; the archive is locked.

    What was counted is written now and then, so that a run that is killed need not begin again. A day file that cannot
    be read, or has fewer records than the catalogue lists, keeps what was known of it, and the next run tries again.

    Raises
    ------
    StorageError
        The catalogue cannot be written.
    """
    catalogue = Catalogue(root.catalogue)
    uncounted = list(catalogue.list_uncounted().items())
    if uncounted:
        logger.info(
            "the catalogue was written by an earlier version: reading %s to complete it",
            plural(len(uncounted), "day file"),
        )
    for start in range(0, len(uncounted), TOGETHER):
        counted: dict[str, Publication] = {}
        for path, day in uncounted[start : start + TOGETHER]:
            try:
                found = count_day_file(root, path, day, find_type)
            except DayFileError as error:
                if error.trouble is not Trouble.ABSENT:
                    logger.warning("%s", error)
                continue
            if not find_losses(catalogue.read_file_rows(path), found.rows):
                counted[path] = found
        if counted:
            catalogue.record(counted)
