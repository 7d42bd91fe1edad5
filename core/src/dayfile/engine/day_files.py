"""The second half of a source's way: day files in the making, from their first record to their publication."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from dayfile.archive.catalogue import CatalogueRow, catalogue_rows
from dayfile.archive.root import Root
from dayfile.archive.workfile import WorkFile
from dayfile.engine.decoding import Piece
from dayfile.errors import PluginError, StorageError
from dayfile.model.batch import Origin
from dayfile.plugins import Failure, Plugins
from dayfile.settings import Settings
from dayfile.stores.nodes import recogniser

__all__ = ["OPEN_FILES", "DayFiles", "Written"]

# HDF5 keeps about a megabyte for an open file, and an index of the rows that are there takes some 40 bytes a row. Work
# files beyond these bounds are closed until they are written again; two stay open, as at midnight both are written.
OPEN_FILES = 8
OPEN_ROWS = 1_000_000
LEAST_OPEN = 2


@dataclass
class Written:
    """What became of a source's records in one day file.

    Parameters
    ----------
    records : int
        How many belong to it.
    known : bool
        Whether its ledger had the source already, so that nothing was done.
    statuses : list of (str, array)
        Name of the data type, and a status per record, of each piece that was written.
    failures : list of Failure
        Pieces that could not be written.
    """

    records: int
    known: bool = False
    statuses: list[tuple[str, npt.NDArray[np.uint8]]] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)


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
        self.told = recogniser(plugins.data_types.values())
        self.work_files: dict[str, WorkFile] = {}
        self.used: dict[str, WorkFile] = {}  # those that may be open, used longest ago first
        self.made = 0

    def open(self, path: str, day: np.datetime64) -> WorkFile:
        """The work file of a day file.

        Raises
        ------
        PluginError
            No day file can have the path, or it is the day file of another day.
        StorageError
            The published one cannot be read.
        """
        if path not in self.work_files:
            published = self.root.day_file(path)
            self.made += 1
            self.work_files[path] = WorkFile(
                published,
                self.root.workshop / f"{self.name}{self.made}-{published.name}",
                day,
                keep_duplicates=self.settings.core.duplicates == "keep",
                on_conflict=self.settings.core.on_conflict,
                from_published=not self.anew,
                told=self.told,
            )
        work_file = self.work_files[path]
        if {str(work_file.day), work_file.ledger.day or str(day)} != {str(day)}:
            there = work_file.ledger.day or work_file.day
            raise PluginError(f"locate_file puts {day} into {path}, which is the day file of {there}")
        self.used.pop(path, None)
        self.used[path] = work_file
        while len(self.used) > OPEN_FILES or (
            len(self.used) > LEAST_OPEN and sum(file.rows for file in self.used.values()) > OPEN_ROWS
        ):
            self.used.pop(next(iter(self.used))).close()
        return work_file

    def write(self, origin: Origin, pieces: Sequence[Piece]) -> Written:
        """Write the records of a source that belong to one day file, unless its ledger has the source already."""
        written = Written(sum(len(piece.batch) for piece in pieces))
        begun = False
        for piece in pieces:
            try:
                work_file = self.open(piece.path, piece.day)
                if not begun and work_file.holds(origin):
                    written.known = True
                    return written
                if not begun:
                    work_file.begin()
                    begun = True
                data_type = self.plugins.data_types[piece.data_type]
                statuses = self.plugins.write(work_file, data_type, piece.batch)
            except StorageError:
                raise
            except Exception as error:  # noqa: BLE001 - the plugin boundary: reported, and the others go on
                written.failures.append(Failure.of(piece.plugin, error))
            else:
                written.statuses.append((piece.data_type, statuses))
        return written

    def enter(self, path: str, origin: Origin, records: int) -> None:
        """Enter a source into the ledger of a day file, once all its records are written there and elsewhere."""
        self.work_files[path].enter(origin, records)

    def due(self) -> list[str]:
        """Day files that it is time to publish while more may come."""
        core = self.settings.core
        return [path for path, file in self.work_files.items() if file.due(core.publish_after, core.publish_growth)]

    def changed(self, paths: Container[str] | None = None) -> dict[str, np.datetime64]:
        """Day files with something new, and their days; of those named, or of all."""
        return {
            path: file.day
            for path, file in self.work_files.items()
            if file.changed and (paths is None or path in paths)
        }

    def publish(self, paths: Iterable[str]) -> Iterable[tuple[str, list[CatalogueRow]]]:
        """Publish day files one by one: path, and what the catalogue is to say of each."""
        for path in list(paths):
            work_file = self.work_files[path]
            summaries = work_file.publish()
            del self.work_files[path]
            self.used.pop(path, None)
            yield path, catalogue_rows(path, str(work_file.day), summaries)

    def forget_unchanged(self) -> None:
        """Let go of those that were asked what they hold, or could not take what came."""
        for path in self.work_files.keys() - self.changed().keys():
            self.used.pop(path, None)
            work_file = self.work_files.pop(path)
            work_file.abandon()
            work_file.path.unlink(missing_ok=True)

    def abandon(self) -> None:
        """Let go of all work files after a failure; the next run begins them anew."""
        for work_file in self.work_files.values():
            work_file.abandon()
        self.work_files.clear()
        self.used.clear()
