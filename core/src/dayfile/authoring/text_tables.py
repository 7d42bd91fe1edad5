"""Samples that are text: lines of parts with a separator, or of JSON."""

from __future__ import annotations

import csv
import json
import re
from codecs import BOM_UTF8
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

__all__ = ["LEAST_ALIKE", "NUMBER_TEXT", "TextTable", "hold_mostly", "looks_like_text", "read_text_table"]

BYTES_LOOKED_AT = 2**20
"""Bytes that are looked at."""
CONTROLS = bytes({*range(32)} - set(b"\t\r\n\f"))
PART_SEPARATORS = (",", ";", "\t", "|")
NUMBER_TEXT = re.compile(r"[-+]?(\d+([.,]\d*)?|[.,]\d+)([eE][-+]?\d+)?")
MOST_ODD = 0.01
"""Share of the bytes of a text that are no characters of one."""
FIRST_OF_LATIN_1 = 0xA0
"""The first character of Latin-1 behind those of ASCII and controls."""
LEAST_ALIKE = 0.95
"""Share of the lines that have as many parts as most."""


@dataclass(frozen=True)
class TextTable:
    """Lines of a text, as columns.

    Parameters
    ----------
    form : {"columns", "json"}
        What a line is.
    separator : str
        What is between parts; ``blanks`` for one or more.
    columns : dict of str to list
        The values of each column by its name: texts, or what JSON holds; None where a line has none.
    named : bool
        Whether the first line has the names.
    head : int
        Bytes in front of the first line with values.
    encoding : {"utf-8", "latin-1"}
        Of the text.
    marked : bool
        Whether it begins with a byte order mark.
    """

    form: str
    separator: str
    columns: dict[str, list[Any]]
    named: bool = False
    head: int = 0
    encoding: str = "utf-8"
    marked: bool = False


def looks_like_text(content: bytes) -> bool:
    """Return whether a sample is text: UTF-8 with hardly any control characters, as a damaged one has."""
    part = content[:BYTES_LOOKED_AT]
    controls = len(part) - len(part.translate(None, CONTROLS))
    return controls + part.decode(errors="replace").count("\ufffd") <= MOST_ODD * len(part)


def read_text_table(content: bytes) -> TextTable | None:
    """Read the columns of a text; None if its lines are neither JSON nor parts with a separator."""
    marked = content.startswith(BOM_UTF8)
    part = content.removeprefix(BOM_UTF8)[:BYTES_LOOKED_AT]
    encoding = find_encoding(part)
    whole = part if len(content) <= BYTES_LOOKED_AT else part[: part.rfind(b"\n") + 1]
    table = read_columns(whole.decode(encoding, errors="replace"))
    if table is None:
        return None
    head = len(whole.decode(encoding, errors="replace")[: table.head].encode(encoding, errors="replace"))
    return replace(table, head=head + marked * len(BOM_UTF8), encoding=encoding, marked=marked)


def find_encoding(content: bytes) -> str:
    """Find the encoding of a text: Latin-1 if it is not UTF-8, and all that is not is a character there."""
    try:
        content.decode()
    except UnicodeDecodeError as error:
        cut = error.reason == "unexpected end of data" and error.end == len(content)
        odd = min(byte for byte in content if byte >= 128)
        return "utf-8" if cut or odd < FIRST_OF_LATIN_1 else "latin-1"
    return "utf-8"


def read_columns(text: str) -> TextTable | None:
    """Read the columns of lines, the head in characters; None if they are neither JSON nor parts with a separator."""
    lines = text.splitlines()
    comments = [line for line in lines if line.startswith("#")]
    rows = [line for line in lines if line.strip() and not line.startswith("#")]
    if not rows:
        return None
    if rows[0].startswith("{"):
        return read_json(rows)
    best = (1, "", [[""]])
    for separator in (*PART_SEPARATORS, "blanks"):
        blanks = separator == "blanks"
        try:
            parts = [line.split() for line in rows] if blanks else list(csv.reader(rows, delimiter=separator))
        except csv.Error:  # a line that is too long for a table
            continue
        width, alike = Counter(map(len, parts)).most_common(1)[0]
        if width > best[0] and alike >= LEAST_ALIKE * len(parts) and not (blanks and best[1]):
            best = (width, separator, [each for each in parts if len(each) == width])
    return name_text_columns(text, best[1], best[2], comments) if best[1] else None


def hold_mostly(checks: Iterable[bool]) -> bool:
    """Return whether hardly any check fails, as with a damaged line."""
    held = list(checks)
    return sum(held) >= LEAST_ALIKE * len(held)


def read_json(rows: list[str]) -> TextTable | None:
    """Read objects in lines; None if these are not."""
    try:
        objects = [flatten(json.loads(row)) for row in rows]
    except (ValueError, AttributeError):
        return None
    names = dict.fromkeys(name for each in objects for name in each)
    return TextTable("json", "", {name: [each.get(name) for each in objects] for name in names})


def flatten(value: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Name the values of objects in objects."""
    found: dict[str, Any] = {}
    for name, each in value.items():
        found |= flatten(each, f"{prefix}{name}.") if isinstance(each, dict) else {f"{prefix}{name}": each}
    return found


def name_text_columns(text: str, separator: str, parts: list[list[str]], comments: list[str]) -> TextTable:
    """Name columns by a first line without numbers, by the last comment that has as many parts, or by numbers."""
    first = [each.strip() for each in parts[0]]
    numbers = any(NUMBER_TEXT.fullmatch(each.strip()) for row in parts[1:20] for each in row)
    if numbers and not any(re.match(r"[-+.]?\d", each) for each in first) and len({*first, ""}) > len(first):
        begin = next(line for line in text.splitlines(keepends=True) if line.strip() and not line.startswith("#"))
        head = text.index(begin) + len(begin)
        return TextTable("columns", separator, make_columns(first, parts[1:]), named=True, head=head)
    said = comments[-1].lstrip("# ") if comments else ""
    names = said.split() if separator == "blanks" else [each.strip() for each in said.split(separator)]
    if len(names) != len(first) or len({*names, "", "..."}) != len(names) + 2:
        names = [f"column_{number}" for number in range(1, len(first) + 1)]
    return TextTable("columns", separator, make_columns(names, parts))


def make_columns(names: list[str], rows: list[list[str]]) -> dict[str, list[Any]]:
    """Make columns of rows; an empty part is None."""
    return {name: [row[index].strip() or None for row in rows] for index, name in enumerate(names)}
