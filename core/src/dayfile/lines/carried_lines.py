"""Lines such as ``# Device ID: {device}``, whose values hold for the lines that follow."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dayfile.lines.line_kinds import find_beginning
from dayfile.lines.texts import Texts
from dayfile.stages.base import Frames

__all__ = ["CarriedLine", "CarriedValues", "Carrying"]

LONGEST_CARRIED = 4096
"""Bytes of a line beyond which it is not taken for a carried one."""
LINE_PART = re.compile(r"\{([A-Za-z_]\w*)(?::([1-9]\d?))?\}|([{}])|([ \t]+)|([^{} \t]+)", re.ASCII)


@dataclass(frozen=True)
class CarriedLine:
    """A line with values in it.

    Parameters
    ----------
    text : str
        How it is written: ``{name}`` is any text, ``{name:4}`` four digits, a blank one or more blanks.
    beginning : bytes
        What it begins with.
    form : re.Pattern of bytes
        The whole of it.

    Examples
    --------
    >>> CarriedLine.parse("# Device ID: {device}").form.fullmatch(b"# Device ID:  north 2 ")["device"]
    b'north 2'
    """

    text: str
    beginning: bytes
    form: re.Pattern[bytes]

    @classmethod
    def parse(cls, text: str, encoding: str = "utf-8") -> CarriedLine:
        """Parse a text; ValueError says what is wrong with it."""
        made, beginning, begins = b"", b"", True
        names: list[str] = []
        for part in LINE_PART.finditer(text.strip()):
            name, digits, brace, blank, literal = part.groups()
            if brace or name in names:
                problem = f"{{{name}}} is in it twice" if name else "a value in it is written {name}, or {name:4}"
                raise ValueError(f"{text!r} is not a line with values: {problem}")
            begins = begins and not (name or blank)
            if name:
                names.append(name)
                value = rb"[0-9]{%d}" % int(digits) if digits else rb"[^ \t](?:.*?[^ \t])??"
                made += b"(?P<%s>%s)" % (name.encode(), value)
            else:
                made += rb"[ \t]+" if blank else re.escape(literal.encode(encoding))
            if begins:
                beginning += literal.encode(encoding)
        if not names:
            raise ValueError(f"{text!r} has no value, such as {{name}}")
        return cls(text, beginning, re.compile(made + rb"[ \t]*", re.DOTALL))

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of its values."""
        return tuple(self.form.groupindex)

    def write(self, values: Mapping[str, bytes], encoding: str = "utf-8") -> bytes:
        """Write a line with these values, without an end.

        Examples
        --------
        >>> CarriedLine.parse("# Device ID: {device}").write({"device": b"north"})
        b'# Device ID: north'
        """
        parts = re.split(r"\{([A-Za-z_]\w*)(?::[1-9]\d?)?\}", self.text)
        texts = (values[part] if place % 2 else part.encode(encoding) for place, part in enumerate(parts))
        return b"".join(texts)


@dataclass(frozen=True)
class CarriedValues:
    """What holds for each line of a block.

    Parameters
    ----------
    values : dict of str to Texts
        Values by name, shape (n,); without a value before the first line that says it.
    spoken : array of bool, shape (n,)
        The lines that say it.
    """

    values: dict[str, Texts]
    spoken: npt.NDArray[np.bool_]


class Carrying:
    """Carries values of lines to those that follow, over blocks.

    Parameters
    ----------
    forms : sequence of CarriedLine
        The lines that have values; the first that fits a line counts.
    """

    def __init__(self, forms: Sequence[CarriedLine]) -> None:
        self.forms = forms
        self.current: dict[str, bytes | None] = {name: None for form in forms for name in form.names}

    def carry(self, lines: Frames, whole: npt.NDArray[np.bool_]) -> CarriedValues:
        """Find the lines with values among the whole ones of a block, and what holds for each line."""
        spoken = np.zeros(len(lines), bool)
        found: dict[int, dict[str, bytes]] = {}
        for form in self.forms:
            likely = find_beginning(lines, form.beginning) & whole & ~spoken & (lines.lengths <= LONGEST_CARRIED)
            for row in np.flatnonzero(likely).tolist():
                start = int(lines.starts[row])
                text = lines.block[start : start + int(lines.lengths[row])].tobytes()
                if match := form.form.fullmatch(text):
                    found[row] = match.groupdict()
                    spoken[row] = True
        return CarriedValues({name: self._follow(name, found, len(lines)) for name in self.current}, spoken)

    def _follow(self, name: str, found: dict[int, dict[str, bytes]], count: int) -> Texts:
        """Return the value of a name for each of n lines, and remember the last one."""
        rows = sorted(row for row, values in found.items() if name in values)
        said = Texts.of([self.current[name], *(found[row][name] for row in rows)])
        self.current[name] = said[len(rows)]
        return said.select(np.searchsorted(rows, np.arange(count), side="right"))
