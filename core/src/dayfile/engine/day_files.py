"""Day files while they are written, from their first record to their publication."""

from __future__ import annotations

import time
from collections.abc import Callable, Container, Iterable, Iterator
from contextlib import suppress
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
from dayfile.engine.schedule import Schedule
from dayfile.engine.shares import Setback
from dayfile.errors import HeldError, PluginError, StorageError
from dayfile.messages import format_size
from dayfile.model.batch import Origin
from dayfile.plugins import Plugins
from dayfile.settings import Settings
from dayfile.stores.declarations import make_type_finder
from dayfile.stores.ledger import Ledger

__all__ = ["OPEN_FILES", "DayFiles"]

# HDF5 needs about a megabyte for an open file, and the index of existing rows about 40 bytes a row. Work files beyond
# these bounds are closed until they are written again. Two stay open, because at midnight both are written.
OPEN_FILES = 8
OPEN_ROWS = 1_000_000
LEAST_OPEN = 2


class DayFiles:
    """The day files that one process writes. No other process writes them meanwhile.

    Parameters
    ----------
    root : Root
        The archive, locked.
    plugins : Plugins
        The plugins that write.
    settings : Settings
        Settings of the archive.
    name : str
        Prefix of the names of work files, so that several processes use different names.
    new : bool
        Whether day files start empty, whatever the published ones hold.
    observe : callable
        Called before a day file is opened or published, with what is done and its size in bytes.
    """

    def __init__(
        self,
        root: Root,
        plugins: Plugins,
        settings: Settings,
        name: str = "",
        *,
        new: bool = False,
        observe: Callable[[str, int], None] = lambda *_: None,
    ) -> None:
        self.root = root
        self.plugins = plugins
        self.settings = settings
        self.name = name
        self.new = new
        self.observe = observe
        self.find_type = make_type_finder(plugins.data_types.values())
        self.catalogue = Catalogue.of(root)
        self.work_files: dict[str, WorkFile] = {}
        self.used: dict[str, WorkFile] = {}  # those that may be open, least recently used first
        self.alone: dict[str, set[str]] = {}  # types of each that no other day file has on its day
        # Names of the sources of each work file by identity: a source may come again before it is in the ledger.
        self.taken: dict[str, dict[str, str]] = {}
        # Statuses of the records written to each, to be taken back if it is given up.
        self.statuses: dict[str, list[tuple[str, npt.NDArray[np.uint8]]]] = {}
        self.setbacks: dict[str, Setback] = {}
        self.files: dict[Path, str] = {}  # their paths by their targets, with links resolved
        self.schedule = Schedule(settings.core)
        self.made = 0

    def open(self, path: str, day: np.datetime64, data_type: str) -> WorkFile:
        """Open the work file of a day file.

        Raises
        ------
        PluginError
            No day file can have the path, or it is the day file of another day.
        HeldError
            The day file cannot be read, is not the one that was published, or another file has this day of the data
            type.
        """
        if path not in self.work_files:
            self.work_files[path] = self._begin(path, day)
        work_file = self.work_files[path]
        if work_file.ledger.day != str(day):
            raise PluginError(f"locate_file puts {day} into {path}, which is the day file of {work_file.ledger.day}")
        if work_file.base is None and not self.new and data_type not in self.alone[path]:
            self._check_elsewhere(path, day, data_type)
            self.alone[path].add(data_type)
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
        """Make a work file from the published day file, if it exists; HeldError if that file cannot be trusted."""
        published = self.root.day_file(path)
        other = self.files.setdefault(resolve_links(published), path)
        if other != path:
            raise PluginError(f"{path} and {other} are one file, by a link; each day file needs a path of its own")
        self.made += 1
        self.alone[path] = set()
        self._announce("opening", path, published)
        try:
            digest = None if self.new else self.catalogue.digest(path)
            work_file = WorkFile(
                published,
                self.root.workshop / f"{self.name}{self.made}-{published.name}",
                day,
                keep_duplicates=self.settings.core.duplicates == "keep",
                on_conflict=self.settings.core.on_conflict,
                from_published=not self.new,
                find_type=self.find_type,
                taken=digest is not None and digest.taken,
            )
            if digest is not None and work_file.base is not None and not digest.describes(published):
                raise HeldError(f"{path} {NOT_PUBLISHED}")
        except DayFileError as error:
            raise HeldError(str(error)) from error
        return work_file

    def _announce(self, what: str, path: str, file: Path) -> None:
        """Call the observer before something that takes as long as a file is large."""
        size = 0
        with suppress(OSError):  # it does not exist yet, or fails where it is used
            size = file.stat().st_size
        self.observe(f"{what} {path} ({format_size(size)})" if size else f"{what} {path}", size)

    def _check_elsewhere(self, path: str, day: np.datetime64, data_type: str) -> None:
        """Raise a HeldError if a day file at another path has records of the day."""
        for other in self.catalogue.find_elsewhere(data_type, str(day), path):
            if disk.exists(self.root.path / other):
                message = f"{data_type} of {day} is in {other}; move that file to {path} and run: dayfile reindex"
                raise HeldError(message)

    def give_up(self, path: str, error: StorageError) -> Setback:
        """Drop a work file if its published day file is damaged; otherwise raise the error, which is the disk's."""
        reason = self._find_base_problem(path)
        if not reason:
            raise error
        return Setback(reason, self.drop(path))

    def _find_base_problem(self, path: str) -> str:
        """Find what is wrong with the published day file that a work file was copied from; empty if nothing is."""
        work_file = self.work_files.get(path)
        base = None if work_file is None else work_file.base
        if work_file is None or base is None or not work_file.path.exists():  # the new one may be published already
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
        changed = [node for node, listed in expected.items() if found.get(node) != listed]
        return f"{path} is damaged: {', '.join(changed[:3])} changed since publication; {REMEDY}" if changed else ""

    def take_setbacks(self) -> dict[str, Setback]:
        """Return the day files that were given up since the last call."""
        setbacks, self.setbacks = self.setbacks, {}
        return setbacks

    def enter(self, path: str, origin: Origin, records: int) -> None:
        """Enter a source into the ledger of a day file, after all its records are written, also in other day files."""
        self.work_files[path].enter(origin, records)

    def compute_waits(self) -> dict[str, float]:
        """Compute the seconds until a watch should publish each day file with changes, if nothing more arrives."""
        return self.schedule.compute_waits(self.work_files, time.monotonic())

    def list_due(self) -> list[str]:
        """List the day files that a watch should publish now."""
        return [path for path, wait in self.compute_waits().items() if wait <= 0]

    @property
    def age(self) -> float:
        """Return for how many seconds the oldest records wait that readers do not see yet; 0 without any."""
        now = time.monotonic()
        return max((now - file.since for file in self.work_files.values() if file.changed), default=0.0)

    def list_changed(self, paths: Container[str] | None = None) -> dict[str, np.datetime64]:
        """List the day files with unpublished changes, and their days; of ``paths``, or all."""
        return {
            path: file.day
            for path, file in self.work_files.items()
            if file.changed and (paths is None or path in paths)
        }

    def publish(self, paths: Iterable[str]) -> Iterator[tuple[str, Publication | Setback]]:
        """Publish day files one by one; yield each path with its rows for the catalogue, or why it was given up."""
        for path in list(paths):
            work_file = self.work_files[path]
            self._announce("publishing", path, work_file.path)
            began = time.monotonic()
            try:
                summaries, digest = work_file.publish()
            except HeldError as error:
                yield path, Setback(str(error), self.drop(path))
                continue
            except StorageError as error:
                yield path, self.give_up(path, error)
                continue
            now = time.monotonic()
            self.schedule.note(path, digest.size, work_file.opening + now - began, now)
            del self.work_files[path]
            self.used.pop(path, None)
            self.taken.pop(path, None)
            self.statuses.pop(path, None)
            rows = make_rows(path, str(work_file.day), summaries)
            arrivals, seconds = tuple(work_file.arrivals), time.monotonic() - began
            yield path, Publication(rows, digest, work_file.ledger.chain, arrivals, work_file.added, seconds)

    def forget_unchanged(self) -> None:
        """Drop work files without changes: they were only looked at, or could not take a record."""
        for path in self.work_files.keys() - self.list_changed().keys():
            self.drop(path)

    def drop(self, path: str) -> list[tuple[str, npt.NDArray[np.uint8]]]:
        """Drop a work file and its content; return the statuses of the records that were written to it."""
        self.used.pop(path, None)
        self.taken.pop(path, None)
        work_file = self.work_files.pop(path)
        work_file.abandon()
        work_file.path.unlink(missing_ok=True)
        return self.statuses.pop(path, [])

    def abandon(self) -> None:
        """Close all work files after a failure, and remove them, as they take room; the next run starts new ones."""
        for work_file in self.work_files.values():
            work_file.abandon()
            with suppress(OSError):  # the next run empties the workshop
                work_file.path.unlink(missing_ok=True)
        self.work_files.clear()
        self.used.clear()
        self.taken.clear()
        self.statuses.clear()
