"""``dayfile layout``: check layouts, look up their words, compare two, and start one from a C header."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dayfile.cli.completion import complete_plugins
from dayfile.cli.inspect import JsonOption
from dayfile.cli.output import find_width, require_output, say
from dayfile.cli.usage import Command, CommandGroup
from dayfile.messages import plural, printable

if TYPE_CHECKING:
    from dayfile.formats.base import Format
    from dayfile.layouts.glossary import GlossaryEntry
    from dayfile.layouts.reader import Layout

__all__ = ["layout"]

layout = typer.Typer(
    help="Check, look up, compare and begin layouts.",
    no_args_is_help=True,
    cls=CommandGroup,
)
WordsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--plugins",
        metavar="NAMES",
        help="Installed plugins whose formats and stores are known, with commas between.",
        show_default="only the words of the core",
        autocompletion=complete_plugins,
    ),
]


class StructOrder(StrEnum):
    """Byte order of structs."""

    LITTLE = "little"
    BIG = "big"


HeaderArgument = Annotated[Path, typer.Argument(readable=False, metavar="FILE.h", help="The C header.")]
StructOption = Annotated[str, typer.Option(metavar="NAME", help="The struct, by its name or that of its typedef.")]
TimeOption = Annotated[
    str | None,
    typer.Option(metavar="FIELD", help="The field with the time.", show_default="what its name or comment says"),
]
StructOrderOption = Annotated[StructOrder, typer.Option(help="Byte order of the files.")]


@layout.command("check", cls=Command)
@require_output
def layout_check(
    files: Annotated[list[Path], typer.Argument(readable=False, metavar="FILE...", help="Layouts.")],
    plugins: WordsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find every mistake of layouts, without installing anything.

    Each is on a line of its own: file:line:column, what is wrong, and what would be right.

    Exit codes: 0 no mistake, 2 a mistake, or a file that cannot be read.
    """
    from dayfile.errors import LayoutError
    from dayfile.layouts.checking import find_mistakes

    formats = load_formats(plugins)
    found: list[LayoutError] = []
    for file in files:
        try:
            # A package need not be installed for this, so the functions that its layout names are not looked for.
            package = None if (file.parent / "__init__.py").is_file() else ""
            checked, mistakes = find_mistakes(read_file(file), f"{file}", formats, package)
        except LayoutError as error:
            checked, mistakes = None, (error,)
        found += mistakes
        if checked is not None and not as_json:
            types = plural(len(checked.types), "data type")
            typer.echo(printable(f"{file}: no mistake in {checked.words.instrument}, {types}"))
        for mistake in () if as_json else mistakes:
            typer.echo(printable(str(mistake)))
    if as_json:
        rows = [{"where": mistake.where, "message": mistake.message} for mistake in found]
        typer.echo(json.dumps(rows, indent=2, ensure_ascii=False))
    elif found:
        say(plural(len(found), "mistake"), err=True)
    raise typer.Exit(LayoutError.exit_code if found else 0)


@layout.command("words", cls=Command)
@require_output
def layout_words(
    word: Annotated[
        str | None, typer.Argument(metavar="WORD", help="A word, or several with dots between: time.fraction.")
    ] = None,
    plugins: WordsOption = None,
) -> None:
    """Look up the words of layouts, and their meanings.

    Without WORD, those at the top are listed. A word that is in several places is shown for each.
    """
    from dayfile.errors import UsageError
    from dayfile.layouts.glossary import find_entries, list_entries
    from dayfile.layouts.vocabulary import extend_vocabulary
    from dayfile.messages import suggest_near

    model = extend_vocabulary(load_formats(plugins))
    if word is None:
        found = [entry for entry in list_entries(model) if len(entry.path) == 1]
        lines = [line for entry in found for line in format_line(entry, entry.path[-1])]
        typer.echo(
            "\n".join([*lines, "", "dayfile layout words WORD shows more of one, such as types or time.fraction."])
        )
        return
    found = find_entries(model, word)
    if not found:
        known = dict.fromkeys(name for each in list_entries(model) for name in (each.path[-1], each.name))
        raise UsageError(f"layouts have no word {word!r}{suggest_near(word, known) or '; see dayfile layout words'}")
    typer.echo("\n\n".join("\n".join(format_word(entry)) for entry in found))


@layout.command("schema", cls=Command)
@require_output
def layout_schema(plugins: WordsOption = None) -> None:
    """Print the words of layouts as a JSON Schema, for editors.

    An editor with the YAML language server completes words by it, if the first line of a layout is
    '# yaml-language-server: $schema=dayfile.json'.
    """
    from dayfile.layouts.json_schema import make_json_schema
    from dayfile.layouts.vocabulary import extend_vocabulary

    schema = make_json_schema(extend_vocabulary(load_formats(plugins)))
    typer.echo(json.dumps(schema, indent=2, ensure_ascii=False))


@layout.command("diff", cls=Command)
@require_output
def layout_diff(
    before: Annotated[Path, typer.Argument(readable=False, metavar="OLD", help="The layout as it was.")],
    after: Annotated[Path, typer.Argument(readable=False, metavar="NEW", help="The layout as it is to be.")],
    plugins: WordsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what changes in stored data from one layout to another.

    A change marked with ! is one that day files that exist cannot take.

    Exit codes: 0 day files that exist can take all changes, 1 not all, 2 a layout has a mistake.
    """
    from dataclasses import asdict

    from dayfile.layouts.differences import list_differences

    formats = load_formats(plugins)
    found = list_differences(read_file_as_layout(before, formats), read_file_as_layout(after, formats))
    if as_json:
        typer.echo(json.dumps([asdict(each) for each in found], indent=2, ensure_ascii=False))
    elif not found:
        typer.echo("nothing changes in stored data")
    for each in () if as_json else found:
        say(f"{'!' if each.problem else ' '} {each.what}: {each.message}", indent=4)
        if each.problem:
            say(f"      {each.problem}", indent=6)
    raise typer.Exit(1 if any(each.problem for each in found) else 0)


@layout.command("from-header", cls=Command)
@require_output
def layout_from_header(
    header: HeaderArgument,
    struct: StructOption,
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="Name of the instrument.", show_default="that of the header")
    ] = None,
    time: TimeOption = None,
    byte_order: StructOrderOption = StructOrder.LITTLE,
) -> None:
    """Print a layout for files of a struct of a C header.

    Sizes, offsets and bits are those of compilers for 64-bit machines. Comments become units, scales and descriptions;
    what the header does not say is marked as a guess. It needs pycparser: pip install 'dayfile[header]'.
    """
    from dayfile.authoring.c_types import HeaderTypes
    from dayfile.authoring.draft_layouts import write_struct_layout
    from dayfile.authoring.time_members import choose_time

    types = HeaderTypes.read(header)
    found = types.find_struct(struct)
    instrument = name or re.sub(r"\W", "_", header.stem).lower()
    text = write_struct_layout(
        types, found, instrument, choose_time(found, time), byte_order, name=f"{instrument}*.bin"
    )
    typer.echo(text, nl=False)


def load_formats(names: list[str] | None) -> tuple[Format, ...]:
    """Return the formats whose words layouts can use: those of the core, and of plugins that are named."""
    from dayfile.configuration import load_named_plugins
    from dayfile.errors import PluginError
    from dayfile.formats.registry import CORE_FORMATS

    if names is None:
        return CORE_FORMATS
    loaded = load_named_plugins(names)
    for failure in loaded.failures:
        raise PluginError(failure.message)
    return tuple(loaded.formats.values())


def read_file(path: Path) -> str:
    """Read the text of a layout; LayoutError if that is not possible."""
    from dayfile.errors import LayoutError

    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise LayoutError(f"cannot be read ({error.strerror})", where=path) from error
    except UnicodeDecodeError as error:
        raise LayoutError("this is not text in UTF-8; save it as UTF-8", where=path, offset=error.start) from error


def read_file_as_layout(path: Path, formats: tuple[Format, ...]) -> Layout:
    """Read a layout; LayoutError if it has a mistake."""
    from dayfile.formats.registry import read_layout

    return read_layout(read_file(path), f"{path}", formats, None)


def format_word(entry: GlossaryEntry) -> Iterator[str]:
    """Format a word with what it can be, what it means, and the words inside it."""
    from dayfile.layouts.glossary import describe_model, describe_word

    yield entry.name
    yield from indent(entry.meaning, 4)
    yield from indent(describe_value(entry), 4)
    for model in entry.inside:
        yield ""
        yield from indent(f"{describe_model(model)}:", 4)
        for name, field in model.model_fields.items():
            word = field.alias or name
            yield from (f"    {line}" for line in format_line(describe_word(word, field, entry.path), word))


def format_line(entry: GlossaryEntry, name: str) -> Iterator[str]:
    """Format a word in the list of those of a mapping."""
    width = find_width() - 6
    mark = " *" if entry.required else ""
    yield from textwrap.wrap(
        f"{name + mark:<16} {entry.meaning}", width, subsequent_indent=" " * 17, break_on_hyphens=False
    )


def describe_value(entry: GlossaryEntry) -> str:
    """Describe what a word can be, and what holds without it."""
    if entry.required:
        return f"{entry.kind}; required"
    return f"{entry.kind}; default {entry.default}" if entry.default else f"{entry.kind}; may be left out"


def indent(text: str, blanks: int) -> list[str]:
    """Wrap a text behind blanks."""
    margin = " " * blanks
    return textwrap.wrap(text, find_width(), initial_indent=margin, subsequent_indent=margin, break_on_hyphens=False)
