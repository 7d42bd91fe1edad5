"""Words of layouts that say what the numbers of a field are: physical values, and names of values."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Discriminator, Field, StringConstraints, Tag

from dayfile.layouts.words import Name, Words

__all__ = ["ByWords", "PhysicalWords", "ValueNames", "ValueWords"]

EXPONENTIAL = re.compile(r"[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+")
"""A number that YAML 1.1 takes for a text: without a point, or without a sign of its exponent."""


def choose_number(value: Any) -> str:  # noqa: ANN401 - whatever YAML holds
    """Choose between a number, the name of a field, and numbers by the value of one."""
    return "mapping" if isinstance(value, dict) else "name" if isinstance(value, str) else "number"


def read_number(value: Any) -> Any:  # noqa: ANN401 - whatever YAML holds
    """Read a number such as 1e-7, which YAML 1.1 takes for a text without a point in it."""
    return float(value) if isinstance(value, str) and EXPONENTIAL.fullmatch(value) else value


Finite = Annotated[float, BeforeValidator(read_number), Field(allow_inf_nan=False, strict=True)]


class ByWords(Words):
    """A number that the value of a field chooses."""

    by: Name = Field(description="field of integers in the same record")
    of: dict[str, Finite] = Field(
        min_length=1, description="the number for each value, or range of values such as 3-5; others have none"
    )


NumberWords = Annotated[
    Annotated[Finite, Tag("number")] | Annotated[Name, Tag("name")] | Annotated[ByWords, Tag("mapping")],
    Discriminator(choose_number),
    BeforeValidator(read_number),
]


class PhysicalWords(Words):
    """Physical values of a field: by ``scale`` and ``offset``, or a ``polynomial``, or a ``table``."""

    scale: NumberWords = Field(
        1.0, description="factor: a number, the name of a field that has it, or numbers by a field"
    )
    offset: NumberWords = Field(0.0, description="what is added to the scaled number; as for scale")
    polynomial: tuple[Finite, ...] = Field((), description="coefficients c0, c1, c2 … of c0 + c1 x + c2 x² + …")
    table: tuple[tuple[Finite, ...], ...] = Field(
        (), description="pairs of a stored number and its physical value, linear between them, and undefined outside"
    )
    unit: str | None = Field(None, description="unit of physical values; that of the field if left out")


def choose_values(value: Any) -> str:  # noqa: ANN401 - whatever YAML holds
    """Choose between a mapping and the name of one."""
    return "mapping" if isinstance(value, dict) else "name"


ValueNames = dict[str, Annotated[str, StringConstraints(min_length=1)]]
"""Names by value, or by range of values."""
ValueWords = Annotated[
    Annotated[Name, Tag("name")] | Annotated[ValueNames, Tag("mapping")], Discriminator(choose_values)
]
