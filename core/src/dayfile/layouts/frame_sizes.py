"""Compare the size of frames with the bytes that the fields of each type take, where both are constant."""

from __future__ import annotations

from collections.abc import Iterable

from dayfile.decoding.bodies import Bodies
from dayfile.decoding.plan import RecordKind
from dayfile.framing.nested import NestedFrames
from dayfile.framing.sized import Sized
from dayfile.framing.synced import Synced
from dayfile.layouts.document import Document, Path
from dayfile.messages import plural
from dayfile.stages.base import Framer, Order
from dayfile.stages.structs import Struct

__all__ = ["check_frame_sizes"]


def check_frame_sizes(
    framer: Framer, kinds: Iterable[RecordKind], document: Document, order: Order, *, natural: bool
) -> None:
    """Refuse types whose fields take more or fewer bytes than a frame has: none of their frames would be good."""
    while isinstance(framer, NestedFrames):
        framer = framer.inner
    size = framer.shape.size.constant if isinstance(framer, Sized | Synced) else None
    if size is None:
        return
    bodies = Bodies.of(framer, order, natural=natural)
    for kind in kinds:
        for number, form in enumerate(kind.forms):
            struct = bodies.find_struct(form)
            if not struct.is_fixed or bodies.measure(struct) == size:
                continue
            path: Path = ("types", kind.data_type.type, "fields")
            if (place := ("types", kind.data_type.type, "forms", number)) in document.places:
                path = place
            with document.collect():
                document.fail(path, describe_difference(size, bodies, struct, kind.data_type.type))


def describe_difference(size: int, bodies: Bodies, struct: Struct, name: str) -> str:
    """Say how many bytes frames have, how many a type takes, and what counts."""
    padding = struct.padded_size - struct.size
    own = f"{struct.padded_size} of {name}" + (f" with {padding} of padding at its end" if padding else "")
    counted = {
        "of 'sync'": bodies.sync,
        "of 'frames: fields'": bodies.lead - bodies.sync,
        "from the checksum on": bodies.tail,
    }
    parts = [own, *(f"{number} {what}" for what, number in counted.items() if number)]
    natural = "; fields are aligned naturally, see 'structs'" if bodies.natural else ""
    return (
        f"a frame has {plural(size, 'byte')} ('frames: size'), but with these fields it takes "
        f"{bodies.measure(struct)} ({', '.join(parts)}){natural}"
    )
