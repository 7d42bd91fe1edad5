"""Which frames are of a type: conditions on values by name, such as ``{class: 1, id: 7}``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Requirement", "describe_values", "hold_all", "parse_requirement"]

RANGE = re.compile(r"\s*(-?\d+|0x[0-9a-fA-F]+)\s*-\s*(-?\d+|0x[0-9a-fA-F]+)\s*")


@dataclass(frozen=True)
class Requirement:
    """What a value has to be: one of some numbers, within a range, or a text of a pattern.

    Parameters
    ----------
    name : str
        Name of the value.
    ranges : tuple of (int, int)
        Numbers from the first to the last of each.
    patterns : tuple of str
        Texts, with ``*`` for any text and ``?`` for one character.
    """

    name: str
    ranges: tuple[tuple[int, int], ...] = ()
    patterns: tuple[str, ...] = ()

    def find(self, values: npt.ArrayLike) -> npt.NDArray[np.bool_]:
        """Find the values for which it holds, of the same shape.

        Examples
        --------
        >>> parse_requirement("kind", [1, "5-7"]).find(np.array([1, 2, 6]))
        array([ True, False,  True])
        >>> parse_requirement("key", "hv.*").find(np.array([b"hv.ch0", b"door"]))
        array([ True, False])
        """
        array = np.asarray(values)
        if array.dtype.kind in "SUO":
            unique, inverse = np.unique(array, return_inverse=True)
            texts = [each.decode("utf-8", "replace") if isinstance(each, bytes) else str(each) for each in unique]
            good = np.array([any(fnmatchcase(text, one) for one in self._texts) for text in texts], bool)
            return np.asarray(good[inverse.reshape(array.shape)], bool)
        found = np.zeros(array.shape, bool)
        for low, high in self.ranges:
            found |= (array >= low) & (array <= high)
        return found

    @property
    def _texts(self) -> Iterable[str]:
        return (*self.patterns, *(str(low) for low, high in self.ranges if low == high))

    @property
    def only(self) -> int | str | None:
        """Return the value that it requires, if there is only one."""
        if not self.patterns and len(self.ranges) == 1 and self.ranges[0][0] == self.ranges[0][1]:
            return self.ranges[0][0]
        plain = len(self.patterns) == 1 and not self.ranges and not set("*?[") & set(self.patterns[0])
        return self.patterns[0] if plain else None


def parse_requirement(name: str, said: object) -> Requirement:
    """Make a condition of what a layout says: a number, a text, a range such as ``20-24``, or a list of them."""
    ranges, patterns = [], []
    for each in said if isinstance(said, list | tuple) else [said]:
        if isinstance(each, int):
            ranges.append((int(each), int(each)))
        elif found := RANGE.fullmatch(str(each)):
            ranges.append((int(found[1], 0), int(found[2], 0)))
        else:
            patterns.append(str(each))
    return Requirement(name, tuple(ranges), tuple(patterns))


def hold_all(conditions: Sequence[Requirement], values: Mapping[str, Any], count: int) -> npt.NDArray[np.bool_]:
    """Find the rows for which all conditions hold, shape (n,); a value that does not exist fulfils none."""
    good = np.ones(count, bool)
    for condition in conditions:
        good &= condition.find(values[condition.name]) if condition.name in values else False
    return good


def describe_values(names: Iterable[str], values: Mapping[str, Any], row: int) -> str:
    """Say what the values of a row are, for a message.

    Examples
    --------
    >>> describe_values(["apid"], {"apid": np.array([35, 513])}, 1)
    'apid 513'
    """
    shown = []
    for name in names:
        if name in values:
            value = np.asarray(values[name])
            one = value[row] if value.ndim else value[()]
            shown.append(f"{name} {one.decode('utf-8', 'replace') if isinstance(one, bytes) else one}")
    return ", ".join(shown)
