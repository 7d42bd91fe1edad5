"""Layouts from the structs of a C header."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any

import yaml

from dayfile.authoring.bit_fields import group_members, is_natural
from dayfile.authoring.c_structs import CMember, CStruct, CType
from dayfile.authoring.c_types import HeaderTypes
from dayfile.authoring.clocks import GPS_EPOCH
from dayfile.authoring.remarks import Meaning, read_meaning
from dayfile.authoring.time_members import TimeMember
from dayfile.errors import UsageError
from dayfile.messages import plural

__all__ = ["list_flat", "write_flat_layout", "write_flow", "write_struct_layout"]

BIT_TYPES = {"int": "signed", "char": "signed", "bool": "bool"}
"""What bits are, by the C type that they are declared with, if it is not unsigned."""


def write_struct_layout(
    types: HeaderTypes,
    struct: CStruct,
    instrument: str,
    time: TimeMember,
    order: str,
    *,
    name: str,
    head: int = 0,
    guessed: Collection[str] = (),
) -> str:
    """Write a layout for a file of structs.

    Parameters
    ----------
    types : HeaderTypes
        The header.
    struct : CStruct
        What each record is.
    instrument : str
        Name of the instrument.
    time : TimeMember
        The time of a record.
    order : {"little", "big"}
        Byte order.
    name : str
        Pattern of the names of files.
    head : int
        Bytes in front of the first record.
    guessed : collection of str
        What is guessed from a sample, of ``order``, ``head`` and ``size``.

    Returns
    -------
    str
        YAML. What the header does not say is marked as a guess.
    """
    marks = {word: "  # a guess: from the sample" if word in guessed else "" for word in ("order", "head", "size")}
    draft = Draft(types)
    explicit = not is_natural(struct)
    fields = list(draft.write_fields(struct, 6, explicit=explicit))
    names = [name, *([] if fnmatchcase(f"{struct.name}.bin", name) else [f"{struct.name}.bin"])]
    source = [
        f"structs: {{byte_order: {order}, alignment: {'packed' if explicit else 'natural'}}}{marks['order']}",
        f"match: {{name: {write_flow(names)}}}",
        "frames:",
        *([f"  head: {{size: {head}}}{marks['head']}"] if head else []),
        f"  size: {struct.size}{marks['size']}",
    ]
    return write_whole(draft, struct, instrument, time, source, fields)


def write_whole(
    draft: Draft, struct: CStruct, instrument: str, time: TimeMember, source: list[str], fields: list[str]
) -> str:
    """Write a layout of one type with lines about its sources, and with its fields."""
    title = write_flow((struct.comment or struct.name).rstrip("."))
    origin = f"struct {struct.name} of {draft.types.header.path.name}"
    lines = [
        f"# From {origin}: {plural(struct.size, 'byte')}, as compilers for 64-bit machines make it.",
        f"instrument: {instrument}",
        f"title: {title}",
        f"clock: {write_clock(time)}",
        *source,
        *draft.write_top(),
        f'path: "{instrument}/{{year}}/{instrument}_{{year}}{{month:02}}{{day:02}}.h5"',
        "types:",
        f"  {struct.name}:",
        f"    code: {struct.name}",
        f"    title: {title}",
        "    store: append",
        f"    time: {write_time(time)}",
        "    fields:",
        *fields,
    ]
    return "\n".join(lines) + "\n"


def write_clock(time: TimeMember) -> str:
    """Write the clock by which a time counts; a guess is marked."""
    epoch = time.epoch
    scale = f", scale: {epoch.scale}" if epoch.scale != "utc" else ""
    unknown = [*([] if epoch.said else ["from when on it counts"]), *([] if time.named_unit else ["its unit"])]
    reason = "from the times of the sample" if time.counts else f"nothing says {' or '.join(unknown)}"
    guess = f"  # a guess: {reason}" if unknown else ""
    return f"{{epoch: {epoch.date}T00:00:00, unit: {time.unit}{scale}}}{guess}"


def write_time(time: TimeMember) -> str:
    """Write which fields are the time of a record; a guess is marked."""
    guess = "" if time.likely else "  # a guess: nothing says which field is the time"
    if time.week:
        return f"{{epoch: {GPS_EPOCH}, scale: gps, plus: {{{time.week}: w, {time.name}: ms}}}}{guess}"
    if time.fraction:
        return f"{{field: {time.name}, fraction: {time.fraction}, unit: {time.fraction_unit}}}{guess}"
    return f"{time.name}{guess}"


def write_flat_layout(types: HeaderTypes, struct: CStruct, instrument: str, time: TimeMember, order: str) -> str:
    """Write a layout whose sources are decoded in Python; parameters as for :func:`write_struct_layout`."""
    draft = Draft(types)
    members = (replace(member, name=name) for name, _, member in list_flat(struct))
    fields = [f"      - {write_flow(draft.describe_field(member))}" for member in members]
    return write_whole(draft, struct, instrument, time, [f"# Sources are {order}-endian."], fields)


def list_flat(struct: CStruct, prefix: str = "", offset: int = 0) -> list[tuple[str, int, CMember]]:
    """List the members of a struct, and of structs in it, by the names and places that they have in the record.

    Raises
    ------
    UsageError
        It has bit fields or arrays of structs.
    """
    found = []
    for member in struct.members:
        name, place = f"{prefix}{member.name}", offset + member.offset
        if member.bits or (member.type.struct and member.type.shape):
            what = "bit fields" if member.bits else "arrays of structs"
            raise UsageError(f"struct {struct.name} has {what}, which layouts have words for: leave out --python")
        inner = member.type.struct
        found += list_flat(inner, f"{name}_", place) if inner else [(name, place, member)]
    return found


@dataclass
class Draft:
    """The fields of a layout that is written, and what they refer to."""

    types: HeaderTypes
    constants: dict[str, int] = field(default_factory=dict)
    values: dict[str, dict[int, str]] = field(default_factory=dict)

    def write_top(self) -> Iterator[str]:
        """Write the sections that fields refer to."""
        if self.constants:
            yield f"constants: {write_flow(self.constants)}"
        if self.values:
            yield "values:"
            yield from (f"  {name}: {write_flow(each)}" for name, each in self.values.items())

    def write_fields(self, struct: CStruct, depth: int, *, explicit: bool) -> Iterator[str]:
        """Write the fields of a struct; if they are explicit, with the bytes that compilers leave between them."""
        blanks, end = " " * depth, 0
        for offset, size, members in group_members(struct):
            if explicit and offset > end:
                yield f"{blanks}- {{skip: {offset - end}}}"
            end = offset + size
            first = members[0]
            if first.bits:
                yield f"{blanks}- type: uint{8 * size}"
                yield f"{blanks}  bits:"
                parts = self._list_bits(members, 8 * offset, 8 * end)
                yield from (f"{blanks}    - {write_flow(each)}" for each in parts)
            elif first.type.struct:
                yield f"{blanks}- name: {write_flow(first.name)}"
                if first.type.shape:
                    yield f"{blanks}  shape: {write_flow(self._find_shape(first.type))}"
                yield f"{blanks}  fields:"
                yield from self.write_fields(first.type.struct, depth + 4, explicit=explicit)
            else:
                yield f"{blanks}- {write_flow(self.describe_field(first))}"
        if explicit and struct.size > end:
            yield f"{blanks}- {{skip: {struct.size - end}}}"

    def _list_bits(self, members: Iterable[CMember], begin: int, end: int) -> Iterator[dict[str, Any]]:
        """List the parts of a word, between two bits of the struct."""
        for each in members:
            if each.begin > begin:
                yield {"bits": each.begin - begin}
            begin = each.begin + each.bits
            if not each.name:
                yield {"bits": each.bits}
                continue
            kind = BIT_TYPES.get(each.type.kind.rstrip("0123456789"))
            yield {
                "name": each.name,
                "bits": each.bits,
                **({"type": kind} if kind else {}),
                **self._explain(each),
            }
        if begin < end:
            yield {"bits": end - begin}

    def describe_field(self, member: CMember) -> dict[str, Any]:
        """Describe a field."""
        kind = member.type
        shape = self._find_shape(kind) or ([1] if kind.kind == "char" else [])
        return {
            "name": member.name,
            "type": kind.kind,
            **({"shape": shape} if shape else {}),
            **({} if kind.kind == "char" else self._explain(member)),
            **({"doc": member.comment} if kind.kind == "char" and member.comment else {}),
        }

    def _find_shape(self, kind: CType) -> list[int | str]:
        """Find the shape of an array, with the names of constants."""
        self.constants.update({name: number for number, name in kind.shape if name})
        return [name or number for number, name in kind.shape]

    def _explain(self, member: CMember) -> dict[str, Any]:
        """Say what the header says of a number."""
        said = read_meaning(member.comment, member.place)
        enum = member.type.enum or self.types.enums.get(said.enum)
        return {
            **self._explain_values(enum, member.type.kind),
            **explain_unit(said),
            **({"missing": [said.missing]} if said.missing is not None and not member.bits else {}),
            **({"doc": member.comment} if member.comment not in ("", said.unit, f"{said.scale} {said.unit}") else {}),
        }

    def _explain_values(self, enum: Any, kind: str) -> dict[str, Any]:  # noqa: ANN401 - CEnum or None
        """Refer to the values of an enumeration."""
        if enum is None or "int" not in kind:
            return {}
        values: dict[int, str] = {}
        for name, value in enum.values.items():
            values.setdefault(value, name)
        if not enum.name:
            return {"values": values}
        self.values[enum.name] = values
        return {"values": enum.name}


def explain_unit(said: Meaning) -> dict[str, Any]:
    """Say the unit of a number, or how it becomes a physical value."""
    if said.scale and float(said.scale) != 1:
        return {"physical": {"scale": float(said.scale), "unit": said.unit}}
    return {"unit": said.unit} if said.unit else {}


def write_flow(value: object) -> str:
    """Write a value as YAML in one line."""
    text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=10**6, allow_unicode=True)
    return text.removesuffix("\n").removesuffix("\n...")
