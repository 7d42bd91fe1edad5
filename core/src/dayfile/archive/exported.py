"""Exports of an archive: the method of archives for that, and how its exporter is chosen."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from dayfile.archive.day_tables import read_day
from dayfile.archive.exporting import SMALL_WINDOW_BYTES, select_records
from dayfile.archive.identity import refuse_url
from dayfile.archive.inventory import Inventory
from dayfile.errors import StorageError, UsageError
from dayfile.export.base import ByteOrder, Day, Export, Exporter, RangeExporter, Selection, TextExporter
from dayfile.model.instants import Time, as_utc, parse_day

if TYPE_CHECKING:
    import datetime as dt

    from dayfile.archive.question import KeyValues
    from dayfile.handover.columns import RecordTable
    from dayfile.model.clock import Clock
    from dayfile.model.datatype import DataType
    from dayfile.plugins import Plugins

__all__ = ["Exported", "TextStream"]


class TextStream(Protocol):
    """What text is written to, such as ``sys.stdout``."""

    def write(self, text: str, /) -> object:
        """Write text."""
        ...


class Exported(Inventory):
    """An archive that writes records as files of other programs."""

    @property
    def plugins(self) -> Plugins:
        """Return the plugins whose exporters are used."""
        raise NotImplementedError

    def export(
        self,
        data_type: str,
        out: str | Path | TextStream,
        start: Time | None = None,
        stop: Time | None = None,
        *,
        format: str | None = None,  # noqa: A002 - as the option of the command
        day: str | dt.date | np.datetime64 | None = None,
        fields: str | Iterable[str] | None = None,
        where: str | None = None,
        physical: bool = False,
        byte_order: ByteOrder = "big",
        **keys: KeyValues,
    ) -> Export:
        """Write the records that begin in a range as a file for other programs, as ``dayfile export`` does.

        The range may be larger than the memory. An existing file is replaced when the new one is whole.

        Parameters
        ----------
        data_type, start, stop, fields, where, physical, **keys
            As for :meth:`read`.
        out : str, Path or text stream
            The file; a stream, such as ``sys.stdout``, for formats of text; a directory, made if absent, for formats
            that write a day as it is stored.
        format : str, optional
            ``csv``, ``jsonl``, ``parquet``, ``netcdf``, ``cdf``, or one of a plugin or layout; if not given, by the
            suffix of the file.
        day : str, date or numpy.datetime64, optional
            One day, instead of ``start`` and ``stop``; formats that write a day as it is stored need it.
        byte_order : {'big', 'little'}
            Byte order, of formats that have a choice.

        Returns
        -------
        Export
            The files, and how many records they have.

        Raises
        ------
        UsageError, TimeError
            As for :meth:`read`; or there is no such format, or it cannot write this.
        PluginError
            The plugin of the format failed.
        MissingExtraError
            The library of the format is not installed.
        StorageError
            A file could not be written.

        Examples
        --------
        ``open_archive("archive").export("muon.rates", "rates.parquet", "2024-05-01", "2024-06-01").records``
        """
        if isinstance(out, str | Path):
            refuse_url(out)
        target = Path(out) if isinstance(out, str) else out
        described = self.describe(data_type).data_type
        known = self.plugins.data_types.get(data_type, described)
        name, exporter = choose_exporter(self.plugins, known, format, target)
        if isinstance(exporter, Exporter):
            given = {"range": (start, stop), "keys": tuple(keys.values()), "fields": (fields,), "where": (where,)}
            given["physical values"] = (physical or None,)
            unused = [what for what, values in given.items() if any(value is not None for value in values)]
            if unused or day is None:
                wrong = f"it takes no {' and no '.join(unused)}" if unused else "name the day"
                raise UsageError(f"{exporter.name} writes one day, as it is stored; {wrong}")
            return self._export_day(data_type, target, name, exporter, parse_date(day), byte_order)
        begin, end = find_range(start, stop, day, described.clock)
        readers = self.plugins.blob_readers(described)
        window = SMALL_WINDOW_BYTES
        selection = select_records(
            self,
            data_type,
            begin,
            end,
            fields=fields,
            where=where,
            physical=physical,
            readers=readers,
            window_bytes=window,
            **keys,
        )
        counted = [0]
        selection = replace(selection, read=partial(count_pieces, selection, counted))
        if isinstance(target, Path):
            self.plugins.export_range(name, exporter, selection, target)
            return Export((target,), counted[0], selection.damaged)
        if not isinstance(exporter, TextExporter):
            raise UsageError(f"{exporter.name} is not text, and cannot be written to a stream; give the name of a file")
        for text in exporter.format(selection):
            target.write(text)
        return Export((), counted[0], selection.damaged)

    def _export_day(
        self,
        data_type: str,
        out: Path | TextStream,
        name: str,
        exporter: Exporter,
        day: np.datetime64,
        byte_order: ByteOrder,
    ) -> Export:
        """Write a day of a type, as it is stored, into a directory."""
        if not isinstance(out, Path):
            raise UsageError(f"{exporter.name} writes files into a directory, not to a stream")
        if data_type not in self.plugins.data_types:
            failed = "".join(f"; {failure.message}" for failure in self.plugins.failures)
            raise UsageError(
                f"no plugin of {data_type} is installed; install the one that it was archived with{failed}"
            )
        tables = read_day(self.root, data_type, day)
        try:
            out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(f"could not make the directory: {error.strerror or error}", where=out) from error
        written = Day(self.plugins.data_types[data_type], day, tables, byte_order)
        return Export(tuple(self.plugins.export(name, exporter, written, out)))


def count_pieces(selection: Selection, counted: list[int]) -> Iterator[RecordTable]:
    """Read a selection, and count its records in a list of one number; from the first one again each time."""
    counted[0] = 0
    for piece in selection.read():
        counted[0] += len(piece)
        yield piece


def choose_exporter(
    plugins: Plugins, data_type: DataType, form: str | None, out: Path | TextStream
) -> tuple[str, Exporter | RangeExporter]:
    """Choose an exporter by its name or by the suffix of a file; return it with the plugin that offers it.

    Raises
    ------
    UsageError
        No such format; the message lists the formats.
    """
    exporters = plugins.exporters(data_type)
    formats = ", ".join(sorted(exporters))
    if form is not None:
        if form not in exporters:
            raise UsageError(f"{data_type.name} has no format {form!r}; its formats are: {formats}")
        return exporters[form]
    suffix = out.suffix.lower() if isinstance(out, Path) else ""
    for name, exporter in exporters.values():
        if not isinstance(exporter, Exporter) and exporter.suffix == suffix and suffix:
            return name, exporter
    what = f"the name {str(out)!r}" if isinstance(out, Path) else "a stream"
    raise UsageError(f"{what} says no format; give one: {formats}")


def find_range(
    start: Time | None, stop: Time | None, day: str | dt.date | np.datetime64 | None, clock: Clock
) -> tuple[Time | None, Time | None]:
    """Return a range, which is given as such or as a day; UsageError for both."""
    if day is None:
        return start, stop
    if start is not None or stop is not None:
        raise UsageError("a day is a range already; leave out the range, or the day")
    begins = np.timedelta64(clock.day_begins, "h")
    first = parse_date(day)
    return first + begins, first + 1 + begins


def parse_date(day: str | dt.date | np.datetime64) -> np.datetime64:
    """Return a day that is given as text, date or time."""
    return parse_day(day) if isinstance(day, str) else as_utc(day).astype("datetime64[D]")
