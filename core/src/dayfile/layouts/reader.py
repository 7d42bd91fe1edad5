"""YAML text → data types, with errors that name file, line and column and what would be right."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from string import Formatter
from typing import Any, NoReturn, get_args

import numpy as np
import yaml
from pydantic import BaseModel, ValidationError

from dayfile.errors import LayoutError
from dayfile.layouts.dtypes import struct_dtype
from dayfile.layouts.schema import FIELD_TYPES, FieldWords, LayoutWords, TypeWords
from dayfile.model.clock import Clock, as_utc
from dayfile.model.datatype import NUMPY_TYPES, DataType, Field, Node

__all__ = ["Layout", "read_layout"]

Path = tuple[str | int, ...]
PATH_KEYS = {"year": 2000, "month": 1, "day": 1, "instrument": "", "type": "", "suffix": ""}
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
DEEPEST = 16
LARGEST_RECORD = 2**28
"""Bytes of a record; no table of this size would be of use."""
MOST_DIMENSIONS = 8
FIRST_YEAR, LAST_YEAR = 1900, 2200
FORMAT = re.compile(r"0?[0-9]{0,2}d?")
TAGS = {f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null", "timestamp", "seq", "map")}


@dataclass(frozen=True)
class Layout:
    """A compiled layout.

    Parameters
    ----------
    words : LayoutWords
        What the file says.
    types : tuple of DataType
        What it means.
    """

    words: LayoutWords
    types: tuple[DataType, ...]

    def by_code(self) -> dict[str, DataType]:
        """Data types by the instrument's own name of each."""
        return {data_type.code: data_type for data_type in self.types}


def read_layout(text: str, name: str) -> Layout:
    r"""Read and check a layout.

    Parameters
    ----------
    text : str
        YAML.
    name : str
        File name for messages.

    Raises
    ------
    LayoutError
        The text is no YAML, uses a word that is not in the vocabulary, or contradicts itself.

    Examples
    --------
    >>> read_layout("instrument: muon\ntitel: Muon telescope", "bad.yaml")
    Traceback (most recent call last):
        ...
    dayfile.errors.LayoutError: bad.yaml:2:1: titel: 'titel' is not a word that may stand here; did you mean 'title'?
    """
    document = Document.parse(text, name)
    try:
        words = LayoutWords.model_validate(document.data)
    except ValidationError as error:
        document.fail_as(error)
    return Layout(words, tuple(compile_types(words, document)))


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
        """Pydantic's path cut to what the file holds: it appends names of union members and of key checks."""
        path: Path = ()
        for part in loc:
            if (*path, part) not in self.places:
                return path if part == "[key]" or self._is_leaf(path) else (*path, part)
            path = (*path, part)
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


def suggest(word: str, words: Iterable[str]) -> str:
    """``; did you mean 'uint16'?``, or the list where nothing is near, or nothing."""
    known = list(words)
    near = difflib.get_close_matches(word, known, n=1)
    if near:
        return f"; did you mean {near[0]!r}?"
    return f"; one of {', '.join(known)}" if known else ""


def compile_types(words: LayoutWords, document: Document) -> Iterable[DataType]:
    """The data types of a layout; LayoutError where it contradicts itself."""
    if not FIRST_YEAR <= words.clock.epoch.year <= LAST_YEAR:
        document.fail(("clock", "epoch"), f"the year must be between {FIRST_YEAR} and {LAST_YEAR}")
    clock = Clock(
        as_utc(words.clock.epoch).astype("datetime64[s]"),
        words.clock.unit,
        words.clock.leap_seconds,
        words.clock.undefined,
    )
    check_path(words.path, document)
    check_template(words.node, document, ("node",))
    for index, title in enumerate(words.titles):
        check_template(title, document, ("titles", index))
    if words.blobs is not None:
        check_template(words.blobs.node, document, ("blobs", "node"))
    codes: dict[str, str] = {}
    for name, type_words in words.types.items():
        path: Path = ("types", name)
        if type_words.code in codes:
            problem = f"{type_words.code!r} is the code of {codes[type_words.code]!r} already"
            document.fail((*path, "code"), problem)
        codes[type_words.code] = name
        fields = tuple(
            compile_field(field, words, document, (*path, "fields", index))
            for index, field in enumerate(type_words.fields)
        )
        size = sum(field.base.itemsize * math.prod(field.array_shape) for field in fields)
        if size > LARGEST_RECORD:
            document.fail((*path, "fields"), f"a record would have {size} bytes; {LARGEST_RECORD} is the most")
        check_type(type_words, fields, words, document, path)
        yield DataType(
            instrument=words.instrument,
            type=name,
            code=type_words.code,
            title=type_words.title,
            fields=fields,
            clock=clock,
            store=type_words.store,
            time=type_words.time,
            end=type_words.end or "",
            period=type_words.period,
            path=words.path,
            suffix=type_words.suffix or name,
            node=Node(
                path=words.node.replace("{type}", name),
                titles=(*words.titles, type_words.title),
                blobs=words.blobs.node if words.blobs else "",
                blobs_title=words.blobs.title if words.blobs else "",
            ),
            layout=f"{words.instrument} {words.version}",
        )


def compile_field(field: FieldWords, words: LayoutWords, document: Document, path: Path) -> Field:
    """One field, with constants filled in."""
    shape = []
    for index, length in enumerate(field.shape):
        if isinstance(length, str) and length not in words.constants:
            problem = f"{length!r} is not a constant{suggest(length, words.constants)}"
            document.fail((*path, "shape", index), problem)
        size = words.constants[length] if isinstance(length, str) else length
        if not 1 <= size <= LARGEST_RECORD:
            document.fail((*path, "shape", index), f"{size} is no length; it must be 1 to {LARGEST_RECORD}")
        shape.append(size)
    if len(shape) > MOST_DIMENSIONS or math.prod(shape) > LARGEST_RECORD:
        document.fail((*path, "shape"), f"more than {MOST_DIMENSIONS} dimensions or {LARGEST_RECORD} elements")
    if field.type == "char" and not shape:
        document.fail(path, "a char field needs a shape: [number of bytes]")
    if field.blob and words.blobs is None:
        document.fail((*path, "blob"), "the layout has no 'blobs', so there is nowhere to keep the value")
    if field.blob and field.type != "int32":
        document.fail((*path, "type"), "a blob field holds an index and must be int32")
    if field.counter and not field.type.startswith(("int", "uint")):
        document.fail((*path, "type"), "a counter numbers rows and must be of an integer type")
    check_default(field, document, path)
    return Field(
        name=field.name,
        type=field.type,
        shape=tuple(shape),
        unit=field.unit,
        doc=field.doc,
        code=field.code,
        blob=field.blob,
        default=field.default,
        counter=field.counter,
        overflow=field.overflow or words.overflow,
    )


def check_default(field: FieldWords, document: Document, path: Path) -> None:
    """A default fits its field."""
    if field.type == "char" or not field.default:
        return
    form = np.dtype(NUMPY_TYPES[field.type])
    if form.kind in "iu" and not (
        isinstance(field.default, int) and np.iinfo(form).min <= field.default <= np.iinfo(form).max
    ):
        document.fail((*path, "default"), f"{field.default} does not fit {field.type}")


def check_type(
    type_words: TypeWords, fields: tuple[Field, ...], words: LayoutWords, document: Document, path: Path
) -> None:
    """Field names are unique, time and end exist, period goes with slots, the struct has its size."""
    names = [field.name for field in fields]
    for index, name in enumerate(names):
        if name in names[:index]:
            document.fail((*path, "fields", index, "name"), f"{name!r} stands here a second time")
    for word in ("time", "end"):
        name = getattr(type_words, word)
        if name is not None and name not in names:
            document.fail((*path, word), f"{name!r} is not a field{suggest(name, names)}")
        if name is not None and (fields[names.index(name)].shape or fields[names.index(name)].type in {"char", "bool"}):
            document.fail((*path, word), f"{name!r} is no single number, as a time must be")
    if (type_words.store == "slots") != (type_words.period > 0):
        document.fail(path, "'period' (seconds, above 0) and 'store: slots' go together", at_key=True)
    if (type_words.store == "intervals") != (type_words.end is not None):
        document.fail(path, "'end' (a field) and 'store: intervals' go together", at_key=True)
    if type_words.size is not None:
        structs = words.structs
        if structs is None:
            document.fail((*path, "size"), "'size' is the size of a C struct; the layout has no 'structs'")
        size = struct_dtype(fields, structs.byte_order, structs.alignment).itemsize
        if size != type_words.size:
            problem = f"the fields make a struct of {size} bytes ({structs.alignment} alignment), not {type_words.size}"
            document.fail((*path, "size"), problem)


def check_path(template: str, document: Document) -> None:
    """The template of the day file's path can be filled."""
    check_template(template, document, ("path",))
    if not template.endswith(".h5"):
        document.fail(("path",), f"{template!r} does not end in .h5, as day files do")
    for _, name, form, _ in Formatter().parse(template):
        if name is not None and not FORMAT.fullmatch(form or ""):
            document.fail(("path",), f"{template!r} is no template: {{{name}}} can be written as {{{name}:02}}")
        if name is not None and name not in PATH_KEYS:
            document.fail(("path",), f"{{{name}}} is not known here{suggest(name, PATH_KEYS)}")
    try:
        template.format(**PATH_KEYS)
    except (ValueError, AttributeError, LookupError) as error:
        document.fail(("path",), f"{template!r} is no template: {error}")


def check_template(template: str, document: Document, path: Path) -> None:
    """A template is well formed."""
    try:
        list(Formatter().parse(template))
    except ValueError as error:
        document.fail(path, f"{template!r} is no template: {error}")
