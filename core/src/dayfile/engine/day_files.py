"""The second half of a source's way: day files in the making, from their first record to their publication."""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

import numpy as np
import numpy.typing as npt

from dayfile.archive.catalogue import CatalogueRow, catalogue_rows
from dayfile.archive.root import Root
from dayfile.archive.workfile import WorkFile
from dayfile.engine.pieces import Piece
from dayfile.errors import PluginError, StorageError
from dayfile.model.batch import Origin
from dayfile.plugins import Failure, Plugins
from dayfile.settings import Settings
from dayfile.stores.append import IDENTICAL
from dayfile.stores.ledger import stored_name
from dayfile.stores.nodes import recogniser

__all__ = ["OPEN_FILES", "DayFiles", "Share", "Written"]

# HDF5 keeps about a megabyte for an open file, and an index of the rows that are there takes some 40 bytes a row. Work
# files beyond these bounds are closed until they are written again; two stay open, as at midnight both are written.
OPEN_FILES = 8
OPEN_ROWS = 1_000_000
LEAST_OPEN = 2


@dataclass
class Share:
    """What became of the records of a group of sources in one day file; sources by their place in the group.

    Parameters
    ----------
    records : dict of int to int
        How many of each source belong to it.
    known : set of int
        Sources that it had already, so that nothing was done.
    failures : dict of int to list of Failure
        Why some could not be written.
    """

    records: dict[int, int] = field(default_factory=dict)
    known: set[int] = field(default_factory=set)
    failures: dict[int, list[Failure]] = field(default_factory=dict)

    def fail(self, place: int, failure: Failure) -> None:
        """Put down that records of a source could not be written."""
        self.failures.setdefault(place, []).append(failure)


@dataclass
class Written:
    """What became of the records of a group of sources.

    Parameters
    ----------
    shares : dict of str to Share
        By day file.
    statuses : list of (str, array)
        Name of the data type, and a status per record, of each piece that was written.
    """

    shares: dict[str, Share] = field(default_factory=dict)
    statuses: list[tuple[str, npt.NDArray[np.uint8]]] = field(default_factory=list)


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
        # Names of the sources of day files in the making, by identity: one may come again before the ledger is told.
        self.taken: dict[str, dict[str, str]] = {}
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
        if work_file.ledger.day != str(day):
            raise PluginError(f"locate_file puts {day} into {path}, which is the day file of {work_file.ledger.day}")
        self.used.pop(path, None)
        self.used[path] = work_file
        while len(self.used) > OPEN_FILES or (
            len(self.used) > LEAST_OPEN and sum(file.rows for file in self.used.values()) > OPEN_ROWS
        ):
            self.used.pop(next(iter(self.used))).close()
        return work_file

    def write(self, origins: Sequence[Origin], pieces: Sequence[Piece]) -> Written:
        """Write the records of a group of sources, but for those of sources that a day file has already.

        Parameters
        ----------
        origins : sequence of Origin
            The sources, by their place in the group.
        pieces : sequence of Piece
            Their records.
        """
        written = Written()
        for places in rounds(origins):
            parts = (self._part(piece, places) for piece in pieces)
            these = [part for part in parts if len(part.sources)]
            for (path, day), each in groupby(sorted(these, key=path_and_day), path_and_day):
                self._write_day(path, day, origins, list(each), written)
        return written

    def _part(self, piece: Piece, places: Collection[int]) -> Piece:
        """The records of some sources."""
        data_type = self.plugins.data_types[piece.data_type]
        return piece.of(places, [field.name for field in data_type.fields if field.blob])

    def _write_day(
        self, path: str, day: np.datetime64, origins: Sequence[Origin], pieces: list[Piece], written: Written
    ) -> None:
        """Write the records of a group that belong to one day file; no source is in the group twice."""
        share = written.shares.setdefault(path, Share())
        for piece in pieces:
            for place, records in piece.counts.items():
                share.records[place] = share.records.get(place, 0) + records
        places = {place for piece in pieces for place in piece.counts}
        try:
            work_file = self.open(path, day)
        except PluginError as error:
            for place in places:
                share.fail(place, Failure.of(pieces[0].plugin, error))
            return
        taken = self.taken.setdefault(path, {})
        names = {place: taken.get(origins[place].sha256) or work_file.name_of(origins[place]) for place in places}
        fresh = {place for place, name in names.items() if name is None}
        renamed = self._renamed(origins, names, work_file, share)
        share.known |= places - fresh - renamed
        if fresh or renamed:
            work_file.begin(len(origins))
        if fresh:
            for piece in pieces:
                self._write_piece(work_file, self._part(piece, fresh), written)
        for place in sorted(renamed):
            before = len(written.statuses)
            for piece in pieces:
                self._write_piece(work_file, self._part(piece, [place]), written)
            if place not in share.failures and all((told == IDENTICAL).all() for _, told in written.statuses[before:]):
                del written.statuses[before:]
                share.known.add(place)
        for place in places - share.known - share.failures.keys():
            taken[origins[place].sha256] = stored_name(origins[place].name)

    def _renamed(
        self, origins: Sequence[Origin], names: Mapping[int, str | None], work_file: WorkFile, share: Share
    ) -> set[int]:
        """The places of sources whose records are written again, though the day file has the source.

        It may have it under another name: where the name tells the type, as of a struct stream, its records may be
        others. It may have fewer records of it: those that were too far ahead of its arrival may not be now.
        """
        if self.settings.core.duplicates == "keep":
            return set()
        again = {place for place, name in names.items() if name not in {None, stored_name(origins[place].name)}}
        return again | {place for place in names if work_file.records_of(origins[place]) < share.records[place]}

    def _write_piece(self, work_file: WorkFile, piece: Piece, written: Written) -> None:
        """Write a piece; if that fails, the records of each of its sources by themselves."""
        if not len(piece.sources):
            return
        try:
            statuses = self.plugins.write(work_file, self.plugins.data_types[piece.data_type], piece.batch)
        except StorageError:
            raise
        except Exception as error:  # noqa: BLE001 - the plugin boundary: reported, and the others go on
            places = list(piece.counts)
            if len(places) == 1:
                written.shares[piece.path].fail(places[0], Failure.of(piece.plugin, error))
                return
            for place in places:
                self._write_piece(work_file, self._part(piece, [place]), written)
        else:
            written.statuses.append((piece.data_type, statuses))

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
            self.taken.pop(path, None)
            yield path, catalogue_rows(path, str(work_file.day), summaries)

    def forget_unchanged(self) -> None:
        """Let go of those that were asked what they hold, or could not take what came."""
        for path in self.work_files.keys() - self.changed().keys():
            self.used.pop(path, None)
            self.taken.pop(path, None)
            work_file = self.work_files.pop(path)
            work_file.abandon()
            work_file.path.unlink(missing_ok=True)

    def abandon(self) -> None:
        """Let go of all work files after a failure; the next run begins them anew."""
        for work_file in self.work_files.values():
            work_file.abandon()
        self.work_files.clear()
        self.used.clear()
        self.taken.clear()


def rounds(origins: Sequence[Origin]) -> Iterator[list[int]]:
    """The places of a group, in so many rounds that no source is in one of them twice; in one, but for few groups."""
    waiting = list(range(len(origins)))
    while waiting:
        first = {origins[place].sha256: place for place in reversed(waiting)}
        yield sorted(first.values())
        waiting = sorted(set(waiting) - set(first.values()))


def path_and_day(piece: Piece) -> tuple[str, np.datetime64]:
    """The day file of a piece, and the day."""
    return piece.path, piece.day
