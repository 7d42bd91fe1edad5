"""A plugin made from a layout."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.resources import files
from inspect import getattr_static
from types import FunctionType
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from dayfile import hookspecs
from dayfile.export.base import BlobReader, Exporter, RangeExporter
from dayfile.formats.base import Format
from dayfile.formats.framed import Framed
from dayfile.formats.registry import CORE_FORMATS, read_layout
from dayfile.formats.structs import convert_structs, find_struct
from dayfile.hookspecs import hookimpl
from dayfile.layouts.reader import Layout
from dayfile.model.batch import Batch, Rejected, Remark, Source
from dayfile.model.datatype import DataType

__all__ = ["Instrument"]

FRAMED = Framed()


class Instrument:
    """A plugin made from a layout: it declares the data types, and the formats that the layout names do the rest.

    Parameters
    ----------
    text : str
        The layout, YAML.
    name : str
        Its file name, for messages.
    package : str
        The package that it is a part of, whose functions it may name; empty if it is none.

    Examples
    --------
    A package whose ``__init__.py`` holds ``instrument = Instrument.from_package(__name__, "muon.yaml")`` and whose
    entry point in the group ``dayfile.plugins`` is ``muon = "my_package:instrument"`` is a complete plugin.
    """

    extends: ClassVar[Sequence[str]] = ()
    """Names of the plugins that it changes: it is asked before them about their batches and data types."""

    def __init_subclass__(cls, **arguments: Any) -> None:  # noqa: ANN401 - of further base classes
        """Mark the hooks that a subclass overrides, so that its author does not have to write ``@hookimpl``."""
        super().__init_subclass__(**arguments)
        for name in hookspecs.HOOKS:
            found = getattr_static(cls, name, None)
            function = found.__func__ if isinstance(found, staticmethod | classmethod) else found
            if isinstance(function, FunctionType) and not hasattr(function, f"{hookspecs.PROJECT}_impl"):
                hookimpl(function)

    def __init__(self, text: str, name: str, package: str = "") -> None:
        self._text = text
        self._package = package
        self._name = name
        self._layout: Layout | None = None
        self._formats: tuple[Format, ...] = CORE_FORMATS

    @classmethod
    def from_package(cls, package: str, name: str) -> Self:
        """Make an instrument from a layout that is a file of a package."""
        return cls(files(package).joinpath(name).read_text(encoding="utf-8"), name, package)

    @property
    def layout(self) -> Layout:
        """The compiled layout; LayoutError if it is wrong."""
        if self._layout is None:
            self._layout = read_layout(self._text, self._name, self._formats, self._package)
        return self._layout

    @hookimpl
    def data_types(self, formats: Mapping[str, Format] | None = None) -> Iterable[DataType]:
        """Return the types of the layout, which can use the words of these formats (default: those of the core)."""
        offered = CORE_FORMATS if formats is None else tuple(formats.values())
        if offered != self._formats:
            self._layout, self._formats = None, offered
        return self.layout.types

    @hookimpl
    def decode(self, source: Source) -> Iterable[Batch | Rejected | Remark] | None:
        """Decode a source with the first of the layout's formats that recognises it."""
        found = next((each for each in self._find_formats() if each.recognise(source, self.layout)), None)
        return None if found is None else found.decode(source, self.layout)

    @hookimpl
    def encode(self, data_type: DataType, records: npt.NDArray[Any]) -> tuple[str, bytes] | None:
        """Encode records with the first of the layout's formats that can."""
        if data_type.instrument != self.layout.words.instrument:
            return None
        sources = (each.encode(data_type, records, self.layout) for each in self._find_formats())
        return next((source for source in sources if source is not None), None)

    @hookimpl
    def exporters(self) -> Iterable[Exporter | RangeExporter | BlobReader]:
        """Return the exporters of all formats for this layout."""
        return [exporter for each in self._formats for exporter in each.exporters(self.layout)]

    def _find_formats(self) -> Iterator[Format]:
        """Find the formats of the layout in the order in which they are asked: its own words, those of ``sources``."""
        if self.layout.plan is not None:
            yield FRAMED
        yield from (each for each in self._formats if each.name in self.layout.words.sources)

    def struct(self, data_type: DataType, byte_order: str | None = None) -> np.dtype[np.void]:
        """Return the dtype of a data type's C struct in memory, by default in the layout's byte order."""
        return find_struct(self.layout, data_type, byte_order)

    def batches(self, data_type: DataType, structs: npt.NDArray[Any]) -> Iterator[Batch | Rejected]:
        """Turn structs of any memory form into batches; see :func:`dayfile.formats.structs.convert_structs`."""
        return convert_structs(data_type, structs, self.layout)
