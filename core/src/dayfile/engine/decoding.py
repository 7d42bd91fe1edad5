"""The first half of a source's way: what plugins make of it, and which of its records belong to which day file."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import PurePosixPath

import numpy as np

from dayfile.errors import SourceError
from dayfile.model.batch import Batch, Rejected, Remark, Source
from dayfile.model.datatype import DataType
from dayfile.plugins import Failure, Plugins
from dayfile.settings import Settings

__all__ = ["Decoded", "Decoder", "Piece"]


@dataclass(frozen=True)
class Piece:
    """Records of one batch that belong to one day file.

    Parameters
    ----------
    plugin : str
        Who decoded them.
    data_type : str
        Name of their type.
    path : str
        The day file, below the archive root.
    day : numpy.datetime64
        Its day.
    batch : Batch
        The records.
    """

    plugin: str
    data_type: str
    path: str
    day: np.datetime64
    batch: Batch


@dataclass
class Decoded:
    """What became of a source so far.

    Parameters
    ----------
    claimed : bool
        Whether any plugin took it for its own.
    pieces : list of Piece
        What is to be written, in the order of the batches.
    rejected, remarks, failures : list
        What else the plugins said, and what went wrong.
    """

    claimed: bool = False
    pieces: list[Piece] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    remarks: list[Remark] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)


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
    """

    def __init__(self, plugins: Plugins, settings: Settings, only: str | None = None) -> None:
        self.plugins = plugins
        self.settings = settings
        self.only = only
        self.located: dict[tuple[str, np.datetime64], str] = {}

    def __call__(self, source: Source) -> Decoded:
        """What all plugins make of a source; whatever goes wrong in one of them is a failure."""
        with collection_paused():
            return self._decoded(source)

    def _decoded(self, source: Source) -> Decoded:
        decoded = Decoded()
        if source.size == 0:
            decoded.failures.append(Failure("dayfile", "the file is empty", SourceError.__name__))
            return decoded
        batches: list[tuple[str, Batch]] = []
        for plugin, answer in self.plugins.decode(source, self.settings.plugins):
            decoded.claimed = True
            if isinstance(answer, Failure):
                decoded.failures.append(answer)
                continue
            batches.extend((plugin, item) for item in answer if isinstance(item, Batch) and len(item))
            decoded.rejected.extend(item for item in answer if isinstance(item, Rejected))
            decoded.remarks.extend(item for item in answer if isinstance(item, Remark))
        if not decoded.claimed:
            asked = ", ".join(self.plugins.names) or "none"
            message = f"no plugin of this run recognises it (asked: {asked}); run with the plugin it belongs to"
            decoded.failures.append(Failure("dayfile", message, SourceError.__name__))
        for plugin, batch in batches:
            try:
                decoded.pieces.extend(self._pieces(plugin, batch))
            except Exception as error:  # noqa: BLE001 - the plugin boundary: reported, and the others go on
                decoded.failures.append(Failure.of(plugin, error))
        return decoded

    def _pieces(self, plugin: str, batch: Batch) -> list[Piece]:
        data_type = self.plugins.classify(batch)
        blob_fields = [field.name for field in data_type.fields if field.blob]
        days = data_type.clock.days(batch.records[data_type.time])
        whole = bool((days == days[0]).all())
        pieces = []
        for day in days[:1] if whole else np.unique(days):
            path = self.locate(data_type, day)
            if self.only in (None, path):
                part = batch if whole else batch.select(days == day, blob_fields)
                pieces.append(Piece(plugin, data_type.name, path, day, part))
        return pieces

    def locate(self, data_type: DataType, day: np.datetime64) -> str:
        """Path of the day file that holds a day of a data type."""
        key = (data_type.name, day)
        if key not in self.located:
            self.located[key] = str(PurePosixPath(self.plugins.locate_file(data_type, day)))
        return self.located[key]
