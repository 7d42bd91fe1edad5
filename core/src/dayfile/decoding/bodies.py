"""What is in frames of structs: the fields that all frames begin with, and the records behind them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from dayfile.decoding.plan import RecordForm, RecordKind
from dayfile.messages import plural
from dayfile.stages.base import Columns, Framer, Frames, Order, Reading, Wrong
from dayfile.stages.structs import Cursor, Struct, StructValues
from dayfile.stages.writing import write_parts

__all__ = ["Bodies"]


@dataclass
class Bodies:
    """Reads frames of structs.

    Parameters
    ----------
    fields : Reading, optional
        Reads the fields that all frames begin with.
    byte_order : {'big', 'little'}
        That of the source.
    natural : bool
        Whether fields are aligned as C compilers do it.
    sync : int
        Bytes in front of the first field.
    lead, tail : int
        Bytes in front of what belongs to a type, and behind it.
    """

    fields: Reading | None
    byte_order: Order
    natural: bool = False
    sync: int = 0
    lead: int = 0
    tail: int = 0
    structs: dict[RecordForm, Struct] = field(default_factory=dict)

    @classmethod
    def of(cls, framer: Framer, byte_order: Order, *, natural: bool) -> Bodies:
        """Make what reads the frames of a framer."""
        before = framer.lead - (framer.fields.size if framer.fields else 0)
        return cls(framer.fields, byte_order, natural, before, framer.lead, framer.tail)

    @property
    def wrong(self) -> None:
        """Return nothing: framers let only good frames through."""
        return

    @property
    def separator(self) -> bytes:
        """Return nothing: frames follow each other."""
        return b""

    def make_head(self, place: int) -> bytes:  # noqa: ARG002 - of the protocol
        """Return nothing: structs do not depend on those before."""
        return b""

    def read_heads(self, frames: Frames, known: Mapping[str, Any]) -> Columns:
        """Read what all frames begin with, and those that they are in."""
        own = self.fields.read(frames.block, frames.starts + self.sync, known) if self.fields else {}
        return {**frames.outer, **own}

    def find_struct(self, form: RecordForm) -> Struct:
        """Return the struct of the records of one form."""
        if form not in self.structs:
            self.structs[form] = Struct(form.parts, self.byte_order, self.natural, self.lead)
        return self.structs[form]

    def measure(self, struct: Struct) -> int:
        """Return the bytes of a frame with such a struct, which is of fixed size."""
        return self.lead + struct.padded_size + self.tail

    def write_bodies(self, form: RecordForm, values: Mapping[str, Any], count: int) -> list[bytes]:
        """Write the records of one form, without what all frames begin with."""
        struct = self.find_struct(form)
        padding = bytes(struct.padded_size - struct.size) if struct.is_fixed else b""
        return [body + padding for body in write_parts(struct, values, count)]

    def read_bodies(
        self,
        form: RecordForm,
        frames: Frames,
        values: Mapping[str, Any],
        kind: RecordKind,
        places: npt.NDArray[np.int64],  # noqa: ARG002 - of the protocol
    ) -> tuple[StructValues, Wrong]:
        """Read the records of one form; those whose frame has another size are wrong."""
        struct, wrong = self.find_struct(form), Wrong.none(len(frames))
        ends = frames.starts + (frames.lengths - self.tail)
        cursor = Cursor(frames.starts + self.lead, ends, wrong)
        if struct.is_fixed:
            due = self.measure(struct)
            odd = frames.lengths != due
            if odd.any():
                wrong.add(odd, lambda row: describe_wrong_size(int(frames.lengths[row]), due, kind.data_type.type))
            return struct.find(frames.block, cursor, values), wrong
        found = struct.find(frames.block, cursor, values)
        left = ends - cursor.at
        odd = (left != 0) & ~wrong.rows
        if odd.any():
            wrong.add(odd, lambda row: f"{plural(int(left[row]), 'byte')} more than its fields have")
        return found, wrong


def describe_wrong_size(size: int, due: int, name: str) -> str:
    """Say how many bytes a frame has, and how many its type takes."""
    return f"the frame has {plural(size, 'byte')}, {name} takes {due}"
