"""The default plot of a type, checked against its fields."""

from __future__ import annotations

from dayfile.layouts.document import EMPTY, Document, Path
from dayfile.layouts.schema import TypeWords
from dayfile.messages import suggest
from dayfile.model.field import Field
from dayfile.model.plot_default import PlotDefault, has_element, split_element

__all__ = ["compile_plot"]


def compile_plot(
    type_words: TypeWords, fields: tuple[Field, ...], document: Document, path: Path
) -> PlotDefault | None:
    """Compile the default plot of a type; None if the layout does not say how it is drawn."""
    words, path = type_words.plot, (*path, "plot")
    if words is None:
        if "plot" in type_words.model_fields_set:
            document.fail(path, EMPTY)
        return None
    by_name = {field.name: field for field in fields}
    for index, text in enumerate(words.y):
        place: Path = (*path, "y", index)
        name, element = split_element(text)
        if name not in by_name:
            document.fail(place, f"{name!r} is not a field{suggest(name, by_name)}")
        field = by_name[name]
        if field.base.kind not in "biuf" or field.blob:
            document.fail(place, f"{name} is {'a blob' if field.blob else field.type}; only numbers can be drawn")
        if not has_element(field.array_shape, element):
            document.fail(place, f"{text} is not an element of {name}, whose shape is {list(field.array_shape)}")
    return PlotDefault(words.kind or "", words.y, words.log)
