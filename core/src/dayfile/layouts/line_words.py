"""The words of frames that are lines of text, and of values that lines carry to those that follow."""

from __future__ import annotations

import string
from typing import Literal

from pydantic import Field

from dayfile.layouts.document import EMPTY, Document, Path
from dayfile.layouts.words import Words
from dayfile.lines.carried_lines import CarriedLine
from dayfile.lines.lines import LINE_BYTES, LineForm

__all__ = ["CarryLineWords", "LinesWords", "compile_carried_line", "compile_lines"]

BLANK, FIRST_LINE = "blanks", "header"
ASCII = string.printable
SEPARATORS = {*string.punctuation, "\t", " "} - set("\"'+-._\\")
"""What may be between parts: nothing that is in numbers, and no quote."""


class LinesWords(Words):
    """How lines of text are records."""

    columns: Literal["header"] | tuple[str, ...] | None = Field(
        None, description="names of the parts of a line, in order; 'header': the first line that is no comment has them"
    )
    separator: str = Field(
        BLANK,
        description="what is between parts: 'blanks' (one or more), or one character, with which parts may be quoted",
    )
    form: Literal["columns", "json", "pairs"] = Field(
        "columns", description="what a line is: parts in order, a JSON object, or pairs such as a=1 b=2"
    )
    comment: str | tuple[str, ...] = Field("#", description="lines that begin so are left out; several in a list")
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
    if words.form != "columns" and words.columns is not None:
        document.fail((*path, "columns"), f"lines of form {words.form} have their names in each line; leave it out")
    if words.form == "json" and "separator" in words.model_fields_set:
        document.fail((*path, "separator"), "lines of form json have no separator; leave it out")
    if words.form == "pairs" and separator == "=":
        document.fail((*path, "separator"), "'=' is between the name and the value of a pair")
    comments = (words.comment,) if isinstance(words.comment, str) else words.comment
    for comment in comments:
        check_text(comment, words.encoding, document, (*path, "comment"))
    comments = tuple(comment for comment in comments if comment)
    columns = None if words.columns == FIRST_LINE else check_columns(words, document, path)
    return LineForm(columns, words.form, separator, comments, words.encoding, words.longest)


def check_columns(words: LinesWords, document: Document, path: Path) -> tuple[str, ...]:
    """Return the names of the parts; LayoutError if these are not there, or twice."""
    columns = tuple(words.columns or ())
    if words.form == "columns" and not columns:
        document.fail(
            (*path, "columns") if words.columns is not None else path, "'columns' must name the parts of a line"
        )
    for index, name in enumerate(columns):
        if not name:
            document.fail((*path, "columns", index), "a part must have a name; call one that is not used 'unused'")
        if name in columns[:index]:
            document.fail((*path, "columns", index), f"{name!r} is here a second time")
    return columns


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
