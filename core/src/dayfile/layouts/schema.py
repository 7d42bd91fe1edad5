"""The vocabulary of layouts: which words a YAML file may hold, and what they may say.

Pure data, checked by pydantic; :mod:`dayfile.layouts.reader` turns its complaints into ``file:line:column`` errors.
"""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from dayfile.model.datatype import NUMPY_TYPES

__all__ = ["BlobsWords", "ClockWords", "FieldWords", "LayoutWords", "StructWords", "TypeWords"]

FIELD_TYPES = (*NUMPY_TYPES, "char")

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]


def one_line(value: Any) -> Any:  # noqa: ANN401 - whatever YAML holds; pydantic judges it afterwards
    """Fold a text that was wrapped in the YAML file into one line."""
    return " ".join(value.split()) if isinstance(value, str) else value


Line = Annotated[str, BeforeValidator(one_line)]


class Words(BaseModel):
    """A mapping of the vocabulary: no words but its own, values as written."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ClockWords(Words):
    """How times count."""

    epoch: dt.datetime = Field(description="UTC date and time of tick 0")
    unit: Literal["s", "ms", "us", "ns"] = Field("s", description="what one tick is")
    leap_seconds: Literal["ignored", "counted"] = Field(
        "ignored", description="whether the clock runs on through leap seconds"
    )
    undefined: tuple[int, ...] = Field((), description="values that mean 'no time'; their records are rejected")


class StructWords(Words):
    """How C structs of this instrument lie in memory."""

    byte_order: Literal["big", "little"] = Field("big", description="byte order of the machine that wrote them")
    alignment: Literal["natural", "packed"] = Field(
        "natural", description="natural: each field on a multiple of its size, as C compilers do; packed: no gaps"
    )


class BlobsWords(Words):
    """The array of variable-length values beside the tables."""

    node: str = Field(description="path in the day file; may use the keys of a batch")
    title: Line = Field("", description="title of the array")


class FieldWords(Words):
    """One field."""

    name: Name = Field(description="name in the day file")
    type: Literal[FIELD_TYPES] = Field(description="type of one element")  # type: ignore[valid-type]  # one list of types
    shape: tuple[int | str, ...] = Field((), description="numbers or names of constants; empty for a scalar")
    unit: str = Field("", description="physical unit")
    doc: Line = Field("", description="meaning")
    code: str = Field("", description="the instrument's own name for it in its input")
    blob: Literal["", "base64", "latin-1"] = Field(
        "", description="the value goes to the blob array; how input carries it"
    )
    default: bool | int | float = Field(0, description="value when not sent")
    counter: bool = Field(default=False, description="numbers the rows of the table from 1")
    overflow: Literal["raise", "wrap"] | None = Field(None, description="what an integer too wide does")


class TypeWords(Words):
    """One data type."""

    code: str = Field(description="the instrument's own name for this kind of record")
    title: Line = Field(description="one line about the type; the table's title")
    store: Literal["append", "slots", "intervals"] = Field(description="how a day file holds the records")
    time: Name = Field(description="field that decides day and slot")
    end: Name | None = Field(None, description="field with the end stamp")
    period: int = Field(0, ge=0, le=86400, description="seconds between records of a periodic type")
    suffix: str = Field("", description="short name for the path")
    size: int | None = Field(None, description="bytes of one struct, padding included; checked")
    doc: Line = Field("", description="where the declaration comes from, or what else is to be known")
    fields: tuple[FieldWords, ...] = Field(min_length=1, description="the fields, in stored order")


class LayoutWords(Words):
    """A whole layout."""

    instrument: Name = Field(description="name of the instrument; the first half of its data types' names")
    version: int = Field(1, ge=1, description="raised when stored fields change")
    title: Line = Field(description="one line about the instrument")
    clock: ClockWords
    structs: StructWords | None = None
    sources: tuple[Literal["struct_streams", "hdf4"], ...] = Field(
        (), description="kinds of source that are decoded by the layout alone"
    )
    constants: dict[Name, int] = Field(default_factory=dict, description="sizes by name")
    path: str = Field(description="template of the day file's path")
    node: str = Field("/{type}", description="template of the table's path in the day file")
    titles: tuple[Line, ...] = Field((), description="titles of the groups on that path")
    blobs: BlobsWords | None = None
    overflow: Literal["raise", "wrap"] = Field("raise", description="overflow of fields that do not say")
    types: dict[Name, TypeWords] = Field(
        min_length=1, description="the data types by name, the second half of their full names"
    )
