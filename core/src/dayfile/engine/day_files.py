"""The second half of a source's way: day files in the making, from their first record to their publication."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dayfile.archive import disk
from dayfile.archive.catalogue import Catalogue
from dayfile.archive.catalogue_rows import Publication, make_rows
from dayfile.archive.digests import NOT_PUBLISHED
from dayfile.archive.opening import REMEDY, DayFileError, open_day_file
from dayfile.archive.root import Root, resolve_links
from dayfile.archive.survey import survey
from dayfile.archive.workfile import WorkFile
from dayfile.engine.shares import Setback
from dayfile.errors import HeldError, PluginError, StorageError
from dayfile.model.batch import Origin
from dayfile.plugins import Plugins
from dayfile.settings import Settings
from dayfile.stores.declarations import make_type_finder
from dayfile.stores.ledger import Ledger

__all__ = ["OPEN_FILES", "DayFiles"]

# HDF5 keeps about a megabyte for an open file, and an index of the rows that are there takes some 40 bytes a row. Work
# files beyond these bounds are closed until they are written again; two stay open, as at midnight both are written.
OPEN_FILES = 8
OPEN_ROWS = 1_000_000
LEAST_OPEN = 2


class DayFiles:
    """The day files that one process writes; no other writes them meanwhile.

    Parameters
    ----------
    root : Root
        The archive, locked.
    plugins : Plugins
        Who writes.
    settings : Settings
        Of the archive.
    name : str
        Begins the names of the work files, so that those of several processes differ.
    anew : bool
        Whether day files are made anew, whatever the published ones hold.
    """

    def __init__(self, root: Root, plugins: Plugins, settings: Settings, name: str = "", *, anew: bool = False) -> None:
        self.root = root
        self.plugins = plugins
        self.settings = settings
        self.name = name
        self.anew = anew
        self.told = make_type_finder(plugins.data_types.values())
        self.catalogue = Catalogue.of(root)
        self.work_files: dict[str, WorkFile] = {}
        self.used: dict[str, WorkFile] = {}  # those that may be open, used longest ago first
        # Names of the sources of day files in the making, by identity: one may come again before the ledger is told.
        self.taken: dict[str, dict[str, str]] = {}
        # Statuses that were given to records of each, to be undone if it is given up.
        self.statuses: dict[str, list[tuple[str, npt.NDArray[np.uint8]]]] = {}
        self.setbacks: dict[str, Setback] = {}
        self.files: dict[Path, str] = {}  # their paths, by where links lead
        self.made = 0

    def open(self, path: str, day: np.datetime64, data_type: str) -> WorkFile:
        """The work file of a day file.

        Raises
        ------
        PluginError
            No day file can have the path, or it is the day file of another day.
        HeldError
            The published one cannot be read, is not what was published, or the day of the data type is in another one.
        """
        if path not in self.work_files:
            self.work_files[path] = self._begin(path, day)
        work_file = self.work_files[path]
        if work_file.ledger.day != str(day):
            raise PluginError(f"locate_file puts {day} into {path}, which is the day file of {work_file.ledger.day}")
        if work_file.base is None and not self.anew:
            self._check_elsewhere(path, day, data_type)
        self.used.pop(path, None)
        self.used[path] = work_file
        while len(self.used) > OPEN_FILES or (
            len(self.used) > LEAST_OPEN and sum(file.rows for file in self.used.values()) > OPEN_ROWS
        ):
            oldest = next(iter(self.used))
            try:
                self.used[oldest].close()
            except StorageError as error:
                self.setbacks[oldest] = self.give_up(oldest, error)
            else:
                del self.used[oldest]
        return work_file

    def _begin(self, path: str, day: np.datetime64) -> WorkFile:
        """A new work file, from the published day file if there is one; HeldError if that cannot be trusted."""
        published = self.root.day_file(path)
        other = self.files.setdefault(resolve_links(published), path)
        if other != path:
            raise PluginError(f"{path} and {other} are one file, by a link; each day file needs a path of its own")
        self.made += 1
        try:
            digest = None if self.anew else self.catalogue.digest(path)
            work_file = WorkFile(
                published,
                self.root.workshop / f"{self.name}{self.made}-{published.name}",
                day,
                keep_duplicates=self.settings.core.duplicates == "keep",
                on_conflict=self.settings.core.on_conflict,
                from_published=not self.anew,
                find_type=self.told,
                taken=digest is not None and digest.taken,
            )
            if digest is not None and work_file.base is not None and not digest.describes(published):
                raise HeldError(f"{path} {NOT_PUBLISHED}")
        except DayFileError as error:
            raise HeldError(str(error)) from error
        return work_file

    def _check_elsewhere(self, path: str, day: np.datetime64, data_type: str) -> None:
        """HeldError where there is no day file at the path, and records of the day are in one at another path."""
        for other in self.catalogue.find_elsewhere(data_type, str(day), path):
            if disk.exists(self.root.path / other):
                message = f"{data_type} of {day} is in {other}; move that file to {path} and run: dayfile reindex"
                raise HeldError(message)

    def give_up(self, path: str, error: StorageError) -> Setback:
        """Give a work file up whose published day file is damaged; if that one is good, the error is the disk's."""
        reason = self._base_trouble(path)
        if not reason:
            raise error
        return Setback(reason, self.drop(path))

    def _base_trouble(self, path: str) -> str:
        """What is wrong with the published day file that a work file began from; empty if nothing is."""
        work_file = self.work_files.get(path)
        base = None if work_file is None else work_file.base
        if work_file is None or base is None or not work_file.path.exists():  # the new one may be in its place already
            return ""
        try:
            digest = self.catalogue.digest(path)
            if digest is not None and not digest.describes(base, deep=True):
                return f"{path} {NOT_PUBLISHED}"
            if digest is not None and digest.taken:
                return ""
            with open_day_file(base) as file:
                expected = Ledger.read(file).checksums
                found = {summary.path: (summary.rows, summary.checksum) for summary in survey(file)}
        except DayFileError as error:
            return str(error)
        changed = [node for node, told in expected.items() if found.get(node) != told]
        return f"{path} is damaged: {', '.join(changed[:3])} changed since publication; {REMEDY}" if changed else ""

    def take_setbacks(self) -> dict[str, Setback]:
        """The day files that were given up since this was last asked."""
        setbacks, self.setbacks = self.setbacks, {}
        return setbacks

    def enter(self, path: str, origin: Origin, records: int) -> None:
        """Enter a source into the ledger of a day file, once all its records are written there and elsewhere."""
        self.work_files[path].enter(origin, records)

    def due(self) -> list[str]:
        """Day files that it is time to publish while more may come."""
        core = self.settings.core
        return [path for path, file in self.work_files.items() if file.is_due(core.publish_after, core.publish_growth)]

    def changed(self, paths: Container[str] | None = None) -> dict[str, np.datetime64]:
        """Day files with something new, and their days; of those named, or of all."""
        return {
            path: file.day
            for path, file in self.work_files.items()
            if file.changed and (paths is None or path in paths)
        }

    def publish(self, paths: Iterable[str]) -> Iterator[tuple[str, Publication | Setback]]:
        """Publish day files one by one: path, and what the catalogue is to say of each, or why it was given up."""
        for path in list(paths):
            work_file = self.work_files[path]
            try:
                summaries, digest = work_file.publish()
            except HeldError as error:
                yield path, Setback(str(error), self.drop(path))
                continue
            except StorageError as error:
                yield path, self.give_up(path, error)
                continue
            del self.work_files[path]
            self.used.pop(path, None)
            self.taken.pop(path, None)
            self.statuses.pop(path, None)
            rows = make_rows(path, str(work_file.day), summaries)
            yield path, Publication(rows, digest, work_file.ledger.chain, tuple(work_file.arrivals))

    def forget_unchanged(self) -> None:
        """Let go of those that were asked what they hold, or could not take what came."""
        for path in self.work_files.keys() - self.changed().keys():
            self.drop(path)

    def drop(self, path: str) -> list[tuple[str, npt.NDArray[np.uint8]]]:
        """Let go of a work file and all that it holds; the statuses of the records that were written to it."""
        self.used.pop(path, None)
        self.taken.pop(path, None)
        work_file = self.work_files.pop(path)
        work_file.abandon()
        work_file.path.unlink(missing_ok=True)
        return self.statuses.pop(path, [])

    def abandon(self) -> None:
        """Let go of all work files after a failure; the next run begins them anew."""
        for work_file in self.work_files.values():
            work_file.abandon()
        self.work_files.clear()
        self.used.clear()
        self.taken.clear()
        self.statuses.clear()
