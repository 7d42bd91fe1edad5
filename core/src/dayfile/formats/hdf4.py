"""HDF4 files with C structs, as a format; they are read whole."""

from __future__ import annotations

from dayfile.errors import SourceError
from dayfile.formats.base import Format
from dayfile.formats.structs import structs_to_items
from dayfile.layouts.reader import Layout
from dayfile.model.batch import Batch, Rejected, Source

__all__ = ["Hdf4"]

SIGNATURE_SIZE = 8
"""Bytes that are looked at, and shown where they are not those of an HDF4 file."""


class Hdf4(Format):
    """HDF4 files: one Vdata for each struct, and an SDS for each of its larger arrays."""

    name = "hdf4"

    def recognise(self, source: Source, layout: Layout) -> bool:  # noqa: ARG002 - of the protocol
        """An HDF4 file begins with its signature; SourceError for another file that is named as one."""
        from dayfile.formats.hdf4_structs import looks_like_hdf4

        first = source.part(0, SIGNATURE_SIZE)
        if looks_like_hdf4(first):
            return True
        if source.name.lower().endswith((".hdf", ".hdf4")):
            message = f"named as an HDF4 file, but it is none: it begins with {first!r}"
            raise SourceError(message, where=source.name)
        return False

    def decode(self, source: Source, layout: Layout) -> list[Batch | Rejected] | None:
        """Records of all structs of the layout in a file; None if it has none of them."""
        from dayfile.formats.hdf4_structs import read_struct, struct_fields, struct_names

        content = source.content
        mine = [name for name in struct_names(content, source.name) if name in layout.known]
        items: list[Batch | Rejected] = []
        for name in mine:
            fields = set(struct_fields(content, name, where=source.name))
            forms = layout.by_code()[layout.known[name].code].forms
            alike = (form for form in forms if fields == {field.name for field in form.fields})
            form = next(alike, layout.known[name])
            items += structs_to_items(form, read_struct(content, name, form.dtype, where=source.name), layout)
        return items if mine else None
