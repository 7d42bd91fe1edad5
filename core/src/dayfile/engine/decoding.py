"""The first half of a source's way: what plugins make of it, and which of its records belong to which day file."""

from __future__ import annotations

import gc
from collections.abc import Collection, Hashable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dayfile.engine.limits import NewDays, set_apart
from dayfile.engine.pieces import Dated, Piece, joined
from dayfile.errors import SourceError
from dayfile.model.batch import Batch, Rejected, Remark, Source
from dayfile.model.datatype import DataType
from dayfile.plugins import NO_MEMORY, Failure, Plugins
from dayfile.settings import Settings
from dayfile.stores.registry import find_store

__all__ = ["Answer", "Decoded", "Decoder"]

Answer = tuple[str, Iterable[Batch | Rejected | Remark] | Failure]
"""A plugin, and what it made of a source."""


@dataclass
class Decoded:
    """What became of a source so far, but for the records that are to be written.

    Parameters
    ----------
    claimed : bool
        Whether any plugin took it for its own.
    days : dict of str to datetime64[D]
        The day files that records of it belong to, and their days.
    rejected : collection of Rejected
        What the plugins, and the limits of times, reject.
    remarks, failures : list
        What else the plugins said, and what went wrong.
    """

    claimed: bool = False
    days: dict[str, np.datetime64] = field(default_factory=dict)
    rejected: Collection[Rejected] = field(default_factory=list)
    remarks: list[Remark] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)

    def reject(self, items: Iterable[Rejected]) -> None:
        """Add to what is rejected."""
        self.rejected = [*self.rejected, *items]

    def __reduce__(self) -> tuple[type[Decoded], tuple[Any, ...]]:
        """As its class and its parts: of many sources it goes between processes, and the usual way takes twice that."""
        return Decoded, (self.claimed, self.days, self.rejected, self.remarks, self.failures)


@contextmanager
def collection_paused() -> Iterator[None]:
    """Leave out the collection of cyclic garbage: much is made while a source is decoded, and little of it is garbage.

    With a hundred events in a pickle the collector would look at all of them a hundred times.
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
    """Batches that can be one, each of another source of a group, and the plugin that decoded them."""

    plugin: str
    places: list[int] = field(default_factory=list)
    batches: list[Batch] = field(default_factory=list)

    def add(self, place: int, batch: Batch) -> None:
        """Add the batch of a source."""
        self.places.append(place)
        self.batches.append(batch)

    def apart(self) -> list[Alike]:
        """Each by itself."""
        return [Alike(self.plugin, [place], [batch]) for place, batch in zip(self.places, self.batches, strict=True)]


def appended(types: Iterable[DataType]) -> dict[tuple[str, str], tuple[str, ...]]:
    """Instruments and codes of records that are appended, and the fields of these that hold indexes of blobs.

    What becomes of a record that contends for a row depends on those before it, so these keep the order of sources.
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
    """Decodes, classifies, splits by day and locates; knows of no file but the source.

    Parameters
    ----------
    plugins : Plugins
        Who decodes.
    settings : Settings
        Of each plugin.
    only : str, optional
        Path of the one day file whose records are wanted.
    new_days : NewDays, optional
        Limits how many new days a source may make; without it there is no limit.
    """

    def __init__(
        self, plugins: Plugins, settings: Settings, only: str | None = None, new_days: NewDays | None = None
    ) -> None:
        self.plugins = plugins
        self.settings = settings
        self.only = only
        self.new_days = new_days
        self.located: dict[tuple[str, np.datetime64], str] = {}
        self.blob_fields = appended(plugins.data_types.values())

    def __call__(
        self, sources: Sequence[Source], answers: Iterable[Answer] | None = None
    ) -> tuple[list[Decoded], list[Piece]]:
        """What all plugins make of a group of sources; whatever goes wrong in one of them is a failure.

        ``answers`` are what they answered, where they were asked already of the one source there is.

        Returns
        -------
        (list of Decoded, list of Piece)
            What became of each source, and the records that are to be written.

        Raises
        ------
        MemoryError
            The memory is too small for several sources together; nothing was done. For one it is a failure.
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

    def _decode(self, sources: Sequence[Source], answers: Iterable[Answer] | None) -> tuple[list[Decoded], list[Piece]]:
        """Decode a group, however much memory that takes."""
        decoded = [Decoded() for _ in sources]
        alike: dict[Hashable, Alike] = {}
        with collection_paused():
            for place, source in enumerate(sources):
                for number, (plugin, batch) in enumerate(self._batches(source, decoded[place], answers)):
                    key = self._kind(plugin, batch)
                    if key is None or (key in alike and alike[key].places[-1] == place):
                        key = place, number
                    alike.setdefault(key, Alike(plugin)).add(place, batch)
            dated = [each for group in alike.values() for each in self._dated(group, sources, decoded)]
            if self.new_days is not None:
                dated = self._without_floods(dated, decoded, self.new_days)
            return decoded, [piece for each in dated for piece in self._located(each, decoded)]

    def _batches(
        self, source: Source, decoded: Decoded, answers: Iterable[Answer] | None = None
    ) -> list[tuple[str, Batch]]:
        """The batches of a source, each with the plugin that decoded it."""
        if source.size == 0:
            self._take_empty(source, decoded)
            return []
        batches: list[tuple[str, Batch]] = []
        for plugin, answer in answers or self.plugins.decode(source, self.settings.plugins):
            decoded.claimed = True
            if isinstance(answer, Failure):
                decoded.failures.append(answer)
                continue
            batches.extend((plugin, item) for item in answer if isinstance(item, Batch) and len(item))
            decoded.reject(item for item in answer if isinstance(item, Rejected))
            decoded.remarks.extend(item for item in answer if isinstance(item, Remark))
        return batches

    def _take_empty(self, source: Source, decoded: Decoded) -> None:
        """Judge a source without a byte: a fault, as a crash leaves such files, unless a plugin has a Remark on it.

        A batch without records does not count, as a stream of structs gives one; nor does a plugin that fails on it.
        """
        answers = [answer for _, answer in self.plugins.decode(source, self.settings.plugins)]
        items = [item for answer in answers if not isinstance(answer, Failure) for item in answer]
        decoded.remarks.extend(item for item in items if isinstance(item, Remark))
        if decoded.remarks:
            decoded.claimed = True
        else:
            decoded.failures.append(Failure("dayfile", "the file is empty", SourceError.__name__))

    def _kind(self, plugin: str, batch: Batch) -> Hashable | None:
        """What batches have in common that can be one; None for one that stays by itself."""
        if (batch.instrument, batch.code) not in self.blob_fields:
            return None
        return plugin, batch.instrument, batch.code, tuple(batch.keys.items()), id(batch.records.dtype), batch.gave_way

    def date(self, plugin: str, batch: Batch, source: Source, decoded: Decoded) -> list[Dated]:
        """Records of one batch of one source, with their days."""
        return self._dated(Alike(plugin, [0], [batch]), [source], [decoded])

    def place(self, dated: Iterable[Dated], decoded: Decoded) -> list[Piece]:
        """The pieces of records of one source."""
        return [piece for each in dated for piece in self._located(each, [decoded])]

    def _dated(self, alike: Alike, sources: Sequence[Source], decoded: list[Decoded]) -> list[Dated]:
        """Records of batches that can be one, with their days; if that fails, those of each by itself."""
        first, failure = alike.batches[0], None
        try:
            batch = joined(alike.batches, alike.places, self.blob_fields.get((first.instrument, first.code), ()))
            places = np.repeat(alike.places, [len(each) for each in alike.batches])
            data_type = self.plugins.classify(batch, alike.plugin)
            days = data_type.clock.days(batch.records[data_type.time])
            dated, rejected = set_apart(Dated(alike.plugin, data_type, batch, places, days), sources, self.plugins)
        except Exception as error:  # noqa: BLE001 - the plugin boundary: reported, and the others go on
            failure = Failure.of(alike.plugin, error)
        if failure is not None and len(alike.places) == 1:
            decoded[alike.places[0]].failures.append(failure)
            return []
        if failure is not None:
            return [each for one in alike.apart() for each in self._dated(one, sources, decoded)]
        for place, item in rejected:
            decoded[place].reject([item])
        return [dated] if len(dated.batch) else []

    def _without_floods(self, dated: list[Dated], decoded: list[Decoded], new_days: NewDays) -> list[Dated]:
        """Leave out all records of the sources that would make too many new days, which become failures."""
        floods = new_days.floods(dated, self.locate)
        for place, failure in floods.items():
            decoded[place].failures.append(failure)
        if not floods:
            return dated
        left = (each.at(~np.isin(each.sources, list(floods))) for each in dated)
        return [each for each in left if len(each.batch)]

    def _located(self, dated: Dated, decoded: list[Decoded]) -> list[Piece]:
        """The pieces of records; if that fails, those of each source by itself."""
        failure = None
        try:
            pieces = self._pieces(dated)
        except Exception as error:  # noqa: BLE001 - the plugin boundary: reported, and the others go on
            failure = Failure.of(dated.plugin, error)
        if failure is not None and dated.sources[0] == dated.sources[-1]:
            decoded[int(dated.sources[0])].failures.append(failure)
            return []
        if failure is not None:
            return [piece for each in dated.by_source() for piece in self._located(each, decoded)]
        for piece in pieces:
            for place in piece.counts:
                decoded[place].days[piece.path] = piece.day
        return pieces

    def _pieces(self, dated: Dated) -> list[Piece]:
        name, days = dated.data_type.name, dated.days
        whole = bool((days == days[0]).all())
        pieces = []
        for day in days[:1] if whole else np.unique(days):
            path = self.locate(dated.data_type, day)
            if self.only in (None, path):
                part = dated if whole else dated.at(days == day)
                pieces.append(Piece(dated.plugin, name, path, day, part.batch, part.sources))
        return pieces

    def locate(self, data_type: DataType, day: np.datetime64) -> str:
        """Path of the day file that holds a day of a data type."""
        key = (data_type.name, day)
        if key not in self.located:
            self.located[key] = self.plugins.locate_file(data_type, day)
        return self.located[key]
