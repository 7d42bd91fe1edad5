# ruff: noqa: INP001 - a script, not a package
"""The reference pages that are generated from the code: words, hooks, settings, commands, metrics, types, API.

Run ``python docs/from_code.py`` (or ``make reference``) after a change of what they document, and commit the result. A
test fails when a page in the checkout is not what the code says.
"""

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

import dayfile
from dayfile import discovery, errors, hookspecs, model, testing
from dayfile.archive import description
from dayfile.archive.day_tables import DayTables
from dayfile.archive.root import Root
from dayfile.archive.workfile import WorkFile
from dayfile.cli import app
from dayfile.cli.describe import describe_buffer, format_shape
from dayfile.cli.usage import list_help
from dayfile.export import base as export_protocol
from dayfile.formats import base as format_protocol
from dayfile.formats.registry import CORE_FORMATS
from dayfile.layouts.vocabulary import extend_vocabulary
from dayfile.model.datatype import DataType
from dayfile.model.field import Field
from dayfile.plots import base as plot_protocol
from dayfile.plots import traces as plot_traces
from dayfile.plugins import Plugins
from dayfile.settings import CoreSettings
from dayfile.state.attention import CONCERNS
from dayfile.state.metrics import METRICS
from dayfile.state.receiver import UploadRecorder
from dayfile.testing import PluginContract

PLUGINS = ("hisparc", "cris", "sis")

INTERNAL = "dayfile.archive."
"""Where bases of public classes are that have no entry of their own: their members are shown with the class."""

PLAIN_NAMES = {
    bool: "true or false",
    int: "integer",
    float: "number",
    str: "text",
    dt.date: "date",
    dt.datetime: "date and time",
    Path: "path",
}


OTHER_ERROR = "Any other error, such as a process that the system refuses to start; the message says what to do."
"""Meaning of the exit code of ``DayfileError`` itself, whose docstring is about all errors."""

INHERITING = {dayfile.Archive, dayfile.Records}
"""Classes whose inherited members are documented with them."""
GENERATED = Path(__file__).parent / "reference" / "generated"


def pages() -> dict[str, str]:
    """Text of every generated page by file name."""
    loaded = discovery.load(PLUGINS)
    for failure in loaded.failures:
        raise RuntimeError(failure.message)
    generated: dict[str, Iterable[str]] = {
        "words": words(extend_vocabulary(CORE_FORMATS), set()),
        "hooks": hooks(),
        "hook_arguments": hook_arguments(),
        "kit": kit(),
        "settings": settings(loaded),
        "commands": commands(),
        "exit_codes": exit_codes(),
        "metrics": metrics(),
        "concerns": table(("name", "what needs attention"), *((code(name), CONCERNS[name]) for name in CONCERNS)),
        "api": api(),
        **{f"types_{name}": types(loaded, name) for name in PLUGINS},
        **{f"fields_{name}": fields_of(loaded, name) for name in ("cris", "sis")},
    }
    return {f"{name}.md": "\n".join(lines).rstrip("\n") + "\n" for name, lines in generated.items()}


def write(directory: Path) -> None:
    """Replace the pages in a directory by what the code says now."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    for name, text in pages().items():
        (directory / name).write_text(text, encoding="utf-8")


def table(*rows: Iterable[str]) -> Iterator[str]:
    """A Markdown table; the first row is the head."""
    for number, row in enumerate(rows):
        cells = [cell.replace("|", r"\|") for cell in row]
        yield f"| {' | '.join(cells)} |"
        if not number:
            yield f"|{' --- |' * len(cells)}"
    yield ""


def definition(term: str, *definitions: str) -> Iterator[str]:
    """An entry of a definition list: what it means, then what it can be."""
    yield term
    for text in filter(None, definitions):
        yield f": {text}"
    yield ""


def first_paragraph(documented: object) -> str:
    """The first paragraph of a docstring in one line."""
    return markdown(" ".join((inspect.getdoc(documented) or "").split("\n\n")[0].split()))


def markdown(text: str) -> str:
    """Inline markup of a docstring as Markdown: references and literals become code."""
    text = re.sub(r":\w+:`~?(?:[\w.]+\.)?(\w+)`", r"`\1`", text)
    return re.sub(r"``(.+?)``", r"`\1`", text)


def sentence(text: str) -> str:
    """A description as a sentence."""
    text = text.strip().rstrip(".")
    return f"{text[0].upper()}{text[1:]}." if text else ""


def words(model: type[BaseModel], done: set[type[BaseModel]]) -> Iterator[str]:
    """The vocabulary of a mapping, then of those in it."""
    done.add(model)
    yield f"({model.__name__})="
    yield f"### {heading(model)}"
    yield ""
    yield first_paragraph(model)
    yield ""
    for name, field in fields(model):
        yield from definition(f"`{field.alias or name}`", meaning(model, name), value_and_default(field))
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
    return sentence(field.description or (first_paragraph(inner) if inner else ""))


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:  # noqa: ANN401 - any annotation
    """The models that an annotation mentions."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from models_in(argument)


def kind(annotation: Any) -> str:  # noqa: ANN401 - any annotation
    """Kind of value that a word or a setting takes."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return kind(arguments[0])
    if origin is Literal:
        return ", ".join(f"`{choice}`" for choice in arguments if choice != "")
    if origin in (UnionType, Union):
        return " or ".join(kind(argument) for argument in arguments if argument is not NoneType)
    if origin is tuple:
        return f"list of {kind(arguments[0])}"
    if origin is dict:
        return f"mapping of names to {kind(arguments[1])}"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return f"[{heading(annotation)}](#{annotation.__name__})"
    return PLAIN_NAMES[annotation]


def value_and_default(field: FieldInfo) -> str:
    """What a word or a setting can be, and what holds if it is left out."""
    value = kind(field.annotation)
    if field.is_required():
        return f"{value}; required"
    if field.default in (None, "", (), PydanticUndefined):
        return value
    default = field.default
    if isinstance(default, bool):
        default = str(default).lower()
    elif isinstance(default, tuple):
        default = ",".join(default)
    return f"{value}; default `{default}`"


def hooks() -> Iterator[str]:
    """Every hook, with its signature as the source has it, and its docstring."""
    for name, hook in vars(hookspecs).items():
        if hasattr(hook, f"{hookspecs.PROJECT}_spec"):
            yield f"## {name}"
            yield ""
            yield "```python"
            yield f"{name}{inspect.signature(hook)}".replace("'", "")
            yield "```"
            yield ""
            yield from docstring(hook)


ARGUMENTS: dict[type, tuple[str, ...]] = {
    WorkFile: ("day", "write"),
    Root: ("path", "incoming"),
    UploadRecorder: ("note_stored", "note_refused", "note_error"),
    DayTables: ("data_type", "rows", "overlap"),
}
"""What the core hands to hooks, beside public classes, with what plugins use of it."""


def hook_arguments() -> Iterator[str]:
    """What is in the signatures of hooks and is not a public class."""
    for kind, members in ARGUMENTS.items():
        yield f"### {kind.__name__}"
        yield ""
        yield f"`{kind.__module__}.{kind.__name__}`. {first_paragraph(kind)}"
        yield ""
        for name in members:
            member = inspect.getattr_static(kind, name, None)
            if inspect.isfunction(member):
                signature = str(inspect.signature(member)).replace("'", "").replace("self, ", "")
                yield from definition(f"`{name}{signature}`", first_paragraph(member))
            elif isinstance(member, property):
                yield from definition(f"`{name}`", first_paragraph(member))
            else:
                yield from docstring_sections(kind, ("Parameters", "Attributes"), name)


def docstring_sections(documented: object, titles: Iterable[str], only: str = "") -> Iterator[str]:
    """Some sections of a numpydoc docstring, or the entries of one name in them, as definition lists without titles."""
    _, *sections = SECTION.split(inspect.getdoc(documented) or "")
    for title, content in zip(sections[::2], sections[1::2], strict=True):
        if title in titles:
            yield from entries(content, only)


def kit() -> Iterator[str]:
    """The rules of the conformance kit, and the attributes and methods of its class."""
    functions = {name: each for name, each in vars(PluginContract).items() if inspect.isfunction(each)}
    rules = {name: each for name, each in functions.items() if name.startswith("test_")}
    yield "## Rules"
    yield ""
    yield from table(("test", "what it tries"), *((code(name), first_paragraph(each)) for name, each in rules.items()))
    yield "## Attributes"
    yield ""
    yield from docstring_sections(PluginContract, ("Attributes",))
    yield "## Methods to override"
    yield ""
    for name in ("make_sources", "grow"):
        signature = str(inspect.signature(functions[name])).replace("'", "").replace("self, ", "")
        yield from ("```python", f"{name}{signature}", "```", "")
        yield from docstring(functions[name])


SECTION = re.compile(r"^(\w+)\n-+\n", re.MULTILINE)


def docstring(documented: object) -> Iterator[str]:
    """A numpydoc docstring as Markdown: parameters and results are definition lists."""
    text, *sections = SECTION.split(inspect.getdoc(documented) or "")
    yield markdown(text.strip())
    yield ""
    for title, content in zip(sections[::2], sections[1::2], strict=True):
        yield f"**{title}**"
        yield ""
        if title == "Examples":
            yield from ("```python", content.strip(), "```", "")
            continue
        yield from entries(content)


def entries(content: str, only: str = "") -> Iterator[str]:
    """The entries of a section of a docstring, or only the one of a name, as a definition list."""
    for entry in re.split(r"\n(?=\S)", content.strip()):
        head, *lines = entry.splitlines()
        names, _, annotation = head.partition(" : ")
        if only and only not in names.split(", "):
            continue
        name = only or names
        term = f"`{name}` ({markdown(annotation)})" if annotation else markdown(head)
        yield from definition(term, markdown(" ".join(" ".join(lines).split())))


def directive(kind: str, name: str, *options: str, text: Iterable[str] = ()) -> Iterator[str]:
    """A directive in reStructuredText, as autodoc does not write Markdown."""
    yield "```{eval-rst}"
    yield f".. {kind}:: {name}"
    yield from (f"   :{option}:" for option in options)
    yield ""
    yield from (f"   {line}" for line in text)
    yield "```"
    yield ""


def settings(loaded: Plugins) -> Iterator[str]:
    """What can be set for the archive itself, and for each plugin."""
    yield from settings_of("The archive itself", "", CoreSettings)
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
    for name, field in fields(model):
        key = prefix + (field.alias or name)
        variable = f"`DAYFILE_{key.replace('.', '__').upper()}`"
        yield from definition(
            f"`{key}`", sentence(field.description or ""), f"{value_and_default(field)}; environment {variable}"
        )


EXTRA = re.compile(r"\s*\[([^\[\]]*)\]$")
"""What click adds to the help of a parameter: its default, its environment variable, whether it is required."""


def commands() -> Iterator[str]:
    """Help of every command."""
    for words, command in commands_of(typer.main.get_command(app)):
        name = f"dayfile {' '.join(words)}"
        context = command.context_class(command, info_name=name)
        usage = " ".join(command.collect_usage_pieces(context))
        yield f"## {name}"
        yield ""
        yield "```text"
        yield f"Usage: {name} {usage}".rstrip()
        yield "```"
        yield ""
        for paragraph in (inspect.cleandoc(command.help or "")).split("\n\n"):
            yield plain(" ".join(paragraph.split()))
            yield ""
        for _, record in list_help(command, context):
            if "--help" not in record[0]:
                yield from definition(*parameter_of(record))


def parameter_of(record: tuple[str, str]) -> Iterator[str]:
    """Name of an argument or option, its meaning, and what it can be, from its line of plain help."""
    names, text = record
    found = EXTRA.search(text)
    yield f"`{' '.join(names.split())}`"
    yield sentence(plain(text[: found.start()] if found else text))
    yield "; ".join(plain(fact) for fact in found[1].split("; ")) if found else ""


def commands_of(command: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:  # noqa: ANN401 - of typer
    """Every command with its words; those of a group come after it."""
    if words:
        yield words, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from commands_of(inner, (*words, name))


def exit_codes() -> Iterator[str]:
    """Exit codes and the errors that lead to them."""
    found: dict[int, list[type[errors.DayfileError]]] = {}
    for name in errors.__all__:
        error = getattr(errors, name)
        found.setdefault(error.exit_code, []).append(error)
    rows = [("0", "", "Everything was archived.")]
    for code, classes in sorted(found.items()):
        for error in classes:
            meaning = OTHER_ERROR if error is errors.DayfileError else first_paragraph(error)
            rows.append((str(code), f"`{error.__name__}`", meaning))
    yield from table(("code", "error", "meaning"), *rows)


def metrics() -> Iterator[str]:
    """Every metric with its full name, type and meaning."""
    rows = (
        (code(f"dayfile_{name}{'_total' if kind == 'counter' else ''}"), kind, what)
        for name, (kind, what) in METRICS.items()
    )
    yield from table(("metric", "type", "meaning"), *rows)


def types(loaded: Plugins, instrument: str) -> Iterator[str]:
    """The data types of one instrument."""
    mine = [data_type for name, data_type in loaded.data_types.items() if loaded.owners[name] == instrument]
    for data_type in mine:
        path = data_type.placement.path.replace("{suffix}", data_type.placement.suffix)
        store = f"store `{data_type.placement.store}`"
        period = f", one record in {data_type.period} s" if data_type.period else ""
        yield from definition(
            f"`{data_type.name}`",
            sentence(plain(data_type.title)),
            f"code `{data_type.code}`; {store}{period}; day file `{path}`",
        )


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
            (
                f"`{field.name}`",
                ", ".join(filter(None, (format_shape(field), field.unit))),
                meaning_of(data_type, field),
            )
            for field in data_type.fields
        )
        yield from table(("field", "type, unit", "meaning"), *rows)
        if data_type.packed:
            yield plain(describe_buffer(data_type.packed)) + "."
            yield ""
        if data_type.flags:
            flags = (
                (f"`{flag.field}`", f"{flag.kind} {flag.value}", named(code(flag.name), plain(flag.doc)))
                for flag in data_type.flags
            )
            yield from table(("field", "flag", "meaning"), *flags)
        if data_type.elements:
            elements = (
                (f"`{element.field}`", element.index, named(plain(element.name), plain(element.doc)))
                for element in data_type.elements
            )
            yield from table(("field", "element", "meaning"), *elements)


def meaning_of(data_type: DataType, field: Field) -> str:
    """What a field means, and what kinds of flags it has."""
    flags = ", ".join(flags_on(data_type, field))
    return ". ".join(filter(None, (plain(field.doc), f"Flags: {flags}" if flags else "")))


def named(name: str, meaning: str) -> str:
    """A name and what it means, either of which may be missing."""
    return ": ".join(filter(None, (name, meaning)))


def flags_on(data_type: DataType, field: Field) -> Iterable[str]:
    """Kinds of flags that a field has, each once; those of a pattern are listed under the pattern's name."""
    flags = [flag for flag in data_type.flags if flag.applies_to(field)]
    return dict.fromkeys(f"{flag.kind}" + ("" if flag.field == field.name else f" (`{flag.field}`)") for flag in flags)


def plain(text: str) -> str:
    """A text that Markdown leaves as it is."""
    return re.sub(r"([\\`*_\[\]<>#$~])", r"\\\1", text)


def code(text: str) -> str:
    """A text as code, if there is any."""
    return f"`{text}`" if text else ""


def api() -> Iterator[str]:
    """The public names of the package, its errors, its model, its protocols, and its tools for tests of plugins."""
    yield from documented(dayfile, leave_out={"__version__", *errors.__all__})
    for package in (errors, description, model, format_protocol, export_protocol, plot_protocol, plot_traces, testing):
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
            hidden = [base for base in public.__mro__[1:] if base.__module__.startswith(INTERNAL)]
            inherited = ("inherited-members",) if hidden else ()
            yield from directive("autoclass", f"{module.__name__}.{name}", "members", *inherited, "show-inheritance")
        elif inspect.isfunction(public):
            yield from directive("autofunction", f"{module.__name__}.{name}")
        else:
            # autodata would document the class of the value where the name is a type.
            home = dayfile.HOMES[name] if module is dayfile else ""
            comments = ModuleAnalyzer.for_module(f"dayfile.{home}" if home else module.__name__).find_attr_docs()
            text = [line.replace("*", r"\*") for line in comments.get(("", name), [])]
            yield from directive("py:data", f"{module.__name__}.{name}", text=text)


if __name__ == "__main__":
    write(GENERATED)
