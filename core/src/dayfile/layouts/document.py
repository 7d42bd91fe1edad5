"""YAML as plain data with the place of every value, so that a complaint names file, line and column."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NoReturn, get_args

import yaml
from pydantic import BaseModel, ValidationError

from dayfile.errors import LayoutError
from dayfile.layouts.schema import FIELD_TYPES, LayoutWords
from dayfile.messages import suggest

__all__ = ["Document", "Path"]

Path = tuple[str | int, ...]
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
DEEPEST = 16
TAGS = {f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null", "timestamp", "seq", "map")}


class Document:
    """YAML as plain data, with the place of every value."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.data: Any = None
        self.places: dict[Path, yaml.Mark] = {}
        self.seen: set[yaml.Node] = set()

    @classmethod
    def parse(cls, text: str, name: str) -> Document:
        """Parse safely: scalars, lists and mappings; no tags that build anything else."""
        document = cls(name)
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
            return loader.construct_object(node)
        except (ValueError, LookupError, AttributeError, TypeError, OverflowError) as error:
            # What PyYAML's constructors raise for scalars that only look like a number or a time.
            self.fail(path, f"{str(node.value)[:60]!r} is no value of its kind ({error})")

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

    def fail_as(self, error: ValidationError) -> NoReturn:
        """Raise one complaint of pydantic in our words.

        The first in the file; but what is missing comes last, as it is often there under a misspelt name or with a
        misspelt value.
        """

        def place(detail: Any) -> tuple[bool, int, int]:  # noqa: ANN401 - pydantic's ErrorDetails
            mark = self.places.get(self._known(detail["loc"]))
            return detail["type"] in {"missing", "too_short"}, mark.line if mark else 0, mark.column if mark else 0

        detail = min(error.errors(), key=place)
        path = self._known(detail["loc"])
        kind, value = detail["type"], detail["input"]
        if detail["loc"][-1:] == ("[key]",):
            self.fail(path, f"{path[-1]!r} is no name: letters, digits and _, not a digit first", at_key=True)
        if kind == "extra_forbidden":
            words = vocabulary(path)
            self.fail(
                path, f"{path[-1]!r} is not a word that may stand here{suggest(str(path[-1]), words)}", at_key=True
            )
        if kind == "missing":
            self.fail(path[:-1], f"{path[-1]!r} is missing")
        if kind == "literal_error" and path[-1] == "type":
            self.fail(path, f"{value!r} is not a type{suggest(str(value), FIELD_TYPES)}")
        if kind == "literal_error":
            self.fail(path, f"{value!r} must be {detail['ctx']['expected']}")
        self.fail(path, f"{value!r}: {detail['msg'][0].lower()}{detail['msg'][1:]}")

    def _known(self, loc: tuple[str | int, ...]) -> Path:
        """Pydantic's path cut to what the file holds: it puts names of union members and of key checks into it."""
        path: Path = ()
        for number, part in enumerate(loc, 1):
            if (*path, part) in self.places:
                path = (*path, part)
            elif number == len(loc):
                return path if part == "[key]" or self._is_leaf(path) else (*path, part)
        return path

    def _is_leaf(self, path: Path) -> bool:
        value = self.data
        for part in path:
            value = value[part]
        return not isinstance(value, dict | list)


def vocabulary(path: Path) -> Iterable[str]:
    """The words that may stand beside the last part of a path."""
    model: type[BaseModel] | None = LayoutWords
    for part in path[:-1]:
        if model is None or isinstance(part, int) or part not in model.model_fields:
            continue
        model = next(iter(models_in(model.model_fields[part].annotation)), None)
    return model.model_fields if model else ()


def models_in(annotation: Any) -> Iterable[type[BaseModel]]:  # noqa: ANN401 - any annotation
    """The models that an annotation mentions."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from models_in(argument)
