"""Check a layout against the vocabulary: every mistake in our words, at its place.

What is misspelt is put right in a copy, so that the rest can be checked as well, and contradictions be found.
"""

from __future__ import annotations

import copy
import datetime as dt
import re
from collections.abc import Collection, Iterable, Sequence
from difflib import get_close_matches
from typing import Any, Generic, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from dayfile.layouts.document import EMPTY, Document, Path
from dayfile.layouts.part_words import FIELD_TYPES
from dayfile.layouts.schema import LayoutWords
from dayfile.layouts.words import Words
from dayfile.messages import begin_small, suggest

__all__ = ["find_models", "validate_words"]

Model = TypeVar("Model", bound=Words)

ROUNDS = 4
"""How often a copy is put right and checked again: inside a misspelt word there may be others."""
NO_NAME = "is not a name: letters, digits and _, not a digit first"
RIGHT = {
    "date_": "is not a day; write it as 2024-05-02",
    "datetime_": "is not a date and time; write it as 2024-05-02T00:00:00",
    "string_pattern": NO_NAME,
    "string_too_short": "must have at least 1 character",
    "too_short": "must have at least 1 part",
    "dict_": "must be a mapping",
    "bool_": "must be true or false",
}
"""What a value must be, by the beginning of pydantic's name for the error."""
NUMBER_ERRORS = ("int_", "float_")
"""Beginnings of the names of errors where a number is expected."""
QUOTIENT = re.compile(r"\s*([-+]?\d+\.?\d*)\s*/\s*(\d+\.?\d*)\s*")
FRACTION_OF_A_SECOND = re.compile(r"1/\d+ ?s?")
MANY = 8
"""A longer list of choices is not repeated in a message, if some of them are like what is written."""
INDEPENDENT = ("valid", "titles", "title", "overflow", "keeps", "version", "sources", "main_key", "clock", "instrument")
"""Words at the top that can be left out of a copy without making the rest of it wrong."""
OTHER_NAMES = {
    "int8_t": "int8", "int16_t": "int16", "int32_t": "int32", "int64_t": "int64", "uint8_t": "uint8", "i1": "int8",
    "uint16_t": "uint16", "uint32_t": "uint32", "uint64_t": "uint64", "i2": "int16", "i4": "int32", "i8": "int64",
    "u1": "uint8", "u2": "uint16", "u4": "uint32", "u8": "uint64", "f4": "float32", "f8": "float64", "short": "int16",
    "int": "int32", "unsigned short": "uint16", "unsigned int": "uint32", "unsigned char": "uint8", "byte": "uint8",
    "unsigned": "uint32", "float": "float32", "double": "float64", "string": "char", "str": "char", "text": "char",
    "boolean": "bool",
}  # fmt: skip
"""Types of fields by the names that C and NumPy have for them."""
STAND_INS: dict[str, Any] = {
    "instrument": "unknown",
    "title": "unknown",
    "epoch": dt.datetime(2000, 1, 1),  # noqa: DTZ001 - as YAML gives it
    "clock": {"epoch": dt.datetime(2000, 1, 1)},  # noqa: DTZ001
    "type": "uint32",
}
"""What a copy gets where a word is missing."""
TYPES = "types"


def validate_words(document: Document, model: type[Model]) -> Model | None:
    """Check the data of a document against a vocabulary; collect every mistake.

    Parameters
    ----------
    document : Document
        The document; its ``mistakes`` get what is wrong, in order of the file, missing words last.
    model : subclass of Words
        The vocabulary.

    Returns
    -------
    Words or None
        The words, as far as they make sense: without the types in which more than spelling is wrong. None if no type
        is left, or if the rest depends on what is wrong.
    """
    return Repair(document, model).validate()


class Repair(Generic[Model]):
    """A copy of a document's data, and what was done to it.

    Parameters
    ----------
    document : Document
        The document.
    model : subclass of LayoutWords
        The vocabulary.
    """

    def __init__(self, document: Document, model: type[Model]) -> None:
        self.document = document
        self.model = model
        self.data: Any = copy.deepcopy(document.data)
        self.unsound: set[str | int] = {path[1] for path in document.left_out if path[:1] == (TYPES,) and path[1:]}
        self.changed: set[Path] = set(document.left_out)
        self.renamed: set[Path] = set()

    def validate(self) -> Model | None:
        """Check the copy, put it right, and check it again."""
        for _ in range(ROUNDS):
            try:
                words = self.model.model_validate(self.data)
            except ValidationError as error:
                details = self._select(error)
            else:
                return self._keep_sound(words)
            for detail in details:
                if not self._is_consequence(detail):
                    with self.document.collect():
                        self._fail_as(detail)
            if not all(self._put_right(detail) for detail in details):
                return None
            if isinstance(self.data.get(TYPES), dict):
                self.data[TYPES] = {name: each for name, each in self.data[TYPES].items() if name not in self.unsound}
        return None

    def _keep_sound(self, words: Model) -> Model | None:
        """Return words without the types that are not sound; None if there are no others, or more is wrong."""
        if any(path[:1] != (TYPES,) and path[0] not in INDEPENDENT for path in self.changed if path):
            return None
        if not isinstance(words, LayoutWords):
            return None if self.changed else words
        types = {name: each for name, each in words.types.items() if name not in self.unsound}
        return words.model_copy(update={TYPES: types}) if types else None

    def _select(self, error: ValidationError) -> list[Any]:
        """Select one error for each value, in the order of the file, missing words last.

        Values that can be of several forms have an error for each form: the one that is inside the value counts.
        """

        def order(detail: Any) -> tuple[bool, int, int]:  # noqa: ANN401 - pydantic's ErrorDetails
            mark = self.document.places.get(self._find_path(detail))
            return detail["type"] in {"missing", "too_short"}, mark.line if mark else 0, mark.column if mark else 0

        found: dict[tuple[Path, str], Any] = {}
        for detail in sorted(error.errors(), key=order):
            missing = str(detail["loc"][-1]) if detail["type"] == "missing" else ""
            found.setdefault((self._find_path(detail), missing), detail)
        paths = [path for path, _ in found]
        meant = {(path[:-1], self._find_meant(path)) for (path, _), each in found.items() if is_unknown(each)}
        return [
            detail
            for (path, missing), detail in found.items()
            if (path, missing) not in meant  # it is there, but misspelt
            and (missing or is_unknown(detail) or not any(is_inside(other, path) for other in paths))
        ]

    def _is_consequence(self, detail: Any) -> bool:  # noqa: ANN401 - pydantic's ErrorDetails
        """Return whether an error is one of what was changed, not of what is in the file."""
        path = self._find_path(detail)
        if path in self.renamed:  # another word was meant
            return True
        whole = (*path, detail["loc"][-1]) if detail["type"] == "missing" else path
        return any(whole == each or is_inside(whole, each) for each in self.changed) or (
            detail["type"] in {"missing", "too_short"} and any(is_inside(each, path) for each in self.changed)
        )

    def _fail_as(self, detail: Any) -> None:  # noqa: ANN401 - pydantic's ErrorDetails
        """Raise one error of pydantic in our words."""
        path, document = self._find_path(detail), self.document
        if detail["loc"][-1:] == ("[key]",):
            document.fail(path, f"{path[-1]!r} {NO_NAME}", at_key=True)
        if is_unknown(detail):
            hint = suggest(str(path[-1]), list_words(path, self.model, self._list_beside(path)))
            document.fail(path, f"unknown key {path[-1]!r}{hint}", at_key=True)
        if detail["type"] == "missing":
            word = str(detail["loc"][-1])
            meaning = dict(list_meanings((*path, word), self.model)).get(word)
            document.fail(path, f"{word!r} is missing" + (f": {meaning}" if meaning else ""))
        document.fail(path, explain_error(detail, path, self.model))

    def _put_right(self, detail: Any) -> bool:  # noqa: ANN401 - pydantic's ErrorDetails
        """Change the copy where it is wrong; return False if nothing can be checked any further."""
        path, kind = self._find_path(detail), detail["type"]
        if not isinstance(self.data, dict):
            return False
        if kind == "missing":
            return self._add(path, str(detail["loc"][-1]))
        if not path:
            return False
        if detail["loc"][-1:] == ("[key]",):
            self._rename(path, re.sub(r"\W", "_", f"_{path[-1]}"))
        elif is_unknown(detail):
            self._rename(path, self._find_meant(path))
        elif near := find_near(detail, path):
            self._replace(path, near)
        else:
            self._remove(path)
        return True

    def _add(self, path: Path, word: str) -> bool:
        """Add a missing word to the copy; without a value for it, its type is not sound."""
        if path[:1] != (TYPES,) and word not in STAND_INS:
            return False
        self.changed.add((*path, word))
        if word in STAND_INS:
            find_mapping(self.data, path)[word] = STAND_INS[word]
        elif len(path) > 1:
            self.unsound.add(path[1])
        else:
            return False
        return True

    def _replace(self, path: Path, value: str) -> None:
        """Replace a value in a mapping or a list of the copy."""
        inside: Any = self.data
        for part in path[:-1]:
            inside = inside[part]
        inside[path[-1]] = value

    def _remove(self, path: Path) -> None:
        """Remove a word with a wrong value; its type is not sound any more."""
        while isinstance(path[-1], int):
            path = path[:-1]
        self.changed.add(path)
        find_mapping(self.data, path[:-1]).pop(path[-1], None)
        if path[0] == TYPES and len(path) > 1:
            self.unsound.add(path[1])

    def _rename(self, path: Path, meant: str) -> None:
        """Give a word the name that was meant, and its values the places that they have; without one, remove it."""
        mapping = find_mapping(self.data, path[:-1])
        value = mapping.pop(path[-1], None)
        if not meant or meant in mapping:
            return
        mapping[meant] = value
        self.renamed.add((*path[:-1], meant))
        places = self.document.places
        inside = [each for each in places if is_inside(each, path) or each == path]
        places.update({(*path[:-1], meant, *each[len(path) :]): places[each] for each in inside})

    def _find_meant(self, path: Path) -> str:
        """Find the word that was meant by one that is unknown; empty if none is near."""
        return next(
            iter(get_close_matches(str(path[-1]), list(list_words(path, self.model, self._list_beside(path))), n=1)), ""
        )

    def _list_beside(self, path: Path) -> set[str]:
        """List the words beside the last part of a path, in the same mapping."""
        places = self.document.places
        return {str(place[-1]) for place in places if len(place) == len(path) and place[:-1] == path[:-1]}

    def _find_path(self, detail: Any) -> Path:  # noqa: ANN401 - pydantic's ErrorDetails
        """Return pydantic's path without what is not in the file: union members, key checks, missing words."""
        loc = detail["loc"][:-1] if detail["type"] == "missing" else detail["loc"]
        path: Path = ()
        for part in loc:
            if (*path, part) in self.document.places:
                path = (*path, part)
        return path


def is_unknown(detail: Any) -> bool:  # noqa: ANN401 - pydantic's ErrorDetails
    """Return whether an error is a word that is not part of the vocabulary."""
    return bool(detail["type"] == "extra_forbidden")


def is_inside(path: Path, other: Path) -> bool:
    """Return whether a path is that of something inside the value of another path."""
    return len(path) > len(other) and path[: len(other)] == other


def find_mapping(data: Any, path: Path) -> dict[str | int, Any]:  # noqa: ANN401 - plain data
    """Find the mapping of a path; one that nothing holds if it is not there any more."""
    for part in path:
        try:
            data = data[part]
        except (LookupError, TypeError):
            return {}
    return data if isinstance(data, dict) else {}


def find_near(detail: Any, path: Path) -> str:  # noqa: ANN401 - pydantic's ErrorDetails
    """Find the value that was meant by a misspelt one; empty if none is near."""
    if detail["type"] != "literal_error" or not isinstance(detail["input"], str):
        return ""
    if path[-1] == "type" and detail["input"].lower() in OTHER_NAMES:
        return OTHER_NAMES[detail["input"].lower()]
    choices: Sequence[str] = re.findall(r"'([^']*)'", detail["ctx"]["expected"])
    return next(iter(get_close_matches(detail["input"], FIELD_TYPES if path[-1] == "type" else choices, n=1)), "")


def explain_error(detail: Any, path: Path, model: type[Words]) -> str:  # noqa: ANN401 - pydantic's ErrorDetails
    """Describe an error of pydantic about a value in our words, and say what the value must be."""
    kind, value = detail["type"], detail["input"]
    if value is None:
        return EMPTY
    shown = {dict: "a mapping", list: "a list", dt.date: f"{value}", dt.datetime: f"{value}"}.get(
        type(value), repr(value)
    )
    if kind == "literal_error":
        return explain_choice(value, shown, path, detail["ctx"]["expected"])
    if kind == "tuple_type":
        return f"{shown} must be a list" if isinstance(value, dict) else f"{shown} must be a list: [{value}]"
    if kind == "model_type":
        words = list(list_words((*path, ""), model))[:2]
        return f"{shown} must be a mapping: {{{': …, '.join(words)}: …}}"
    if path == ("day_begins",):
        return f"{shown} is not a whole hour; write one such as 12:00"
    if path[-1:] == ("default",):
        return f"{shown} must be a number, or true or false"
    numeric = kind.startswith(NUMBER_ERRORS) or "physical" in path  # where a field's name is possible, too
    quotient = QUOTIENT.fullmatch(value) if numeric and isinstance(value, str) else None
    if quotient and float(quotient[2]):
        return f"{shown} is not a number for YAML; write {float(quotient[1]) / float(quotient[2])!r}"
    for beginning, right in RIGHT.items():
        if kind.startswith(beginning):
            return f"{shown} {right}"
    return f"{shown}: {begin_small(detail['msg'])}" if kind != "string_type" else explain_text(value, shown, path)


def explain_text(value: Any, shown: str, path: Path) -> str:  # noqa: ANN401 - whatever YAML holds
    """Say what to write where a text is expected that YAML takes for something else."""
    if "values" in path[:-1] and isinstance(value, int) and not isinstance(value, bool):
        return f"the number comes first, and then its name: {{{value}: {path[-1]}}}"
    message = f"{shown}: input should be a valid string"
    if isinstance(value, bool):
        return f"{message}; YAML reads yes, no, on and off as true and false: put it in quotes"
    return f"{message}; put it in quotes" if isinstance(value, int | float | dt.date) else message


def explain_choice(value: Any, shown: str, path: Path, expected: str) -> str:  # noqa: ANN401 - whatever YAML holds
    """Say what a value must be of which only some are possible: those that are like it if they are many."""
    if path[-1] == "type":
        other = OTHER_NAMES.get(str(value).lower())
        return f"{shown} is not a type" + (f"; did you mean {other!r}?" if other else suggest(str(value), FIELD_TYPES))
    choices = re.findall(r"'([^']*)'", expected)
    if len(choices) > MANY:
        alike = [each for each in choices if isinstance(value, str) and each.startswith(value)]
        near = alike or get_close_matches(str(value), choices, n=MANY, cutoff=0.5)
        return f"{shown} is not known; " + (f"one of {', '.join(near or choices)}")
    if path[-1] == "unit" and FRACTION_OF_A_SECOND.fullmatch(str(value)):
        made = f"{{epoch: …, plus: {{FIELD: s, FRACTION: {value}}}}}"
        return f"{shown} must be {expected}; for others, the time is a sum: {made}"
    return f"{shown} must be {expected}"


def list_words(path: Path, layout: type[Words], beside: Collection[str] = ()) -> Iterable[str]:
    """List the words that are allowed in place of the last part of a path; see :func:`list_meanings`."""
    return [word for word, _ in list_meanings(path, layout, beside)]


def list_meanings(path: Path, layout: type[Words], beside: Collection[str] = ()) -> Iterable[tuple[str, str]]:
    """List the words that are allowed in place of the last part of a path, with their meanings.

    Where several forms of a mapping are allowed, it is the one that has most of the words ``beside``.
    """
    model: type[BaseModel] | None = layout
    for part in path[:-1]:
        if model is None or isinstance(part, int) or part not in model.model_fields:
            continue
        models = find_models(model.model_fields[part].annotation)
        model = max(models, key=lambda each: len(each.model_fields.keys() & set(beside)), default=None)
    fields = model.model_fields if model else {}
    return [(field.alias or name, field.description or "") for name, field in fields.items()]


def find_models(annotation: Any) -> Iterable[type[BaseModel]]:  # noqa: ANN401 - any annotation
    """Find the models in an annotation."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from find_models(argument)
