"""YAML as plain data, with the place of each value, so that an error names file, line and column."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Collection, Iterable
from typing import Any, NoReturn, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError
from yaml.reader import Reader

from dayfile.errors import LayoutError
from dayfile.layouts.part_words import FIELD_TYPES
from dayfile.layouts.words import Words
from dayfile.messages import number_problem, suggest

__all__ = ["EMPTY", "Document", "Path"]

Path = tuple[str | int, ...]
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
DEEPEST = 16
EMPTY = "the value is missing; write one, or leave the word out"
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
TIMES_OF_DAY: tuple[Path, ...] = (("day_begins",),)
"""Words whose value is a time such as 12:00, which YAML 1.1 takes for the number 720."""
A_TIME_OF_DAY = re.compile(r"[0-9]+(:[0-9]+)+")
Model = TypeVar("Model", bound=Words)
YAML_TAGS = {f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null", "timestamp", "seq", "map")}


class Document:
    """YAML as plain data, with the place of each value."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.data: Any = None
        self.model: type[Words] = Words
        self.places: dict[Path, yaml.Mark] = {}
        self.seen: set[yaml.Node] = set()

    @classmethod
    def parse(cls, text: str, name: str) -> Document:
        """Parse scalars, lists and mappings; refuse tags, which could build anything else."""
        document = cls(name)
        if strange := Reader.NON_PRINTABLE.search(text):
            before = text[: strange.start()]
            line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
            problem = f"this is not YAML: it must not contain the character {strange[0]!r}"
            raise LayoutError(problem, where=f"{name}:{line}:{column}")
        document._check_depth(text)
        loader = LOADER(text)
        try:
            node = loader.get_single_node()
            if node is None:
                raise LayoutError("the file is empty; a layout begins with 'instrument: <name>'", where=f"{name}:1:1")
            document.data = document._build(node, (), loader)
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            place = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark else name
            problem = getattr(error, "problem", None) or str(error)
            raise LayoutError(f"this is not YAML: {problem}", where=place) from error
        finally:
            loader.dispose()
        return document

    def _check_depth(self, text: str) -> None:
        """Refuse deep nesting: libyaml recurses in C when it builds the nodes, and could end the process."""
        depth = 0
        try:
            for event in yaml.parse(text, Loader=LOADER):
                if isinstance(event, yaml.CollectionStartEvent):
                    depth += 1
                elif isinstance(event, yaml.CollectionEndEvent):
                    depth -= 1
                if depth > DEEPEST:
                    mark = event.start_mark
                    where = f"{self.name}:{mark.line + 1}:{mark.column + 1}" if mark else self.name
                    raise LayoutError(f"nested more than {DEEPEST} levels deep, which no layout needs", where=where)
        except yaml.YAMLError:
            return  # reported with its place when the nodes are built

    def _build(self, node: yaml.Node, path: Path, loader: Any) -> Any:  # noqa: ANN401 - YAML holds anything
        self.places[path] = node.start_mark
        if node in self.seen:
            # This is an alias. A few nested aliases expand to more data than fits into memory.
            self.fail(path, "anchors and aliases (& and *) are not part of the vocabulary; write the value out")
        self.seen.add(node)
        if node.tag not in YAML_TAGS:
            self.fail(path, f"the tag {node.tag!r} is not part of the vocabulary; a layout is plain data")
        if isinstance(node, yaml.SequenceNode):
            return [self._build(child, (*path, index), loader) for index, child in enumerate(node.value)]
        if isinstance(node, yaml.MappingNode):
            mapping: dict[str, Any] = {}
            for key, value in node.value:
                word = str(key.value)
                here = (*path, word)
                if word in mapping:
                    self.places[here] = key.start_mark
                    self.fail(here, f"{word!r} is here a second time")
                mapping[word] = self._build(value, here, loader)
                self.places[(*here, "")] = key.start_mark
            return mapping
        if path in TIMES_OF_DAY and isinstance(node, yaml.ScalarNode) and A_TIME_OF_DAY.fullmatch(node.value):
            return node.value
        try:
            value = loader.construct_object(node)
        except (ValueError, LookupError, AttributeError, TypeError, OverflowError) as error:
            # PyYAML's constructors raise these for scalars that only look like a number or a time.
            self.fail(path, f"{str(node.value)[:60]!r} is not a valid value ({error})")
        if isinstance(value, int | float) and not isinstance(value, bool):
            problem = number_problem(node.value, value)
            if problem:
                self.fail(path, problem)
        return value

    def fail(self, path: Path, problem: str, *, at_key: bool = False) -> NoReturn:
        """Raise a LayoutError at the place of a path or, if the file does not have it, of the nearest one above it."""
        words = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")
        prefix = f"{words}: " if words else ""
        raise LayoutError(f"{prefix}{problem}", where=self.locate(path, at_key=at_key))

    def locate(self, path: Path, *, at_key: bool = False) -> str:
        """Return the place of a path, or of the nearest one above it that the file has: ``file:line:column``."""
        mark = self.places.get((*path, "")) if at_key else None
        at = path
        while mark is None:
            mark = self.places.get(at)
            at = at[:-1]
        return f"{self.name}:{mark.line + 1}:{mark.column + 1}"

    def validate(self, model: type[Model]) -> Model:
        """Check the data against a vocabulary; raise a LayoutError where they differ."""
        self.model = model
        try:
            return model.model_validate(self.data)
        except ValidationError as error:
            self.fail_as(error)

    def fail_as(self, error: ValidationError) -> NoReturn:
        """Raise one error of pydantic in our words.

        It is the first in the file. Missing words come last: often they are there, but misspelt.
        """

        def locate(detail: Any) -> tuple[bool, int, int]:  # noqa: ANN401 - pydantic's ErrorDetails
            mark = self.places.get(self._strip(detail["loc"]))
            return detail["type"] in {"missing", "too_short"}, mark.line if mark else 0, mark.column if mark else 0

        detail = min(error.errors(), key=locate)
        path, kind = self._strip(detail["loc"]), detail["type"]
        if detail["loc"][-1:] == ("[key]",):
            self.fail(path, f"{path[-1]!r} {NO_NAME}", at_key=True)
        if kind == "extra_forbidden":
            hint = suggest(str(path[-1]), list_words(path, self.model, self._list_beside(path)))
            self.fail(path, f"unknown key {path[-1]!r}{hint}", at_key=True)
        if kind == "missing":
            self.fail(path, f"{detail['loc'][-1]!r} is missing")
        self.fail(path, explain_error(detail, path, self.model))

    def _list_beside(self, path: Path) -> set[str]:
        """List the words beside the last part of a path, in the same mapping."""
        return {str(place[-1]) for place in self.places if len(place) == len(path) and place[:-1] == path[:-1]}

    def _strip(self, loc: tuple[str | int, ...]) -> Path:
        """Strip the parts of pydantic's path that are not in the file: union members, key checks, missing words."""
        path: Path = ()
        for part in loc:
            if (*path, part) in self.places:
                path = (*path, part)
        return path


def explain_error(detail: Any, path: Path, model: type[Words]) -> str:  # noqa: ANN401 - pydantic's ErrorDetails
    """Describe an error of pydantic about a value in our words, and say what the value must be."""
    kind, value = detail["type"], detail["input"]
    if value is None:
        return EMPTY
    shown = {dict: "a mapping", list: "a list", dt.date: f"{value}", dt.datetime: f"{value}"}.get(
        type(value), repr(value)
    )
    if kind == "literal_error" and path[-1] == "type":
        return f"{shown} is not a type{suggest(str(value), FIELD_TYPES)}"
    if kind == "literal_error":
        return f"{shown} must be {detail['ctx']['expected']}"
    if kind == "tuple_type":
        return f"{shown} must be a list" if isinstance(value, dict) else f"{shown} must be a list: [{value}]"
    if kind == "model_type":
        words = list(list_words((*path, ""), model))[:2]
        return f"{shown} must be a mapping: {{{': …, '.join(words)}: …}}"
    if path == ("day_begins",):
        return f"{shown} is not a whole hour; write one such as 12:00"
    if path[-1:] == ("default",):
        return f"{shown} must be a number, or true or false"
    for beginning, right in RIGHT.items():
        if kind.startswith(beginning):
            return f"{shown} {right}"
    message = f"{shown}: {detail['msg'][0].lower()}{detail['msg'][1:]}"
    if kind == "string_type" and isinstance(value, bool):
        return f"{message}; YAML reads yes, no, on and off as true and false: put it in quotes"
    return message


def list_words(path: Path, layout: type[Words], beside: Collection[str] = ()) -> Iterable[str]:
    """List the words that are allowed in place of the last part of a path.

    Where several forms of a mapping are allowed, it is the one that has most of the words ``beside``.
    """
    model: type[BaseModel] | None = layout
    for part in path[:-1]:
        if model is None or isinstance(part, int) or part not in model.model_fields:
            continue
        models = find_models(model.model_fields[part].annotation)
        model = max(models, key=lambda each: len(each.model_fields.keys() & set(beside)), default=None)
    return [field.alias or name for name, field in model.model_fields.items()] if model else ()


def find_models(annotation: Any) -> Iterable[type[BaseModel]]:  # noqa: ANN401 - any annotation
    """Find the models in an annotation."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from find_models(argument)
