"""The catalogue made anew from the day files, which it is derived from."""

from __future__ import annotations

import tables

from dayfile.archive import disk
from dayfile.archive.catalogue import Catalogue, CatalogueRow, catalogue_rows
from dayfile.archive.root import Root
from dayfile.archive.survey import DAMAGED, REMEDY, survey
from dayfile.stores.ledger import Ledger
from dayfile.stores.nodes import Told

__all__ = ["make_catalogue"]


def make_catalogue(root: Root, told: Told) -> tuple[int, list[str]]:
    """Make the catalogue anew, without changing a byte of the day files.

    Parameters
    ----------
    root : Root
        The archive, locked.
    told : callable
        Tells the data type of a table, also of one of other origin.

    Returns
    -------
    (int, list of str)
        How many day files it tells of, and a message for each that could not be read.
    """
    making = root.workshop / "catalogue.db"
    catalogue = Catalogue(making)
    catalogue.announce({})
    found: dict[str, list[CatalogueRow]] = {}
    problems = []
    for path in root.day_files():
        try:
            with tables.open_file(root.path / path, "r") as file:
                ledger = Ledger.read(file)
                summaries = survey(file, told)
        except DAMAGED as error:
            problems.append(f"{path}: cannot be read ({type(error).__name__}); {REMEDY}")
            continue
        days = {str(time.astype("datetime64[D]")) for time in (s.first for s in summaries) if time is not None}
        day = ledger.day or min(days, default="")
        if day:
            found[path] = catalogue_rows(path, day, summaries)
    catalogue.record(found)
    disk.sync(making)
    # What a killed writer left to be undone is for the old catalogue, and would damage the new one.
    disk.unlink(root.catalogue.with_name("catalogue.db-journal"))
    disk.rename(making, root.catalogue)
    return len(found), problems
