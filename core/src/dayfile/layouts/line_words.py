"""The words of frames that are lines of text, and of values that lines carry to those that follow."""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, StrictInt, Tag

from dayfile.framing.checksums import FRAME_CHECKSUMS
from dayfile.layouts.document import EMPTY, Document, Path
from dayfile.layouts.words import Words
from dayfile.lines.carried_lines import CarriedLine
from dayfile.lines.columns import MORE
from dayfile.lines.line_checksums import LineChecksum
from dayfile.lines.lines import LINE_BYTES, LineForm

__all__ = [
    "CarryLineWords",
    "LineChecksumWords",
    "LinesWords",
    "TypeColumns",
    "compile_carried_line",
    "compile_lines",
    "compile_type_line",
]

BLANK, FIRST_LINE = "blanks", "header"
ASCII = string.printable
MOST_SKIPPED = 10_000
"""Lines at the begin of a source that can be skipped; they are kept in memory."""
SEPARATORS = {*string.punctuation, "\t", " "} - set("\"'+-._\\")
"""What may be between parts: nothing that is in numbers, and no quote."""


def name_columns(value: Any) -> str:  # noqa: ANN401 - whatever YAML holds
    """Name the form of columns that is meant, so that a complaint is about that one alone."""
    return "widths" if isinstance(value, dict) else "header" if isinstance(value, str) else "names"


LineColumns = Annotated[
    Annotated[Literal["header"], Tag("header")]
    | Annotated[tuple[str, ...], Tag("names")]
    | Annotated[dict[str, StrictInt | None], Tag("widths")],
    Discriminator(name_columns),
]
"""Names of the parts of lines, in order, perhaps with the bytes of each; or where the names are."""
TypeColumns = Annotated[
    Annotated[tuple[str, ...], Tag("names")] | Annotated[dict[str, StrictInt | None], Tag("widths")],
    Discriminator(lambda value: "widths" if isinstance(value, dict) else "names"),
]
"""Those of the lines of one type."""


class LineChecksumWords(Words):
    """A checksum in hexadecimal digits, at the end of a line."""

    kind: Literal[tuple(FRAME_CHECKSUMS)] = Field(description="which checksum")  # type: ignore[valid-type]  # one list of them
    first: str = Field(
        "", alias="from", description="character behind which it begins to count; the line's begin if left out"
    )
    to: str = Field(description="character in front of its digits, which is not counted")


class LinesWords(Words):
    """How lines of text are records."""

    columns: LineColumns | None = Field(
        None,
        description="names of the parts of a line, in order, or {name: 8} with the bytes of each; '...' at the end "
        "stands for any further parts. 'header': the first line that is no comment has them",
    )
    separator: str = Field(
        BLANK,
        description="what is between parts: 'blanks' (one or more), or one character, with which parts may be quoted",
    )
    form: Literal["columns", "json", "pairs"] = Field(
        "columns", description="what a line is: parts in order, a JSON object, or pairs such as a=1 b=2"
    )
    comment: str | tuple[str, ...] = Field("#", description="lines that begin so are left out; several in a list")
    skip: StrictInt | tuple[StrictInt, ...] = Field(
        0, description="lines that count for nothing: a number of lines at the begin, or a list of which, from 1"
    )
    checksum: LineChecksumWords | None = Field(None, description="the checksum at the end of a line")
    decimal: Literal[".", ","] = Field(".", description="what is in front of the fraction of a number")
    encoding: str = Field("utf-8", description="encoding of the text")
    longest: int = Field(LINE_BYTES, ge=1, description="bytes of a line beyond which it is rejected")


class CarryLineWords(Words):
    """A line whose values hold for the lines that follow."""

    line: str = Field(description="how it is written, with {name} for a value: '# Device ID: {device}'")


def compile_lines(words: LinesWords, document: Document, path: Path) -> LineForm:
    """Compile how lines are records; LayoutError if they cannot be."""
    for word in words.model_fields_set:
        if getattr(words, word) is None:
            document.fail((*path, word), EMPTY)
    check_encoding(words.encoding, document, (*path, "encoding"))
    separator = "" if words.separator == BLANK else words.separator
    if separator and separator not in SEPARATORS:
        document.fail(
            (*path, "separator"),
            f"{separator!r} must be 'blanks', or one character that is in no number and no quote, such as ','",
        )
    if not words.separator:
        document.fail((*path, "separator"), "'' must be 'blanks', or one character such as ','")
    check_form(words, document, path)
    if words.form == "pairs" and separator == "=":
        document.fail((*path, "separator"), "'=' is between the name and the value of a pair")
    comments = (words.comment,) if isinstance(words.comment, str) else words.comment
    for comment in comments:
        check_text(comment, words.encoding, document, (*path, "comment"))
    comments = tuple(comment for comment in comments if comment)
    columns: tuple[str, ...] | None = ()
    if words.form == "columns" and words.columns is None:
        document.fail(path, "'columns' must name the parts of a line")
    if words.columns is not None:
        columns = None if words.columns == FIRST_LINE else check_columns(words.columns, document, (*path, "columns"))
    return LineForm(
        columns,
        words.form,
        separator,
        comments,
        words.encoding,
        words.longest,
        list_widths(words.columns),
        compile_skip(words.skip, document, (*path, "skip")),
        compile_checksum(words.checksum, document, (*path, "checksum")) if words.checksum else None,
    )


def check_form(words: LinesWords, document: Document, path: Path) -> None:
    """Refuse words that mean nothing with the form of the lines."""
    if words.form != "columns" and words.columns is not None:
        document.fail((*path, "columns"), f"lines of form {words.form} have their names in each line; leave it out")
    if words.form == "json" and "separator" in words.model_fields_set:
        document.fail((*path, "separator"), "lines of form json have no separator; leave it out")
    if isinstance(words.columns, Mapping) and "separator" in words.model_fields_set:
        document.fail((*path, "separator"), "parts of fixed width have no separator; leave it out")
    if words.form == "json" and words.decimal != ".":
        document.fail((*path, "decimal"), "numbers in JSON have a point; leave it out")


def check_columns(words: Sequence[str] | Mapping[str, int | None], document: Document, path: Path) -> tuple[str, ...]:
    """Return the names of the parts; LayoutError if these are not there, or twice, or have no width."""
    columns = tuple(words)
    if not set(columns) - {MORE}:
        document.fail(path, "'columns' must name the parts of a line")
    for index, name in enumerate(columns):
        place = (*path, name if isinstance(words, Mapping) else index)
        if not name:
            document.fail(place, "a part must have a name; call one that is not used 'unused'")
        if name in columns[:index]:
            document.fail(place, f"{name!r} is here a second time")
        if name == MORE and index < len(columns) - 1:
            document.fail(place, f"{MORE!r} stands for further parts, and is the last")
        if isinstance(words, Mapping) and (words[name] or 0) < (name != MORE):
            document.fail(place, "give the bytes of this part, as {" + name + ": 8}")
        if isinstance(words, Mapping) and name == MORE and words[name] is not None:
            document.fail(place, f"{MORE!r} has no width; leave it out")
    return columns


def list_widths(words: str | Sequence[str] | Mapping[str, int | None] | None) -> tuple[int, ...]:
    """List the bytes of the parts; empty if these are not fixed."""
    return tuple(width for width in words.values() if width is not None) if isinstance(words, Mapping) else ()


def compile_skip(words: int | Sequence[int], document: Document, path: Path) -> tuple[int, ...]:
    """Compile which lines count for nothing, numbered from 0."""
    if isinstance(words, int):
        if not 0 <= words <= MOST_SKIPPED:
            document.fail(path, f"{words} must be a number of lines, 0 to {MOST_SKIPPED}")
        return tuple(range(words))
    for index, number in enumerate(words):
        if not 1 <= number <= MOST_SKIPPED:
            document.fail((*path, index), f"{number} is not the number of a line, 1 to {MOST_SKIPPED}")
    return tuple(number - 1 for number in words)


def compile_checksum(words: LineChecksumWords, document: Document, path: Path) -> LineChecksum:
    """Compile the checksum of a line."""
    for word, text, counts in (("from", words.first, (0, 1)), ("to", words.to, (1,))):
        if len(text) not in counts or not text.isascii() or (text in string.hexdigits + " \t\r\n" and text):
            document.fail((*path, word), f"{text!r} must be one character that is no digit and no blank, such as '*'")
    return LineChecksum(words.kind, words.first, words.to)


def compile_type_line(
    words: Sequence[str] | Mapping[str, int | None], form: LineForm, document: Document, path: Path
) -> LineForm:
    """Compile the parts that lines of one type have, of which all begin alike."""
    if form.form != "columns" or form.columns is None:
        document.fail(path, "lines that have the names of their parts in them, or in a header, need no 'columns'")
    columns = check_columns(words, document, path)
    return replace(form, columns=columns, widths=list_widths(words))


def check_encoding(encoding: str, document: Document, path: Path) -> None:
    """LayoutError if an encoding is unknown, or has not the characters of ASCII where ASCII has them."""
    try:
        plain = ASCII.encode(encoding) == ASCII.encode() and ASCII.encode().decode(encoding) == ASCII
    except (LookupError, UnicodeError, ValueError):
        document.fail(path, f"{encoding!r} is not an encoding, such as utf-8 or latin-1")
    if not plain:
        document.fail(
            path, f"{encoding!r} must have the characters of ASCII as ASCII has them, as utf-8 and latin-1 do"
        )


def check_text(text: str, encoding: str, document: Document, path: Path) -> None:
    """LayoutError if a line cannot begin with a text."""
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        document.fail(path, f"{text!r} is not text in {encoding}")
    if "\n" in text:
        document.fail(path, f"{text!r} must be within one line")


def compile_carried_line(
    name: str, words: CarryLineWords, encoding: str, document: Document, path: Path
) -> CarriedLine:
    """Compile a line that has the value of a name; LayoutError if it does not, or is written in another way."""
    path = (*path, "line")
    check_text(words.line, encoding, document, path)
    try:
        line = CarriedLine.parse(words.line, encoding)
    except ValueError as error:
        document.fail(path, str(error))
    if name not in line.names:
        document.fail(path, f"{words.line!r} has no {{{name}}}")
    return line
