"""An instrument that is declared by a layout: its hook implementations."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.resources import files
from inspect import getattr_static
from types import FunctionType
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from dayfile import hookspecs
from dayfile.export.base import Exporter
from dayfile.formats.base import Format
from dayfile.formats.registry import CORE_FORMATS, read_layout
from dayfile.formats.structs import struct_of, structs_to_items
from dayfile.hookspecs import hookimpl
from dayfile.layouts.reader import Layout
from dayfile.model.batch import Batch, Rejected, Remark, Source
from dayfile.model.datatype import DataType

__all__ = ["Instrument"]


class Instrument:
    """A plugin made of a layout: it declares the data types, and lets the formats that the layout names do the rest.

    Parameters
    ----------
    text : str
        The layout, YAML.
    name : str
        Its file name, for messages.

    Examples
    --------
    A package whose ``__init__.py`` holds ``instrument = Instrument.from_package(__name__, "muon.yaml")`` and whose
    entry point in the group ``dayfile.plugins`` is ``muon = "my_package:instrument"`` is a complete plugin.
    """

    extends: ClassVar[Sequence[str]] = ()
    """Names of the plugins that it changes: it is asked before them of their batches and data types."""

    def __init_subclass__(cls, **arguments: Any) -> None:  # noqa: ANN401 - of further base classes
        """Mark what a subclass overrides as hook implementations, also without the mark it would be asked."""
        super().__init_subclass__(**arguments)
        for name in hookspecs.HOOKS:
            found = getattr_static(cls, name, None)
            function = found.__func__ if isinstance(found, staticmethod | classmethod) else found
            if isinstance(function, FunctionType) and not hasattr(function, f"{hookspecs.PROJECT}_impl"):
                hookimpl(function)

    def __init__(self, text: str, name: str) -> None:
        self._text = text
        self._name = name
        self._layout: Layout | None = None
        self._formats: tuple[Format, ...] = CORE_FORMATS

    @classmethod
    def from_package(cls, package: str, name: str) -> Self:
        """An instrument whose layout is a file of a package."""
        return cls(files(package).joinpath(name).read_text(encoding="utf-8"), name)

    @property
    def layout(self) -> Layout:
        """The compiled layout; LayoutError if it is wrong."""
        if self._layout is None:
            self._layout = read_layout(self._text, self._name, self._formats)
        return self._layout

    @hookimpl
    def data_types(self, formats: Mapping[str, Format] | None = None) -> Iterable[DataType]:
        """The types of the layout, which may use the words of these formats; of the core's own if not given."""
        offered = CORE_FORMATS if formats is None else tuple(formats.values())
        if offered != self._formats:
            self._layout, self._formats = None, offered
        return self.layout.types

    @hookimpl
    def decode(self, source: Source) -> Iterable[Batch | Rejected | Remark] | None:
        """What the first format that recognises a source makes of it, of those that the layout names."""
        found = next((each for each in self._named() if each.recognise(source, self.layout)), None)
        return None if found is None else found.decode(source, self.layout)

    @hookimpl
    def encode(self, data_type: DataType, records: npt.NDArray[Any]) -> tuple[str, bytes] | None:
        """A source of the first format that can encode records, of those that the layout names."""
        if data_type.instrument != self.layout.words.instrument:
            return None
        sources = (each.encode(data_type, records, self.layout) for each in self._named())
        return next((source for source in sources if source is not None), None)

    @hookimpl
    def exporters(self) -> Iterable[Exporter]:
        """What the formats of the layout's words write."""
        return [exporter for each in self._formats for exporter in each.exporters(self.layout)]

    def _named(self) -> Iterator[Format]:
        """The formats that the layout names under ``sources``, in the order in which they are asked."""
        return (each for each in self._formats if each.name in self.layout.words.sources)

    def struct(self, data_type: DataType, byte_order: str | None = None) -> np.dtype[np.void]:
        """The dtype of a data type's C struct in memory; in the layout's byte order if none is given."""
        return struct_of(self.layout, data_type, byte_order)

    def batches(self, data_type: DataType, structs: npt.NDArray[Any]) -> Iterator[Batch | Rejected]:
        """Records of structs in any memory form; see :func:`dayfile.formats.structs.structs_to_items`."""
        return structs_to_items(data_type, structs, self.layout)
