"""YAML as plain data with the place of every value, so that a complaint names file, line and column."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Any, NoReturn, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError
from yaml.reader import Reader

from dayfile.errors import LayoutError
from dayfile.layouts.schema import FIELD_TYPES, LayoutWords
from dayfile.messages import number_problem, suggest

__all__ = ["EMPTY", "Document", "Path"]

Path = tuple[str | int, ...]
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
DEEPEST = 16
EMPTY = "nothing stands here; write a value, or leave the word out"
NO_NAME = "is no name: letters, digits and _, not a digit first"
RIGHT = {
    "date_": "is no day; write it as 2024-05-02",
    "datetime_": "is no date and time; write it as 2024-05-02T00:00:00",
    "string_pattern": NO_NAME,
    "string_too_short": "must have at least 1 character",
    "too_short": "must have at least 1 part",
    "dict_": "must be a mapping",
    "bool_": "must be true or false",
}
"""What would be right in place of a value, by the beginning of pydantic's name for what is wrong with it."""
Model = TypeVar("Model", bound=LayoutWords)
TAGS = {f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null", "timestamp", "seq", "map")}


class Document:
    """YAML as plain data, with the place of every value."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.data: Any = None
        self.model: type[LayoutWords] = LayoutWords
        self.places: dict[Path, yaml.Mark] = {}
        self.seen: set[yaml.Node] = set()

    @classmethod
    def parse(cls, text: str, name: str) -> Document:
        """Parse safely: scalars, lists and mappings; no tags that build anything else."""
        document = cls(name)
        if strange := Reader.NON_PRINTABLE.search(text):
            line, column = (
                text.count("\n", 0, strange.start()) + 1,
                strange.start() - text.rfind("\n", 0, strange.start()),
            )
            problem = f"this is not YAML: the character {strange[0]!r} cannot stand in it"
            raise LayoutError(problem, where=f"{name}:{line}:{column}")
        document._check_depth(text)
        loader = LOADER(text)
        try:
            node = loader.get_single_node()
            if node is None:
                raise LayoutError("the file is empty; a layout begins with 'instrument: <name>'", where=f"{name}:1:1")
            document.data = document._plain(node, (), loader)
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            place = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark else name
            problem = getattr(error, "problem", None) or str(error)
            raise LayoutError(f"this is not YAML: {problem}", where=place) from error
        finally:
            loader.dispose()
        return document

    def _check_depth(self, text: str) -> None:
        """Refuse what is nested so deep that putting it together would end the process: libyaml recurses in C."""
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
                    raise LayoutError(f"nested more than {DEEPEST} deep; a layout never is", where=where)
        except yaml.YAMLError:
            return  # told with its place when the text is put together

    def _plain(self, node: yaml.Node, path: Path, loader: Any) -> Any:  # noqa: ANN401 - YAML holds anything
        self.places[path] = node.start_mark
        if node in self.seen:
            # An alias: a few of them, nested, unfold to more data than memory holds.
            self.fail(path, "anchors and aliases (& and *) are not part of the vocabulary; write the value out")
        self.seen.add(node)
        if node.tag not in TAGS:
            self.fail(path, f"the tag {node.tag!r} is not part of the vocabulary; a layout is plain data")
        if isinstance(node, yaml.SequenceNode):
            return [self._plain(child, (*path, index), loader) for index, child in enumerate(node.value)]
        if isinstance(node, yaml.MappingNode):
            mapping: dict[str, Any] = {}
            for key, value in node.value:
                word = str(key.value)
                here = (*path, word)
                if word in mapping:
                    self.places[here] = key.start_mark
                    self.fail(here, f"{word!r} stands here a second time")
                mapping[word] = self._plain(value, here, loader)
                self.places[(*here, "")] = key.start_mark
            return mapping
        try:
            value = loader.construct_object(node)
        except (ValueError, LookupError, AttributeError, TypeError, OverflowError) as error:
            # What PyYAML's constructors raise for scalars that only look like a number or a time.
            self.fail(path, f"{str(node.value)[:60]!r} is no value of its kind ({error})")
        if isinstance(value, int | float) and not isinstance(value, bool):
            problem = number_problem(node.value, value)
            if problem:
                self.fail(path, problem)
        return value

    def fail(self, path: Path, problem: str, *, at_key: bool = False) -> NoReturn:
        """Raise a LayoutError at the place of a path, or of the nearest place above it that exists."""
        mark = self.places.get((*path, "")) if at_key else None
        at = path
        while mark is None:
            mark = self.places.get(at)
            at = at[:-1]
        words = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")
        prefix = f"{words}: " if words else ""
        raise LayoutError(f"{prefix}{problem}", where=f"{self.name}:{mark.line + 1}:{mark.column + 1}")

    def validate(self, model: type[Model]) -> Model:
        """Check the data against a vocabulary; LayoutError where they differ."""
        self.model = model
        try:
            return model.model_validate(self.data)
        except ValidationError as error:
            self.fail_as(error)

    def fail_as(self, error: ValidationError) -> NoReturn:
        """Raise one complaint of pydantic in our words.

        The first in the file; but what is missing comes last, as it is often there under a misspelt name or with a
        misspelt value.
        """

        def place(detail: Any) -> tuple[bool, int, int]:  # noqa: ANN401 - pydantic's ErrorDetails
            mark = self.places.get(self._known(detail["loc"]))
            return detail["type"] in {"missing", "too_short"}, mark.line if mark else 0, mark.column if mark else 0

        detail = min(error.errors(), key=place)
        path, kind = self._known(detail["loc"]), detail["type"]
        if detail["loc"][-1:] == ("[key]",):
            self.fail(path, f"{path[-1]!r} {NO_NAME}", at_key=True)
        if kind == "extra_forbidden":
            hint = suggest(str(path[-1]), vocabulary(path, self.model))
            self.fail(path, f"{path[-1]!r} is not a word that may stand here{hint}", at_key=True)
        if kind == "missing":
            self.fail(path, f"{detail['loc'][-1]!r} is missing")
        self.fail(path, what_is_wrong(detail, path, self.model))

    def _known(self, loc: tuple[str | int, ...]) -> Path:
        """Pydantic's path without what the file does not hold: names of union members, of key checks, of what lacks."""
        path: Path = ()
        for part in loc:
            if (*path, part) in self.places:
                path = (*path, part)
        return path


def what_is_wrong(detail: Any, path: Path, model: type[LayoutWords]) -> str:  # noqa: ANN401 - pydantic's ErrorDetails
    """A complaint of pydantic about a value in our words, with what would be right."""
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
        words = list(vocabulary((*path, ""), model))[:2]
        return f"{shown} must be a mapping: {{{': …, '.join(words)}: …}}"
    if path[-1:] == ("default",):
        return f"{shown} must be a number, or true or false"
    for beginning, right in RIGHT.items():
        if kind.startswith(beginning):
            return f"{shown} {right}"
    message = f"{shown}: {detail['msg'][0].lower()}{detail['msg'][1:]}"
    if kind == "string_type" and isinstance(value, bool):
        return f"{message}; YAML reads yes, no, on and off as true and false: put it in quotes"
    return message


def vocabulary(path: Path, layout: type[LayoutWords]) -> Iterable[str]:
    """The words that may stand beside the last part of a path."""
    model: type[BaseModel] | None = layout
    for part in path[:-1]:
        if model is None or isinstance(part, int) or part not in model.model_fields:
            continue
        model = next(iter(models_in(model.model_fields[part].annotation)), None)
    return [field.alias or name for name, field in model.model_fields.items()] if model else ()


def models_in(annotation: Any) -> Iterable[type[BaseModel]]:  # noqa: ANN401 - any annotation
    """The models that an annotation mentions."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from models_in(argument)
