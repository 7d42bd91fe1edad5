# ruff: noqa: INP001 - read by conf.py, no package
"""Pages that are made from the code, so that they cannot go stale: words, hooks, settings, commands, types, API."""

from __future__ import annotations

import datetime as dt
import importlib
import inspect
import pkgutil
import re
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType, NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from sphinx.pycode import ModuleAnalyzer
from typer.testing import CliRunner

import dayfile
from dayfile import discovery, errors, hookspecs, model, testing
from dayfile.cli import app
from dayfile.cli.describe import buffer_of, form
from dayfile.export import base as export_protocol
from dayfile.formats import base as format_protocol
from dayfile.formats.registry import CORE_FORMATS
from dayfile.layouts.reader import vocabulary_with
from dayfile.model.datatype import DataType, Field
from dayfile.plugins import Plugins
from dayfile.settings import CoreSettings

PLUGINS = ("hisparc", "cris", "sis")

PLAIN_NAMES = {
    bool: "true or false",
    int: "integer",
    float: "number",
    str: "text",
    dt.date: "date",
    dt.datetime: "date and time",
    Path: "path",
}


def write(directory: Path) -> None:
    """Write all pages anew."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    loaded = discovery.load(PLUGINS)
    for failure in loaded.failures:
        raise RuntimeError(failure.message)
    pages: dict[str, Iterable[str]] = {
        "words": words(vocabulary_with(CORE_FORMATS), set()),
        "hooks": hooks(),
        "settings": settings(loaded),
        "commands": commands(),
        "exit_codes": exit_codes(),
        "api": api(),
        **{f"types_{name}": types(loaded, name) for name in PLUGINS},
        **{f"fields_{name}": fields_of(loaded, name) for name in ("cris", "sis")},
    }
    for name, lines in pages.items():
        (directory / f"{name}.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def table(*rows: Iterable[str]) -> Iterator[str]:
    """A Markdown table; the first row is the head."""
    for number, row in enumerate(rows):
        cells = [cell.replace("|", r"\|") for cell in row]
        yield f"| {' | '.join(cells)} |"
        if not number:
            yield f"|{' --- |' * len(cells)}"
    yield ""


def first_paragraph(documented: object) -> str:
    """The first paragraph of a docstring in one line, references as plain code."""
    text = " ".join((inspect.getdoc(documented) or "").split("\n\n")[0].split())
    return re.sub(r":\w+:`", "`", text)


def words(model: type[BaseModel], done: set[type[BaseModel]]) -> Iterator[str]:
    """The vocabulary of a mapping, then of those in it."""
    done.add(model)
    yield f"({model.__name__})="
    yield f"### {heading(model)}"
    yield ""
    yield first_paragraph(model)
    yield ""
    yield from table(
        ("word", "value", "if left out", "meaning"),
        *(
            (f"`{field.alias or name}`", said(field.annotation), default(field), meaning(model, name))
            for name, field in fields(model)
        ),
    )
    for _, field in fields(model):
        for inner in models_in(field.annotation):
            if inner not in done:
                yield from words(inner, done)


def heading(model: type[BaseModel]) -> str:
    """Title of a model's words: ``LayoutWords`` is "layout"."""
    return model.__name__.removesuffix("Words").lower()


def fields(model: type[BaseModel]) -> Iterable[tuple[str, FieldInfo]]:
    """The words of a model by name."""
    return model.model_fields.items()


def meaning(model: type[BaseModel], name: str) -> str:
    """What a word means: its description, else that of the mapping it holds."""
    field = model.model_fields[name]
    inner = next(models_in(field.annotation), None)
    text = field.description or (first_paragraph(inner) if inner else "")
    return text.rstrip(".")


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:  # noqa: ANN401 - any annotation
    """The models that an annotation mentions."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from models_in(argument)


def said(annotation: Any) -> str:  # noqa: ANN401 - any annotation
    """What may stand for a word, in words."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return said(arguments[0])
    if origin is Literal:
        return ", ".join(f"`{choice}`" for choice in arguments if choice != "")
    if origin in (UnionType, Union):
        return " or ".join(said(argument) for argument in arguments if argument is not NoneType)
    if origin is tuple:
        return f"list of {said(arguments[0])}"
    if origin is dict:
        return f"mapping of names to {said(arguments[1])}"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return f"[{heading(annotation)}](#{annotation.__name__})"
    return PLAIN_NAMES[annotation]


def default(field: FieldInfo) -> str:
    """What holds where a word or setting is left out."""
    if field.is_required():
        return "must be there"
    if field.default in (None, "", (), PydanticUndefined):
        return "none"
    return f"`{str(field.default).lower() if isinstance(field.default, bool) else field.default}`"


def hooks() -> Iterator[str]:
    """Every hook, with its signature as the source has it."""
    for name, hook in vars(hookspecs).items():
        if hasattr(hook, f"{hookspecs.PROJECT}_spec"):
            yield f"## {name}"
            yield ""
            yield from directive("autofunction", f"{hookspecs.__name__}.{name}")


def directive(kind: str, name: str, *options: str, text: Iterable[str] = ()) -> Iterator[str]:
    """A directive that describes something, in reStructuredText, as autodoc speaks no Markdown."""
    yield "```{eval-rst}"
    yield f".. {kind}:: {name}"
    yield from (f"   :{option}:" for option in options)
    yield ""
    yield from (f"   {line}" for line in text)
    yield "```"
    yield ""


def settings(loaded: Plugins) -> Iterator[str]:
    """What can be set for the archive itself, and for each plugin."""
    yield from settings_of("the archive itself", "", CoreSettings)
    for name in loaded.names:
        yield from settings_of(name, f"{name}.", loaded.settings_models[name])


def settings_of(title: str, prefix: str, model: type[BaseModel]) -> Iterator[str]:
    """The settings of a section, under a heading."""
    yield f"## {title}"
    yield ""
    if not model.model_fields:
        yield "Has no settings."
        yield ""
        return
    keys = {name: prefix + (field.alias or name) for name, field in fields(model)}
    rows = (
        (
            f"`{keys[name]}`",
            f"`DAYFILE_{keys[name].replace('.', '__').upper()}`",
            said(field.annotation),
            default(field),
            field.description or "",
        )
        for name, field in fields(model)
    )
    yield from table(("setting", "environment variable", "value", "if not set", "meaning"), *rows)


def commands() -> Iterator[str]:
    """Help of every command, as it prints it."""
    for words in command_names(typer.main.get_command(app)):
        plain = {"COLUMNS": "100", "NO_COLOR": "1"}
        answer = CliRunner().invoke(app, [*words, "--help"], env=plain, prog_name="dayfile")
        yield f"## dayfile {' '.join(words)}"
        yield ""
        yield "```text"
        yield from (line.rstrip() for line in answer.output.strip("\n ").splitlines())
        yield "```"
        yield ""


def command_names(command: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:  # noqa: ANN401 - of typer
    """The words of every command; those of a group come after it."""
    if words:
        yield words
    for name, inner in getattr(command, "commands", {}).items():
        yield from command_names(inner, (*words, name))


def exit_codes() -> Iterator[str]:
    """Exit codes and the errors that lead to them."""
    found: dict[int, list[type[errors.DayfileError]]] = {}
    for name in errors.__all__:
        error = getattr(errors, name)
        found.setdefault(error.exit_code, []).append(error)
    rows = [("0", "", "everything was archived")]
    for code, classes in sorted(found.items()):
        for error in classes:
            told = "anything that is a bug" if error is errors.DayfileError else first_paragraph(error)
            rows.append((str(code), f"`{error.__name__}`", told))
    rows.append(("130", "", "stopped with Ctrl-C; the next run goes on with what was accepted"))
    yield from table(("code", "error", "meaning"), *rows)


def types(loaded: Plugins, instrument: str) -> Iterator[str]:
    """The data types of one instrument."""
    mine = [data_type for name, data_type in loaded.data_types.items() if loaded.owners[name] == instrument]
    rows = (
        (
            f"`{data_type.name}`",
            f"`{data_type.code}`",
            data_type.title,
            data_type.placement.store,
            f"{data_type.period} s" if data_type.period else "",
            f"`{data_type.placement.path.replace('{suffix}', data_type.placement.suffix)}`",
        )
        for data_type in mine
    )
    yield from table(("name", "code", "title", "store", "period", "day file"), *rows)


def fields_of(loaded: Plugins, instrument: str) -> Iterator[str]:
    """The fields of each data type of one instrument, what their bits and values mean, and what their elements are."""
    for data_type in loaded.data_types.values():
        if loaded.owners[data_type.name] != instrument:
            continue
        yield f"## {data_type.name}"
        yield ""
        yield f"{plain(data_type.title)}. Code `{data_type.code}`."
        yield ""
        rows = (
            (f"`{field.name}`", form(field), field.unit, plain(field.doc), ", ".join(flags_on(data_type, field)))
            for field in data_type.fields
        )
        yield from table(("field", "type", "unit", "meaning", "flags"), *rows)
        if data_type.packed:
            yield plain(buffer_of(data_type.packed)) + "."
            yield ""
        if data_type.flags:
            flags = (
                (f"`{flag.field}`", f"{flag.kind} {flag.value}", code(flag.name), plain(flag.doc))
                for flag in data_type.flags
            )
            yield from table(("field", "flag", "name", "meaning"), *flags)
        if data_type.elements:
            elements = (
                (f"`{element.field}`", element.index, plain(element.name), plain(element.doc))
                for element in data_type.elements
            )
            yield from table(("field", "element", "name", "meaning"), *elements)


def flags_on(data_type: DataType, field: Field) -> Iterable[str]:
    """Kinds of flags that a field has, each once; those of a pattern are listed under the pattern's name."""
    flags = [flag for flag in data_type.flags if flag.tells_of(field)]
    return dict.fromkeys(f"{flag.kind}" + ("" if flag.field == field.name else f" (`{flag.field}`)") for flag in flags)


def plain(text: str) -> str:
    """A text that Markdown leaves as it is."""
    return re.sub(r"([\\`*_\[\]<>#$~])", r"\\\1", text)


def code(text: str) -> str:
    """A text as code, if there is any."""
    return f"`{text}`" if text else ""


def api() -> Iterator[str]:
    """What is public: of the package, its errors, its model, and of what it has for tests of plugins."""
    yield from documented(dayfile, leave_out={"__version__", *errors.__all__})
    for package in (errors, model, format_protocol, export_protocol, testing):
        for module in modules_of(package):
            yield from documented(module, leave_out=set(dayfile.__all__) - set(errors.__all__))


def modules_of(package: ModuleType) -> Iterator[ModuleType]:
    """A module, or the modules of a package."""
    if not hasattr(package, "__path__"):
        yield package
        return
    for found in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        yield importlib.import_module(found.name)


def documented(module: ModuleType, leave_out: set[str]) -> Iterator[str]:
    """The public names of a module by autodoc, under a heading; nothing if none are left."""
    names = [name for name in module.__all__ if name not in leave_out]
    if not names:
        return
    yield f"## {module.__name__}"
    yield ""
    yield first_paragraph(module)
    yield ""
    for name in names:
        public = getattr(module, name)
        if inspect.isclass(public):
            yield from directive("autoclass", f"{module.__name__}.{name}", "members", "show-inheritance")
        elif inspect.isfunction(public):
            yield from directive("autofunction", f"{module.__name__}.{name}")
        else:
            # autodata would tell of the value's class where the name stands for a type.
            home = dayfile.HOMES[name] if module is dayfile else ""
            told = ModuleAnalyzer.for_module(f"dayfile.{home}" if home else module.__name__).find_attr_docs()
            text = [line.replace("*", r"\*") for line in told.get(("", name), [])]
            yield from directive("py:data", f"{module.__name__}.{name}", text=text)
