"""The format of HDF4 files with C structs, which are read whole."""

from __future__ import annotations

from dayfile.errors import SourceError
from dayfile.formats.base import Format
from dayfile.formats.structs import convert_structs
from dayfile.layouts.reader import Layout
from dayfile.model.batch import Batch, Rejected, Source

__all__ = ["Hdf4"]

SIGNATURE_SIZE = 8
"""Bytes that are compared with the signature, and shown in the error if they are not one."""


class Hdf4(Format):
    """HDF4 files: one Vdata for each struct, and an SDS for each of its larger arrays."""

    name = "hdf4"

    def recognise(self, source: Source, layout: Layout) -> bool:  # noqa: ARG002 - of the protocol
        """Return whether a source begins with the signature; SourceError if only its name is that of an HDF4 file."""
        from dayfile.formats.hdf4_structs import looks_like_hdf4

        first = source.part(0, SIGNATURE_SIZE)
        if looks_like_hdf4(first):
            return True
        if source.name.lower().endswith((".hdf", ".hdf4")):
            message = f"named like an HDF4 file, but begins with {first!r}"
            raise SourceError(message, where=source.name)
        return False

    def decode(self, source: Source, layout: Layout) -> list[Batch | Rejected] | None:
        """Read the records of all structs of the layout in a file; None if the file has none of them."""
        from dayfile.formats.hdf4_structs import list_struct_fields, list_structs, read_struct

        content = source.content
        mine = [name for name in list_structs(content, source.name) if name in layout.known]
        items: list[Batch | Rejected] = []
        for name in mine:
            fields = set(list_struct_fields(content, name, where=source.name))
            forms = layout.by_code()[layout.known[name].code].forms
            alike = (form for form in forms if fields == {field.name for field in form.fields})
            form = next(alike, layout.known[name])
            items += convert_structs(form, read_struct(content, name, form.dtype, where=source.name), layout)
        return items if mine else None
