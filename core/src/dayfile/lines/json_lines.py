"""Lines that are JSON objects as columns: names with dots go into objects, lists become arrays."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from dayfile.lines.numbers import Parse, TextColumn, name_values, quote, read_texts
from dayfile.lines.texts import Texts
from dayfile.stages.base import Columns, Frames, Wrong

__all__ = ["ABSENT", "JsonParts", "NumberText", "find_value", "parse_object"]


class NumberText(str):
    """A number, exactly as it is written."""

    __slots__ = ()


class Absent:
    """What is not there."""

    __slots__ = ()


ABSENT = Absent()
DECODER = json.JSONDecoder(parse_float=NumberText, parse_int=NumberText, parse_constant=NumberText)
TOO_DEEP = "objects and lists are nested too deep"


def parse_object(line: bytes, encoding: str) -> dict[str, Any]:
    """Parse a line as an object, whose numbers stay texts; ValueError says what is wrong with it."""
    try:
        value = DECODER.decode(line.decode(encoding))
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON, at character {error.pos}: {error.msg}") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"not text in {encoding}: byte {error.start} of the line") from None
    except RecursionError:
        raise ValueError(TOO_DEEP) from None
    if not isinstance(value, dict):
        raise ValueError(f"{describe_json(value)}, not an object")  # noqa: TRY004 - wrong input, like the others
    return value


def find_value(values: Mapping[str, Any], name: str) -> Any:  # noqa: ANN401 - whatever JSON holds
    """Find the value of a name: a key, or with dots a key in an object in it; ABSENT if it is not there.

    Examples
    --------
    >>> find_value({"env": {"temp": 1}, "a.b": 2}, "env.temp"), find_value({"a.b": 2}, "a.b")
    (1, 2)
    """
    if name in values:
        return values[name]
    first, _, rest = name.partition(".")
    inside = values.get(first) if rest else None
    return find_value(inside, rest) if isinstance(inside, dict) else ABSENT


def describe_json(value: Any) -> str:  # noqa: ANN401 - whatever JSON holds
    """Say what a value is, as messages show it."""
    if isinstance(value, NumberText):
        return str(value) if len(value) <= len(TOO_DEEP) else f"{value[: len(TOO_DEEP)]}…"
    if isinstance(value, str):
        return quote(value.encode("utf-8", "backslashreplace"))
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return "a list"
    return "an object" if isinstance(value, dict) else "null"


def write_text(value: Any, encoding: str) -> bytes | None:  # noqa: ANN401 - whatever JSON holds
    """Return a value as text, numbers as they are written; None without a value. ValueError if it is no text."""
    if value is None or value is ABSENT:
        return None
    if isinstance(value, bool):
        return b"true" if value else b"false"
    if isinstance(value, str):
        try:
            return value.encode(encoding)
        except UnicodeEncodeError:
            raise ValueError(f"{describe_json(value)} is not text in {encoding}") from None
    raise ValueError(f"{describe_json(value)}, where text is due")


def write_number(value: Any, dtype: np.dtype[Any]) -> bytes | None:  # noqa: ANN401 - whatever JSON holds
    """Return a number, or true or false, as text; None without a value. ValueError if it is something else."""
    if value is None or value is ABSENT:
        return None
    if isinstance(value, bool) if dtype.kind == "b" else isinstance(value, NumberText):
        return (str(value).lower() if dtype.kind == "b" else str(value)).encode()
    raise ValueError(f"{describe_json(value)} is not {name_values(dtype)}")


class JsonParts:
    r"""The objects of lines.

    Parameters
    ----------
    lines : Frames
        The lines.
    encoding : str
        Of the lines, and of the texts that are read from them.

    Examples
    --------
    >>> content = np.frombuffer(b'{"t": 1.50, "env": {"hum": 40}}\n[1]', np.uint8)
    >>> parts = JsonParts.parse(Frames(content, np.array([0, 32]), np.array([31, 3])), "utf-8")
    >>> parts.texts("t")[0], parts.wrong.reasons
    (b'1.50', {1: 'a list, not an object'})
    >>> parts.read([TextColumn("env.hum", "uint8")])[0]
    {'env.hum': array([40,  0], dtype=uint8)}
    """

    def __init__(self, objects: Sequence[Mapping[str, Any]], wrong: Wrong, encoding: str) -> None:
        self.objects = objects
        self.wrong = wrong
        self.encoding = encoding

    @classmethod
    def parse(cls, lines: Frames, encoding: str) -> JsonParts:
        """Parse lines; those that are no object are wrong."""
        objects: list[dict[str, Any]] = []
        reasons: dict[int, str] = {}
        for row, line in enumerate(Texts(lines.block, lines.starts, lines.lengths)):
            try:
                objects.append(parse_object(line or b"", encoding))
            except ValueError as error:
                reasons[row] = str(error)
                objects.append({})
        wrong = Wrong.none(len(lines))
        wrong.rows[list(reasons)] = True
        wrong.reasons.update(reasons)
        return cls(objects, wrong, encoding)

    def __len__(self) -> int:
        return len(self.objects)

    def texts(self, name: str) -> Texts:
        """Return the texts of a name: numbers as they are written; without a value where it is no text or number."""
        values: list[bytes | None] = []
        for each in self.objects:
            try:
                values.append(write_text(find_value(each, name), self.encoding))
            except ValueError:
                values.append(None)
        return Texts.of(values)

    def select(self, chosen: npt.NDArray[Any]) -> JsonParts:
        """Return the objects of a mask or of indexes."""
        rows = np.arange(len(self))[chosen]
        wrong = Wrong.none(len(rows))
        wrong.add(self.wrong.rows[rows], lambda row: self.wrong.reasons[int(rows[row])])
        return JsonParts([self.objects[row] for row in rows.tolist()], wrong, self.encoding)

    def read(self, columns: Sequence[TextColumn], parse: Parse | None = None) -> tuple[Columns, Wrong]:
        """Read columns as what they are: shape (n, …), and which rows are wrong, these hold zeros."""
        wrong = Wrong(self.wrong.rows.copy(), dict(self.wrong.reasons))
        found = {column.name: self._read(column, wrong, parse) for column in columns}
        for values in found.values():
            values[wrong.rows] = np.zeros((), values.dtype)
        return found, wrong

    def _read(self, column: TextColumn, wrong: Wrong, parse: Parse | None) -> npt.NDArray[Any]:
        """Read a column: its elements as texts, and these as what they are."""
        rows: list[list[bytes | None]] = []
        reasons: dict[int, str] = {}
        nothing: list[bytes | None] = [None] * column.size
        for row, values in enumerate(self.objects):
            elements = nothing
            if not wrong.rows[row]:
                try:
                    elements = self._write(column, find_value(values, column.name))
                except ValueError as error:
                    reasons[row] = str(error)
            rows.append(elements)
        bad = np.zeros(len(self), bool)
        bad[list(reasons)] = True
        wrong.add(bad, lambda row: f"{column.name}: {reasons[row]}")
        texts = Texts.of([element for elements in rows for element in elements])
        inner = Wrong(np.repeat(wrong.rows, column.size))
        read = read_texts(column, texts, inner, parse)
        if inner.reasons:
            first: dict[int, str] = {}
            for element in sorted(inner.reasons):
                first.setdefault(element // column.size, inner.reasons[element])
            bad[list(first)] = True
            wrong.add(bad, lambda row: first[row])
        return read.reshape(len(self), *column.array_shape)

    def _write(self, column: TextColumn, value: Any) -> list[bytes | None]:  # noqa: ANN401 - whatever JSON holds
        """Return the elements of a value as texts; ValueError says what is wrong with them."""
        if column.array_shape and (value is None or value is ABSENT):
            return [None] * column.size
        return [self._write_element(column, each) for each in self._flatten(value, column.array_shape, column)]

    def _write_element(self, column: TextColumn, value: Any) -> bytes | None:  # noqa: ANN401 - whatever JSON holds
        if column.type == "char":
            return write_text(value, self.encoding)
        text = write_number(value, column.dtype)
        if text is None and column.filling is None:
            raise ValueError(
                "no value" if value is ABSENT else f"{describe_json(value)} is not {name_values(column.dtype)}"
            )
        return text

    def _flatten(self, value: Any, shape: tuple[int, ...], column: TextColumn) -> list[Any]:  # noqa: ANN401
        """Return the elements of lists in lists; a list that is too short is filled, if the column says with what."""
        if not shape:
            return [value]
        if value is None or value is ABSENT:
            return [ABSENT] * int(np.prod(shape))
        if not isinstance(value, list):
            raise ValueError(f"{describe_json(value)}, where a list of {shape[0]} is due")  # noqa: TRY004
        fills = column.type == "char" or column.missing or column.default is not None
        if len(value) > shape[0] or (len(value) < shape[0] and not fills):
            raise ValueError(f"a list of {len(value)}, where one of {shape[0]} is due")
        filled = [*value, *[ABSENT] * (shape[0] - len(value))]
        return [element for each in filled for element in self._flatten(each, shape[1:], column)]
