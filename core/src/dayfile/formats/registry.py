"""The formats of the core, and reading layouts with their words."""

from __future__ import annotations

from collections.abc import Sequence

from dayfile.formats.base import Format
from dayfile.formats.hdf4 import Hdf4
from dayfile.formats.slot_files import SlotFiles
from dayfile.formats.structs import Structs
from dayfile.layouts import reader
from dayfile.layouts.reader import Layout

__all__ = ["CORE_FORMATS", "read_layout"]

CORE_FORMATS: tuple[Format, ...] = (Structs(), SlotFiles(), Hdf4())
"""The formats that ``builtin`` offers, in the order in which they are asked: by name first, then by content."""


def read_layout(text: str, name: str, formats: Sequence[Format] = CORE_FORMATS, package: str | None = "") -> Layout:
    """Read and check a layout, with the words of formats; see :func:`dayfile.layouts.reader.read_layout`."""
    return reader.read_layout(text, name, formats, package)
