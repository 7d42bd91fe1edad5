"""Decoding: turn sources into records, and split these by data type and day file."""

from __future__ import annotations

import gc
from collections.abc import Collection, Hashable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dayfile.engine.limits import NewDays, partition
from dayfile.engine.pieces import Dated, Piece, merge_batches
from dayfile.errors import SourceError
from dayfile.model.batch import Batch, Rejected, Remark, Source
from dayfile.model.datatype import DataType
from dayfile.plugins import NO_MEMORY, Failure, Plugins
from dayfile.settings import Settings
from dayfile.stores.registry import find_store

__all__ = ["Decoded", "Decoder", "Reply"]

Reply = tuple[str, Iterable[Batch | Rejected | Remark] | Failure]
"""The name of a plugin, and what it returned for a source."""


@dataclass
class Decoded:
    """The result of decoding a source, except the records to be written.

    Parameters
    ----------
    claimed : bool
        Whether any plugin claimed the source.
    days : dict of str to datetime64[D]
        The day files to which its records belong, and their days.
    rejected : collection of Rejected
        Records rejected by plugins, or because their time is not plausible.
    remarks, failures : list
        Remarks and failures of the plugins.
    """

    claimed: bool = False
    days: dict[str, np.datetime64] = field(default_factory=dict)
    rejected: Collection[Rejected] = field(default_factory=list)
    remarks: list[Remark] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)

    def reject(self, items: Iterable[Rejected]) -> None:
        """Add rejected records."""
        self.rejected = [*self.rejected, *items]

    def __reduce__(self) -> tuple[type[Decoded], tuple[Any, ...]]:
        """Pickle as class and arguments, which takes half the time: many of these go between processes."""
        return Decoded, (self.claimed, self.days, self.rejected, self.remarks, self.failures)


@contextmanager
def pause_collection() -> Iterator[None]:
    """Pause the garbage collector: decoding makes many objects, and few of them are garbage.

    For a pickle of a hundred events, the collector would visit all of them a hundred times.
    """
    paused = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if paused:
            gc.enable()


@dataclass
class Alike:
    """Batches that can be merged, each from another source of a group, and the plugin that decoded them."""

    plugin: str
    places: list[int] = field(default_factory=list)
    batches: list[Batch] = field(default_factory=list)

    def add(self, place: int, batch: Batch) -> None:
        """Add the batch of a source."""
        self.places.append(place)
        self.batches.append(batch)

    def split(self) -> list[Alike]:
        """Split into one object for each batch."""
        return [Alike(self.plugin, [place], [batch]) for place, batch in zip(self.places, self.batches, strict=True)]


def find_appended(types: Iterable[DataType]) -> dict[tuple[str, str], tuple[str, ...]]:
    """Find instrument and code of all types whose records are appended, with their fields that hold indexes of blobs.

    Only these are merged. Where records contend for rows, the result depends on the order of sources.
    """
    by_code: dict[tuple[str, str], list[DataType]] = {}
    for data_type in types:
        by_code.setdefault((data_type.instrument, data_type.code), []).append(data_type)
    found = {}
    for code, each in by_code.items():
        fields = {tuple(field.name for field in data_type.fields if field.blob) for data_type in each}
        if len(fields) == 1 and not any(find_store(data_type.placement.store).contends for data_type in each):
            found[code] = fields.pop()
    return found


class Decoder:
    """Decodes and classifies sources, splits their records by day, and locates day files; it opens only the source.

    Parameters
    ----------
    plugins : Plugins
        The plugins that decode.
    settings : Settings
        Settings of each plugin.
    only : str, optional
        Path of the day file if only its records are needed.
    new_days : NewDays, optional
        The limit on new days of a source; without it any number is allowed.
    """

    def __init__(
        self, plugins: Plugins, settings: Settings, only: str | None = None, new_days: NewDays | None = None
    ) -> None:
        self.plugins = plugins
        self.settings = settings
        self.only = only
        self.new_days = new_days
        self.located: dict[tuple[str, np.datetime64], str] = {}
        self.blob_fields = find_appended(plugins.data_types.values())

    def __call__(
        self, sources: Sequence[Source], answers: Iterable[Reply] | None = None
    ) -> tuple[list[Decoded], list[Piece]]:
        """Decode a group of sources with all plugins; an error in one of them becomes a failure.

        ``answers`` has the answers of the plugins if they have already been asked about the only source of the group.

        Returns
        -------
        (list of Decoded, list of Piece)
            The result for each source, and the records to be written.

        Raises
        ------
        MemoryError
            The memory is too small for several sources together; nothing was done. For a single source this is a
            failure.
        """
        try:
            decoded, pieces = self._decode(sources, answers)
        except MemoryError as error:
            if len(sources) > 1:
                raise
            return [Decoded(claimed=True, failures=[Failure.of("dayfile", error)])], []
        failures = (failure for each in decoded for failure in each.failures)
        if len(sources) > 1 and any(failure.error == NO_MEMORY for failure in failures):
            raise MemoryError
        return decoded, pieces

    def _decode(self, sources: Sequence[Source], answers: Iterable[Reply] | None) -> tuple[list[Decoded], list[Piece]]:
        """Decode a group; a MemoryError is not handled here."""
        decoded = [Decoded() for _ in sources]
        alike: dict[Hashable, Alike] = {}
        with pause_collection():
            for place, source in enumerate(sources):
                for number, (plugin, batch) in enumerate(self._decode_source(source, decoded[place], answers)):
                    key = self._make_key(plugin, batch)
                    if key is None or (key in alike and alike[key].places[-1] == place):
                        key = place, number
                    alike.setdefault(key, Alike(plugin)).add(place, batch)
            dated = [each for group in alike.values() for each in self._date_alike(group, sources, decoded)]
            if self.new_days is not None:
                dated = self._drop_floods(dated, decoded, self.new_days)
            return decoded, [piece for each in dated for piece in self._place(each, decoded)]

    def _decode_source(
        self, source: Source, decoded: Decoded, answers: Iterable[Reply] | None = None
    ) -> list[tuple[str, Batch]]:
        """Decode a source; return its batches, each with the plugin that decoded it."""
        if source.size == 0:
            self._take_empty(source, decoded)
            return []
        batches: list[tuple[str, Batch]] = []
        for plugin, answer in answers or self.plugins.decode(source, self.settings):
            decoded.claimed = True
            if isinstance(answer, Failure):
                decoded.failures.append(answer)
                continue
            batches.extend((plugin, item) for item in answer if isinstance(item, Batch) and len(item))
            decoded.reject(item for item in answer if isinstance(item, Rejected))
            decoded.remarks.extend(item for item in answer if isinstance(item, Remark))
        return batches

    def _take_empty(self, source: Source, decoded: Decoded) -> None:
        """Take an empty source as a failure, because crashes leave such files, unless a plugin returns a Remark.

        An empty batch does not count, because a struct stream yields one; nor does a plugin that fails.
        """
        answers = [answer for _, answer in self.plugins.decode(source, self.settings)]
        items = [item for answer in answers if not isinstance(answer, Failure) for item in answer]
        decoded.remarks.extend(item for item in items if isinstance(item, Remark))
        if decoded.remarks:
            decoded.claimed = True
        else:
            decoded.failures.append(Failure("dayfile", "the file is empty", SourceError.__name__))

    def _make_key(self, plugin: str, batch: Batch) -> Hashable | None:
        """Make the key by which batches are merged; None for a batch that is not merged."""
        if (batch.instrument, batch.code) not in self.blob_fields:
            return None
        return plugin, batch.instrument, batch.code, tuple(batch.keys.items()), id(batch.records.dtype), batch.gave_way

    def date(self, plugin: str, batch: Batch, source: Source, decoded: Decoded) -> list[Dated]:
        """Classify a batch of a single source, and return its records with their days."""
        return self._date_alike(Alike(plugin, [0], [batch]), [source], [decoded])

    def place(self, dated: Iterable[Dated], decoded: Decoded) -> list[Piece]:
        """Split the records of a single source by day file."""
        return [piece for each in dated for piece in self._place(each, [decoded])]

    def _date_alike(self, alike: Alike, sources: Sequence[Source], decoded: list[Decoded]) -> list[Dated]:
        """Merge and classify batches, and return their records with their days; if that fails, batch by batch."""
        first, failure = alike.batches[0], None
        try:
            batch = merge_batches(alike.batches, alike.places, self.blob_fields.get((first.instrument, first.code), ()))
            places = np.repeat(alike.places, [len(each) for each in alike.batches])
            data_type = self.plugins.classify(batch, alike.plugin)
            days = data_type.clock.days(data_type.count(batch.records))
            dated, rejected = partition(Dated(alike.plugin, data_type, batch, places, days), sources, self.plugins)
        except Exception as error:  # noqa: BLE001 - the plugin boundary: reported, and the others continue
            failure = Failure.of(alike.plugin, error)
        if failure is not None and len(alike.places) == 1:
            decoded[alike.places[0]].failures.append(failure)
            return []
        if failure is not None:
            return [each for one in alike.split() for each in self._date_alike(one, sources, decoded)]
        for place, item in rejected:
            decoded[place].reject([item])
        return [dated] if len(dated.batch) else []

    def _drop_floods(self, dated: list[Dated], decoded: list[Decoded], new_days: NewDays) -> list[Dated]:
        """Drop all records of sources that would make too many new days; these sources become failures."""
        floods = new_days.find_floods(dated, self.locate)
        for place, failure in floods.items():
            decoded[place].failures.append(failure)
        if not floods:
            return dated
        left = (each.select(~np.isin(each.sources, list(floods))) for each in dated)
        return [each for each in left if len(each.batch)]

    def _place(self, dated: Dated, decoded: list[Decoded]) -> list[Piece]:
        """Split records by day file; if that fails, source by source."""
        failure = None
        try:
            pieces = self._split_by_day(dated)
        except Exception as error:  # noqa: BLE001 - the plugin boundary: reported, and the others continue
            failure = Failure.of(dated.plugin, error)
        if failure is not None and dated.sources[0] == dated.sources[-1]:
            decoded[int(dated.sources[0])].failures.append(failure)
            return []
        if failure is not None:
            return [piece for each in dated.split_by_source() for piece in self._place(each, decoded)]
        for piece in pieces:
            for place in piece.counts:
                decoded[place].days[piece.path] = piece.day
        return pieces

    def _split_by_day(self, dated: Dated) -> list[Piece]:
        """Split records by day file."""
        name, days = dated.data_type.name, dated.days
        whole = bool((days == days[0]).all())
        pieces = []
        for day in days[:1] if whole else np.unique(days):
            path = self.locate(dated.data_type, day)
            if self.only in (None, path):
                part = dated if whole else dated.select(days == day)
                pieces.append(Piece(dated.plugin, name, path, day, part.batch, part.sources))
        return pieces

    def locate(self, data_type: DataType, day: np.datetime64) -> str:
        """Return the path of the day file for a day of a data type."""
        key = (data_type.name, day)
        if key not in self.located:
            self.located[key] = self.plugins.locate_file(data_type, day)
        return self.located[key]
