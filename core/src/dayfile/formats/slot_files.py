"""The format of slot files: one day of one data type as C structs, with day and type in the file name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from string import Formatter

from pydantic import Field

from dayfile.export.base import Day, Exporter
from dayfile.export.files import remove_file, write_file
from dayfile.formats.base import Format
from dayfile.formats.slot_bytes import (
    CODE_SIZE,
    HEADER_SIZE,
    OVERLAP,
    SlotFile,
    lay_out,
    make_header,
    open_slot_file,
    parse_file_name,
    sort_by_time,
)
from dayfile.formats.structs import convert_structs, find_struct
from dayfile.layouts.document import Document
from dayfile.layouts.part_words import StructWords
from dayfile.layouts.reader import Layout
from dayfile.layouts.templates import DAY, check_day_template
from dayfile.layouts.words import Words
from dayfile.model.batch import Batch, Blocks, Rejected, Remark, Source
from dayfile.model.datatype import DataType
from dayfile.stores.registry import find_store

__all__ = ["FlatFileWords", "SlotFileExporter", "SlotFiles"]


class FlatFileWords(Words):
    """Flat files of structs, one for each day and data type."""

    format: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$",
        description="name of the format for dayfile export --format",
    )
    name: str = Field(description="template of the file name")


class SlotFiles(Format):
    """Files with the slots of a day: a header, and then structs. Layouts call them ``flat_files``."""

    name = "flat_files"
    section = "flat_files"
    words = FlatFileWords

    def check(self, layout: Layout, document: Document) -> None:
        """Check that the layout has structs, and that file names have the day and the data type."""
        words = layout.find_section(FlatFileWords)
        if words is None:
            if self.name in layout.words.sources:
                place = ("sources", layout.words.sources.index(self.name))
                document.fail(place, "the layout has no 'flat_files', which declares the file names")
            return
        if layout.find_section(StructWords) is None:
            document.fail(("flat_files",), "flat files hold C structs; the layout has no 'structs'", at_key=True)
        check_name(words.name, layout, document)
        for data_type in layout.types:
            for code in {data_type.code, *(version.code for version in data_type.versions)}:
                if len(code) > CODE_SIZE or not code.isascii():
                    problem = f"does not fit the header of a flat file: ASCII, at most {CODE_SIZE} characters"
                    document.fail(("types", data_type.type, "code"), f"{code!r} {problem}")

    def recognise(self, source: Source, layout: Layout) -> bool:
        """Return whether the name is that of a slot file."""
        return parse_file_name(get_template(layout), layout.types, source.name) is not None

    def decode(self, source: Source, layout: Layout) -> Blocks | None:
        """Read a slot file; records have the numbers of their slots."""
        found = parse_file_name(get_template(layout), layout.types, source.name)
        if found is None:
            return None
        data_type, day, part = found
        file = open_slot_file(source, data_type, day, partial(find_struct, layout), part=part)
        gave_way = part == "overlap" and find_store(data_type.placement.store).contends
        return Blocks(partial(read_items, file, layout, gave_way=gave_way))

    def exporters(self, layout: Layout) -> Iterable[Exporter]:
        """Return the exporter of slot files, with the format name of the layout."""
        words = layout.find_section(FlatFileWords)
        return [] if words is None else [SlotFileExporter(words.format, layout)]


@dataclass
class SlotFileExporter(Exporter):
    """Writes the slot file of a day, and its overlap file if records contended for slots.

    Parameters
    ----------
    name : str
        Name of the format in the layout.
    layout : Layout
        The layout, which declares file names and structs.
    """

    name: str
    layout: Layout

    def serves(self, data_type: DataType) -> bool:
        """Return whether a type belongs to the layout's instrument."""
        return data_type.instrument == self.layout.words.instrument

    def export(self, day: Day, directory: Path) -> list[Path]:
        """Write the file and the overlap file; without overlap, remove an older overlap file."""
        stored = day.tables.data_type
        header = make_header(day.data_type.code_of(len(stored.fields)), day.date, day.byte_order)
        struct = find_struct(self.layout, stored, day.byte_order)
        sparse = find_store(stored.placement.store).sparse
        rows = day.tables.rows if sparse else sort_by_time(day.tables.rows, stored)
        content = header + lay_out(rows, struct).tobytes()
        overlap = header + lay_out(sort_by_time(day.tables.overlap, stored), struct).tobytes()
        path = directory / day.data_type.fill(get_template(self.layout), day.date)
        beside = path.with_name(path.name + OVERLAP)
        written = [write_file(path, content)]
        if len(day.tables.overlap):
            written.append(write_file(beside, overlap))
        else:
            remove_file(beside)
        return written


def get_template(layout: Layout) -> str:
    """Return the template of the names of slot files; empty if the layout has none."""
    words = layout.find_section(FlatFileWords)
    return words.name if words else ""


def read_items(file: SlotFile, layout: Layout, *, gave_way: bool) -> Iterator[Batch | Rejected | Remark]:
    """Read the records of a slot file block by block; at the end comes a remark on slots in conflict, if any."""
    conflicts: list[int] = []
    for slots in file.read():
        conflicts += slots.conflicts.tolist()
        for item in convert_structs(file.form, slots.structs, layout):
            if isinstance(item, Rejected):
                numbers = tuple(slots.places[list(item.numbers)].tolist())
                yield replace(item, numbers=numbers, offset=HEADER_SIZE + numbers[0] * file.struct.itemsize)
            else:
                yield replace(item, numbers=slots.places[item.numbers], gave_way=gave_way)
    if conflicts:
        name = file.source.name
        text = f"slots in conflict in {name}; their records come with {name}{OVERLAP}"
        yield Remark(file.form.instrument, file.form.code, text, tuple(conflicts))


def check_name(template: str, layout: Layout, document: Document) -> None:
    """Check that the template of a file name has day and data type."""
    path = ("flat_files", "name")
    check_day_template(template, document, path)
    keys = {name for _, name, _, _ in Formatter().parse(template)}
    missing = [f"{{{key}}}" for key in ("year", "month", "day") if key not in keys]
    if missing or "/" in template:
        document.fail(path, f"{template!r} must be a name without '/' and with the day; missing: {missing or 'none'}")
    seen: dict[str, str] = {}
    for data_type in layout.types:
        name = data_type.fill(template, DAY)
        if name in seen:
            document.fail(path, f"{data_type.type} and {seen[name]} would share file names such as {name!r}")
        seen[name] = data_type.type
