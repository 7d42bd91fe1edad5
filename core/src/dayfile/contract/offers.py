"""Validation of the formats, exporters and plots that plugins offer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from dayfile.contract.answers import BRIEF
from dayfile.errors import PluginError
from dayfile.export.base import Exporter
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


def check_exporters(answer: object, data_type: DataType) -> list[Exporter]:
    """Check the result of the exporters hook: exporters, each with a name; return those that serve a data type."""
    exporters = None if isinstance(answer, str) or not isinstance(answer, Iterable) else list(answer)
    if exporters is None or not all(isinstance(each, Exporter) and not isinstance(each, type) for each in exporters):
        raise PluginError(f"exporters must return a list of dayfile.export.base.Exporter, not {BRIEF.repr(answer)}")
    for each in exporters:
        if not isinstance(each.name, str) or not each.name or not each.name.isprintable():
            raise PluginError(f"exporters returned an exporter whose name is {BRIEF.repr(each.name)}")
    return [each for each in exporters if each.serves(data_type)]


def check_plots(answer: object, data_type: DataType) -> list[Plot]:
    """Check the result of the plots hook: plots, each with a name; return those that serve a data type."""
    plots = None if isinstance(answer, str) or not isinstance(answer, Iterable) else list(answer)
    if plots is None or not all(isinstance(each, Plot) and not isinstance(each, type) for each in plots):
        raise PluginError(f"plots must return a list of dayfile.plots.base.Plot, not {BRIEF.repr(answer)}")
    for each in plots:
        if not isinstance(each.name, str) or not each.name.isidentifier():
            raise PluginError(f"plots returned a plot whose name is {BRIEF.repr(each.name)}, which is not a word")
    return [each for each in plots if each.serves(data_type)]
