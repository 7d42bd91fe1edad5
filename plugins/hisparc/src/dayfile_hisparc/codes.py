"""Find which cells of a record the values of upload codes fill.

Events of one kind name the same codes in the same order, so this is done once for each sequence of codes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from dayfile import DataType, Field

__all__ = ["Blocks", "Plan", "Target", "find_plan"]


@dataclass(frozen=True)
class Target:
    """The target of one code of a sequence: a field, or one element of it."""

    place: int
    field: Field
    element: int | None

    def select_cells(self, records: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the cells of records that the code fills: a view, shape (n,) or (n, *shape of the field)."""
        column = records[self.field.name]
        return column if self.element is None else column[:, self.element]


class Block(NamedTuple):
    """Adjacent cells of one type in a record, and the index of each cell's value among those sent."""

    offset: int
    base: np.dtype[Any]
    places: list[int]


class Blocks(NamedTuple):
    """All cells that a sequence of codes fills, and a dtype of records with a field for each block of them."""

    form: np.dtype[Any]
    blocks: list[Block]


@dataclass
class Plan:
    """The targets of a sequence of codes for a type of event.

    ``blocks`` has the same targets as ``values``, for as many cells at once as possible. ``refusal`` is why no event
    with these codes can be stored; empty if they can.
    """

    values: list[Target] = field(default_factory=list)
    blobs: list[Target] = field(default_factory=list)
    unknown: dict[str, list[int]] = field(default_factory=dict)
    refusal: str = ""
    blocks: Blocks | None = None


MOST_CODES, LONGEST_CODE = 256, 40
"""No station sends more or longer codes: such a sequence is not cached, as it may take megabytes."""


def find_plan(data_type: DataType, codes: tuple[object, ...]) -> Plan:
    """Find the plan of a sequence of codes; it is cached for those that stations send."""
    usual = len(codes) <= MOST_CODES and all(isinstance(code, str) and len(code) <= LONGEST_CODE for code in codes)
    return remember_plan(data_type, codes) if usual else make_plan(data_type, codes)


@lru_cache(maxsize=256)
def remember_plan(data_type: DataType, codes: tuple[object, ...]) -> Plan:
    """Make a plan and cache it."""
    return make_plan(data_type, codes)


def make_plan(data_type: DataType, codes: tuple[object, ...]) -> Plan:
    """Make the plan of a sequence of codes.

    A code that ends in a digit names an element of the field whose code is the part before: elements count from 1, and
    0 is the last one, as an index of -1 is.
    """
    plan = Plan()
    by_code = {field.code: field for field in data_type.fields if field.code}
    for place, code in enumerate(codes):
        if not isinstance(code, str):
            return Plan(refusal="an upload code that is not a text")
        digit = code[-1:].isascii() and code[-1:].isdigit()
        base = code[:-1] if digit else code
        found = by_code.get(base)
        if found is None:
            plan.unknown.setdefault(base[:40], []).append(place)
        elif not digit:
            (plan.blobs if found.blob else plan.values).append(Target(place, found, None))
        elif found.shape and int(code[-1]) <= found.shape[0]:
            element = (int(code[-1]) - 1) % found.shape[0]
            (plan.blobs if found.blob else plan.values).append(Target(place, found, element))
        else:
            return Plan(refusal=f"upload code {code!r}: {found.name} has no element {code[-1]}")
    plan.blocks = find_blocks(data_type, plan.values)
    return plan


def find_blocks(data_type: DataType, targets: Sequence[Target]) -> Blocks | None:
    """Find the blocks of adjacent cells that codes fill; None if two codes fill the same cell.

    So there are never more blocks than cells, however many codes there are.
    """
    starts = {name: place[1] for name, place in (data_type.dtype.fields or {}).items()}
    cells: dict[int, tuple[np.dtype[Any], int]] = {}
    for target in targets:
        base = target.field.base
        # An array code without a digit fills every element.
        elements = range(math.prod(target.field.shape)) if target.element is None else [target.element]
        for element in elements:
            offset = starts[target.field.name] + base.itemsize * element
            if offset in cells:
                return None
            cells[offset] = base, target.place
    blocks: list[Block] = []
    for offset, (base, place) in sorted(cells.items()):
        last = blocks[-1] if blocks else None
        if last and last.base == base and offset == last.offset + base.itemsize * len(last.places):
            last.places.append(place)
        else:
            blocks.append(Block(offset, base, [place]))
    form = {
        "names": [f"block {number}" for number in range(len(blocks))],
        "formats": [(block.base, (len(block.places),)) for block in blocks],
        "offsets": [block.offset for block in blocks],
        "itemsize": data_type.dtype.itemsize,
    }
    return Blocks(np.dtype(form), blocks)  # type: ignore[call-overload]  # which knows no dict
