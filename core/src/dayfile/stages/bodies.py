"""What is in frames of structs: the fields that all frames begin with, and the records behind them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from dayfile.messages import plural
from dayfile.stages.base import Columns, Frames, Wrong
from dayfile.stages.parts import Order, StructPart
from dayfile.stages.plan import Form, RecordKind
from dayfile.stages.structs import Cursor, Struct, StructValues
from dayfile.stages.writing import write_structs

__all__ = ["Bodies"]


@dataclass
class Bodies:
    """Reads frames of structs.

    Parameters
    ----------
    parts : tuple of StructPart
        The fields that all frames begin with.
    byte_order : {'big', 'little'}
        That of the source.
    natural : bool
        Whether fields are aligned as C compilers do it.
    begin : int
        Bytes in front of the first field, such as those of a sync pattern.
    behind : int
        Bytes behind the last field, such as those of a checksum.
    """

    parts: tuple[StructPart, ...]
    byte_order: Order
    natural: bool = False
    begin: int = 0
    behind: int = 0
    structs: dict[Form, Struct] = field(default_factory=dict)

    @cached_property
    def head(self) -> Struct:
        """Return the struct of the fields that all frames begin with."""
        return Struct(self.parts, self.byte_order, self.natural, self.begin)

    def read_heads(self, frames: Frames, known: Mapping[str, Any]) -> Columns:
        """Read what all frames begin with."""
        if not self.parts:
            return {}
        return self.head.read(frames.block, frames.starts + self.begin, known)

    def find_struct(self, form: Form) -> Struct:
        """Return the struct of the records of one form."""
        if form not in self.structs:
            self.structs[form] = Struct(form.parts, self.byte_order, self.natural, self.begin + self.head.size)
        return self.structs[form]

    def write_bodies(
        self, form: Form, values: Mapping[str, Any], blobs: Mapping[str, Sequence[bytes]], count: int
    ) -> list[bytes]:
        """Write the records of one form, without what all frames begin with."""
        return write_structs(self.find_struct(form), values, blobs, count)

    def read_bodies(
        self,
        form: Form,
        frames: Frames,
        values: Mapping[str, Any],
        kind: RecordKind,  # noqa: ARG002 - of the protocol
    ) -> tuple[StructValues, Wrong]:
        """Read the records of one form; those whose frame has another size are wrong."""
        begin = self.begin + self.head.size
        struct, wrong = self.find_struct(form), Wrong.none(len(frames))
        ends = frames.starts + (frames.lengths - self.behind)
        cursor = Cursor(frames.starts + begin, ends, wrong)
        if struct.is_fixed:
            due = begin + struct.padded_size + self.behind
            odd = frames.lengths != due
            if odd.any():
                wrong.add(odd, lambda row: f"{plural(int(frames.lengths[row]), 'byte')}, not {due}")
            return struct.find(frames.block, cursor, values), wrong
        found = struct.find(frames.block, cursor, values)
        left = ends - cursor.at
        odd = (left != 0) & ~wrong.rows
        if odd.any():
            wrong.add(odd, lambda row: f"{plural(int(left[row]), 'byte')} more than its fields have")
        return found, wrong
