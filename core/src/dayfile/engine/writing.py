"""Writing the records of a group of sources, or of a large source block by block, into day files."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import numpy.typing as npt

from dayfile.archive.catalogue_rows import make_key_of
from dayfile.archive.workfile import WorkFile
from dayfile.engine.day_files import DayFiles
from dayfile.engine.pieces import Piece
from dayfile.engine.shares import Setback, Share, Written
from dayfile.errors import HeldError, PluginError, StorageError
from dayfile.model.batch import Origin
from dayfile.model.status import Status
from dayfile.plugins import Failure
from dayfile.stores.ledger import shorten_name

__all__ = ["Writing"]

Statuses = list[tuple[str, npt.NDArray[np.uint8]]]


@dataclass
class Verdict:
    """The decision which sources of a group are written into a day file.

    Parameters
    ----------
    fresh : set of int
        Sources that it does not have, by place in the group.
    renamed : dict of int to list
        Sources that it has in part or under another name, with the statuses of their records.
    """

    fresh: set[int]
    renamed: dict[int, Statuses]


class Writing:
    """Writes one group of sources into day files.

    Parameters
    ----------
    day_files : DayFiles
        The day files.
    origins : sequence of Origin
        The sources, by their place in the group.
    """

    def __init__(self, day_files: DayFiles, origins: Sequence[Origin]) -> None:
        self.day_files = day_files
        self.plugins = day_files.plugins
        self.origins = origins
        self.written = Written()
        self.verdicts: dict[str, Verdict] = {}
        self.statuses: dict[str, Statuses] = {}

    def write(self, pieces: Sequence[Piece]) -> Written:
        """Write the records of the group, except those of sources that a day file already has.

        Parameters
        ----------
        pieces : sequence of Piece
            The records.
        """
        for places in split_into_rounds(self.origins):
            parts = (self._select(piece, places) for piece in pieces)
            for path, each in group_by_day_file(part for part in parts if len(part.sources)):
                share = self.written.shares.setdefault(path, Share())
                for piece in each:
                    for place, records in piece.counts.items():
                        share.records[place] = share.records.get(place, 0) + records
                self._write_day(path, each)
                self._settle(path)
        self.written.setbacks = self.day_files.take_setbacks()
        return self.written

    def write_blocks(self, counts: Mapping[str, int], blocks: Iterable[Sequence[Piece]]) -> Written:
        """Write the records of the only source of the group as they are read, all of them or none.

        Parameters
        ----------
        counts : mapping of str to int
            Number of its records in each day file.
        blocks : iterable of sequence of Piece
            Its records; HeldError if the source can no longer be read.
        """
        shares = self.written.shares = {path: Share({0: records}) for path, records in counts.items()}
        try:
            for pieces in blocks:
                for path, each in group_by_day_file(pieces):
                    if not (shares[path].held or shares[path].failures or path in self.day_files.setbacks):
                        self._write_day(path, each)
        except (HeldError, MemoryError) as error:
            for share in shares.values():
                share.held = share.held or str(error) or "the memory is too small for it"
        except PluginError as error:
            for share in shares.values():
                share.fail(0, Failure.of(error.plugin, error))
        self._give_up_halves()
        for path in shares:
            self._settle(path)
        self.written.setbacks = self.day_files.take_setbacks()
        return self.written

    def _give_up_halves(self) -> None:
        """Give up the work files that hold only a part of the source's records."""
        failed = any(share.failures for share in self.written.shares.values())
        for path, share in self.written.shares.items():
            if path in self.day_files.setbacks:
                share.held = self.day_files.setbacks[path].reason
            elif path in self.verdicts and (failed or share.held):
                reason = f"records of {self.origins[0].name} could not all be written; run again"
                self.day_files.setbacks[path] = Setback(reason, self.day_files.drop(path))
            else:
                continue
            self.verdicts.pop(path, None)
            self.statuses.pop(path, None)

    def _select(self, piece: Piece, places: Collection[int]) -> Piece:
        """Select the records of some sources."""
        data_type = self.plugins.data_types[piece.data_type]
        return piece.select(places, data_type.blob_fields)

    def _write_day(self, path: str, pieces: list[Piece]) -> None:
        """Write records of one day file; no source occurs twice."""
        share = self.written.shares[path]
        try:
            for piece in pieces:
                work_file = self.day_files.open(path, piece.day, piece.data_type)
            if path not in self.verdicts:
                self.verdicts[path] = self._judge(work_file, pieces, share)
            self._write_sources(work_file, pieces, self.verdicts[path])
            self._note_arrivals(pieces)
        except PluginError as error:
            for piece in pieces:
                for place in piece.counts:
                    share.fail(place, Failure.of(piece.plugin, error))
        except HeldError as error:
            share.held = str(error)
        except MemoryError:  # before the work file is begun; afterwards it is a failure of the source
            share.held = f"the memory is too small to write {path}"
        except StorageError as error:
            self.day_files.setbacks[path] = setback = self.day_files.give_up(path, error)
            self.verdicts.pop(path, None)
            self.statuses.pop(path, None)
            share.held = setback.reason

    def _note_arrivals(self, pieces: Sequence[Piece]) -> None:
        """Note when the sources of pieces arrived, by data type and key."""
        for piece in pieces:
            key = make_key_of(self.plugins.data_types[piece.data_type], piece.batch.keys)
            arrived = max((self.origins[place].arrived for place in piece.counts), default=0.0)
            if arrived:
                self.written.note_arrival(piece.data_type, key, arrived)

    def _judge(self, work_file: WorkFile, pieces: Sequence[Piece], share: Share) -> Verdict:
        """Decide which sources are written, and begin the work file for them."""
        places = {place for piece in pieces for place in piece.counts}
        taken = self.day_files.taken.setdefault(pieces[0].path, {})
        names = {
            place: taken.get(self.origins[place].sha256) or work_file.find_name(self.origins[place]) for place in places
        }
        fresh = {place for place, name in names.items() if name is None}
        renamed = self._find_renamed(names, work_file, share)
        share.known |= places - fresh - renamed
        if fresh or renamed:
            work_file.begin(len(self.origins))
        return Verdict(fresh, {place: [] for place in sorted(renamed)})

    def _find_renamed(self, names: Mapping[int, str | None], work_file: WorkFile, share: Share) -> set[int]:
        """Find the sources whose records are written again although the day file has the source, by place.

        It may have the source under another name: if the name decides the type, as for struct streams, the records can
        be different. It may have fewer records: some that were too far in the future may be plausible now.
        """
        if self.day_files.settings.core.duplicates == "keep":
            return set()
        again = {place for place, name in names.items() if name not in {None, shorten_name(self.origins[place].name)}}
        return again | {place for place in names if work_file.count_records(self.origins[place]) < share.records[place]}

    def _write_sources(self, work_file: WorkFile, pieces: list[Piece], verdict: Verdict) -> None:
        """Write pieces of one day file, except records of sources that it already has."""
        if verdict.fresh:
            statuses = self.statuses.setdefault(pieces[0].path, [])
            for piece in pieces:
                self._write_piece(work_file, self._select(piece, verdict.fresh), statuses)
        for place, statuses in verdict.renamed.items():
            for piece in pieces:
                self._write_piece(work_file, self._select(piece, [place]), statuses)

    def _write_piece(self, work_file: WorkFile, piece: Piece, statuses: Statuses) -> None:
        """Write a piece; if that fails, source by source."""
        if not len(piece.sources):
            return
        failure = None
        try:
            given = self.plugins.write(work_file, self.plugins.data_types[piece.data_type], piece.batch)
        except StorageError:
            raise
        except Exception as error:  # noqa: BLE001 - the plugin boundary: reported, and the others continue
            failure = Failure.of(piece.plugin, error)
        places = list(piece.counts)
        if failure is None:
            statuses.append((piece.data_type, given))
        elif len(places) == 1:
            self.written.shares[piece.path].fail(places[0], failure)
        else:
            for place in places:
                self._write_piece(work_file, self._select(piece, [place]), statuses)

    def _settle(self, path: str) -> None:
        """Add the result for a day file, once all records are written."""
        share, statuses = self.written.shares[path], self.statuses.pop(path, [])
        verdict = self.verdicts.pop(path, None)
        if verdict is not None:
            for place, given in verdict.renamed.items():
                if place not in share.failures and all((each == Status.IDENTICAL).all() for _, each in given):
                    share.known.add(place)
                else:
                    statuses += given
            for place in (verdict.fresh | verdict.renamed.keys()) - share.known - share.failures.keys():
                origin = self.origins[place]
                self.day_files.taken[path][origin.sha256] = shorten_name(origin.name)
        self.written.statuses += statuses
        self.day_files.statuses.setdefault(path, []).extend(statuses)


def split_into_rounds(origins: Sequence[Origin]) -> Iterator[list[int]]:
    """Split the places of a group into rounds, none with a source twice; nearly always one round."""
    waiting = list(range(len(origins)))
    while waiting:
        first = {origins[place].sha256: place for place in reversed(waiting)}
        yield sorted(first.values())
        waiting = sorted(set(waiting) - set(first.values()))


def group_by_day_file(pieces: Iterable[Piece]) -> Iterator[tuple[str, list[Piece]]]:
    """Group pieces by the path and day of their day file, in their order."""
    for (path, _), each in groupby(sorted(pieces, key=get_day_file), get_day_file):
        yield path, list(each)


def get_day_file(piece: Piece) -> tuple[str, np.datetime64]:
    """Return the path and the day of a piece's day file."""
    return piece.path, piece.day
