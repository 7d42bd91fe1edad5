"""Validation of the formats, exporters and plots that plugins offer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from dayfile.contract.answers import BRIEF
from dayfile.errors import PluginError
from dayfile.export.base import BlobReader, Exporter, RangeExporter
from dayfile.formats.base import Format, Words
from dayfile.layouts.schema import LayoutWords
from dayfile.model.datatype import DataType
from dayfile.plots.base import Plot

__all__ = ["check_exporters", "check_formats", "check_new_format", "check_plots"]


def check_formats(answer: object) -> list[Format]:
    """Check the result of the formats hook: formats, each with a name, and words of its own under a section."""
    formats = None if isinstance(answer, str) or not isinstance(answer, Iterable) else list(answer)
    if formats is None or not all(isinstance(each, Format) and not isinstance(each, type) for each in formats):
        raise PluginError(f"formats must return a list of dayfile.formats.base.Format, not {BRIEF.repr(answer)}")
    for each in formats:
        if not isinstance(each.name, str) or not each.name.isidentifier():
            raise PluginError(f"formats returned a format whose name is {BRIEF.repr(each.name)}, which is not a word")
        has_words = isinstance(each.words, type) and issubclass(each.words, Words)
        if each.words is not None and not has_words:
            raise PluginError(f"the words of the format {each.name} must be a subclass of dayfile.formats.base.Words")
        if not isinstance(each.section, str) or has_words != each.section.isidentifier():
            raise PluginError(f"the format {each.name} must have both words and a section for them, or neither")
    return formats


def check_new_format(item: Format, known: Mapping[str, Format], owners: Mapping[str, str]) -> None:
    """Check that no known format has the name or the section of a new one."""
    if item.name in known:
        raise PluginError(f"the format {item.name} is plugin {owners[item.name]}'s already")
    if item.section in LayoutWords.model_fields:
        raise PluginError(f"the section {item.section} of the format {item.name} is a word of all layouts")
    for name, other in known.items():
        if item.section and item.section == other.section:
            raise PluginError(f"the section {item.section} of the format {item.name} is that of {name} already")


def check_exporters(answer: object) -> list[Exporter | RangeExporter | BlobReader]:
    """Check the result of the exporters hook: exporters, each with a name, and what reads blobs."""
    offers = None if isinstance(answer, str) or not isinstance(answer, Iterable) else list(answer)
    known = (Exporter, RangeExporter, BlobReader)
    if offers is None or not all(isinstance(each, known) and not isinstance(each, type) for each in offers):
        names = "dayfile.export.base.Exporter, RangeExporter or BlobReader"
        raise PluginError(f"exporters must return a list of {names}, not {BRIEF.repr(answer)}")
    for each in offers:
        if isinstance(each, BlobReader):
            check_reader(each)
        elif not isinstance(each.name, str) or not each.name or not each.name.isprintable():
            raise PluginError(f"exporters returned an exporter whose name is {BRIEF.repr(each.name)}")
    return offers


def check_reader(reader: BlobReader) -> None:
    """Check that samples of a reader of blobs are numbers."""
    try:
        kind = str(np.dtype(reader.dtype).kind)
    except TypeError:
        kind = ""
    if kind not in ("i", "u", "f") or not callable(reader.read):
        message = f"the reader of {reader.data_type} {reader.field} must have a function, and samples of a number type"
        raise PluginError(f"{message}, not {BRIEF.repr(reader.dtype)}")


def check_plots(answer: object, data_type: DataType) -> list[Plot]:
    """Check the result of the plots hook: plots, each with a name; return those that serve a data type."""
    plots = None if isinstance(answer, str) or not isinstance(answer, Iterable) else list(answer)
    if plots is None or not all(isinstance(each, Plot) and not isinstance(each, type) for each in plots):
        raise PluginError(f"plots must return a list of dayfile.plots.base.Plot, not {BRIEF.repr(answer)}")
    for each in plots:
        if not isinstance(each.name, str) or not each.name.isidentifier():
            raise PluginError(f"plots returned a plot whose name is {BRIEF.repr(each.name)}, which is not a word")
    return [each for each in plots if each.serves(data_type)]
