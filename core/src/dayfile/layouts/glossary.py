"""The words of layouts for people: what each can be and what it means, from the models that check them."""

from __future__ import annotations

import datetime as dt
import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from dayfile.layouts.validation import find_models
from dayfile.messages import begin_small

__all__ = ["GlossaryEntry", "describe_model", "describe_word", "find_entries", "list_entries"]

PLAIN_NAMES = {
    bool: "true or false",
    int: "whole number",
    float: "number",
    str: "text",
    dt.date: "date",
    dt.datetime: "date and time",
}


@dataclass(frozen=True)
class GlossaryEntry:
    """One word of the vocabulary.

    Parameters
    ----------
    path : tuple of str
        The words that lead to it, itself last; names that a layout chooses, such as those of types, are left out.
    kind : str
        What its value can be.
    meaning : str
        What it means.
    required : bool
        Whether it must be there.
    default : str
        What holds without it; empty if that is nothing.
    inside : tuple of type
        The mappings that it can hold.
    """

    path: tuple[str, ...]
    kind: str
    meaning: str
    required: bool
    default: str
    inside: tuple[type[BaseModel], ...]

    @property
    def name(self) -> str:
        """The words with dots between: ``types.time.fraction``."""
        return ".".join(self.path)


def list_entries(
    model: type[BaseModel], path: tuple[str, ...] = (), above: tuple[type[BaseModel], ...] = ()
) -> Iterator[GlossaryEntry]:
    """List the words of a mapping, each followed by those inside it.

    Parameters
    ----------
    model : type of BaseModel
        The mapping.
    path : tuple of str
        The words that lead to it.
    above : tuple of type
        The mappings that it is in; what is inside itself is listed once.
    """
    for name, field in model.model_fields.items():
        entry = describe_word(field.alias or name, field, path)
        yield entry
        for inner in entry.inside:
            if inner not in (*above, model):
                yield from list_entries(inner, entry.path, (*above, model))


def find_entries(model: type[BaseModel], word: str) -> list[GlossaryEntry]:
    """Find the entries of a word, or of words with dots between; one for each meaning.

    Examples
    --------
    >>> from dayfile.layouts.schema import LayoutWords
    >>> [entry.name for entry in find_entries(LayoutWords, "clock.unit")]
    ['clock.unit']
    """
    wanted = tuple(word.split("."))
    found: dict[tuple[object, ...], GlossaryEntry] = {}
    for entry in list_entries(model):
        if entry.path[-len(wanted) :] == wanted:
            found.setdefault((entry.kind, entry.meaning, entry.path[-2:-1]), entry)
    return list(found.values())


def describe_word(name: str, field: FieldInfo, path: tuple[str, ...]) -> GlossaryEntry:
    """Describe a word by the field of its model."""
    inside = tuple(dict.fromkeys(find_models(field.annotation)))
    meaning = field.description or (describe_model(inside[0]) if inside else "")
    default = "" if field.default in (None, "", (), PydanticUndefined) else field.default
    if isinstance(default, bool):
        default = str(default).lower()
    elif isinstance(default, tuple):
        default = f"[{', '.join(map(str, default))}]"
    return GlossaryEntry(
        (*path, name), describe_kind(field.annotation), meaning, field.is_required(), f"{default}", inside
    )


def describe_model(model: type[BaseModel]) -> str:
    """Describe a mapping by the first paragraph of its docstring."""
    text = " ".join((inspect.getdoc(model) or "").split("\n\n")[0].split()).replace("``", "'")
    return begin_small(text).rstrip(".")


def describe_kind(annotation: Any) -> str:  # noqa: ANN401 - any annotation
    """Describe what a value can be.

    Examples
    --------
    >>> describe_kind(tuple[int | str, ...]), describe_kind(Literal["big", "little"])
    ('list of whole number or text', 'big or little')
    """
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return describe_kind(arguments[0])
    if origin is Literal:
        return " or ".join(
            str(choice).lower() if choice is True else str(choice) for choice in arguments if choice != ""
        )
    if origin in (UnionType, Union):
        kinds = (describe_kind(argument) for argument in arguments if argument is not NoneType)
        return " or ".join(dict.fromkeys(kinds))
    if origin is tuple:
        return f"list of {describe_kind(arguments[0])}"
    if origin is dict:
        return f"mapping of names to {describe_kind(arguments[1])}"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        words = [field.alias or name for name, field in annotation.model_fields.items()]
        return f"{{{words[0]}: …}}" if len(words) == 1 else f"{{{words[0]}: …, {words[1]}: …}}"
    return PLAIN_NAMES.get(annotation, str(annotation))
