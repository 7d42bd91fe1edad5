"""Lines written from columns, the plainest way: what is read has to be what was written."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from dayfile.lines.json_lines import NumberText
from dayfile.lines.line_kinds import BLANKS
from dayfile.lines.lines import LineForm
from dayfile.stages.base import Columns


def write_lines(form: LineForm, columns: Columns, *, numbers: Sequence[str] = ()) -> bytes:
    r"""Write the lines of columns, each with its end.

    Parameters
    ----------
    form : LineForm
        How they are written; with ``columns`` of None, the first line has the names.
    columns : dict of str to array, shape (n, …)
        Values by name. NaN is ``nan``, and in JSON ``null``.
    numbers : sequence of str
        Columns of text that JSON has as numbers, such as times that are kept as they were written.

    Raises
    ------
    ValueError
        The form has no way to write a value: an empty text between blanks, or a text with a line break.

    Examples
    --------
    >>> columns = {"event": np.array([1, 2]), "adc": np.array([1.5, np.nan], np.float32)}
    >>> write_lines(LineForm(("event", "adc"), separator=","), columns)
    b'1,1.5\n2,nan\n'
    >>> write_lines(LineForm(form="json"), {"event": np.array([1]), "env.hum": np.array([40])})
    b'{"event":1,"env":{"hum":40}}\n'
    """
    if form.form == "json":
        return write_objects(form, columns, numbers)
    names = list(columns) if form.form == "pairs" or form.columns is None else list(form.columns)
    texts = {name: write_texts(columns[name]) for name in names}
    mark = (form.separator or " ").encode()
    count = len(next(iter(texts.values()), []))
    rows: list[bytes] = []
    if form.form == "columns" and form.columns is None:
        rows.append(mark.join(quote_part(name.encode(form.encoding), form.separator) for name in names))
    for row in range(count):
        if form.form == "pairs":
            parts = [name.encode(form.encoding) + b"=" + texts[name][row] for name in names]
        else:
            parts = [texts[name][row] for name in names]
        rows.append(mark.join(quote_part(part, form.separator) for part in parts))
    for line in rows:
        check_cell(line, form)
    return b"".join(line + b"\n" for line in rows)


def write_texts(values: npt.NDArray[Any]) -> list[bytes]:
    """Return values as texts: the shortest that are read as the same."""
    if values.dtype.kind == "S":
        return [bytes(value) for value in values.tolist()]
    if values.dtype.kind == "b":
        return [b"true" if value else b"false" for value in values.tolist()]
    if values.dtype == np.float32:
        return [str(value).encode() for value in values]
    return [repr(value).encode() for value in values.tolist()]


def quote_part(part: bytes, separator: str) -> bytes:
    """Return a part as a line has it: in quotes if it would be taken for several; ValueError if it has no form."""
    if not separator:
        if not part or any(byte in part for byte in BLANKS):
            raise ValueError(f"{part!r} cannot be a part between blanks")
        return part
    if part[:1] in (b" ", b"\t") or b'"' in part or separator.encode() in part:
        return b'"' + part.replace(b'"', b'""') + b'"'
    return part


def check_cell(line: bytes, form: LineForm) -> None:
    """ValueError if a line would be read as another, or be left out."""
    comments = tuple(comment.encode(form.encoding) for comment in form.comments)
    blank = line.strip(BLANKS.replace((form.separator or "\n").encode(), b"")) == b""
    if b"\n" in line or line.endswith(b"\r") or blank or (comments and line.startswith(comments)):
        raise ValueError(f"{line[:80]!r} cannot be a line of its own")


def write_objects(form: LineForm, columns: Columns, numbers: Sequence[str]) -> bytes:
    """Write lines that are JSON objects; names with dots go into objects."""
    lists = {name: values.tolist() for name, values in columns.items()}
    rows = []
    for row in range(len(next(iter(lists.values()), []))):
        line: dict[str, Any] = {}
        for name, values in lists.items():
            *objects, key = name.split(".")
            inside = line
            for each in objects:
                inside = inside.setdefault(each, {})
            as_number = name in numbers or columns[name].dtype == np.float32
            inside[key] = write_value(values[row], columns[name].dtype, form.encoding, as_number=as_number)
        rows.append(dump(line).encode(form.encoding, "backslashreplace") + b"\n")
    return b"".join(rows)


def write_value(value: Any, dtype: np.dtype[Any], encoding: str, *, as_number: bool) -> Any:
    """Return a value as JSON has it."""
    if isinstance(value, list):
        return [write_value(each, dtype, encoding, as_number=as_number) for each in value]
    if isinstance(value, float) and np.isnan(value):
        return None
    text = value.decode(encoding) if isinstance(value, bytes) else value
    return NumberText(np.float32(text) if dtype == np.float32 else text) if as_number else text


def dump(value: Any) -> str:
    """Write JSON, numbers that are texts as they are written."""
    if isinstance(value, NumberText):
        return str(value)
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(key)}:{dump(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(dump, value)) + "]"
    return json.dumps(value)
