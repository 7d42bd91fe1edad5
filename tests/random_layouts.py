"""Random layouts, and sources of random records by them: what a new author might write, and what might be sent."""

from __future__ import annotations

import random
from collections import ChainMap

import yaml
from hypothesis import strategies as st

from dayfile.framing.checksums import FRAME_CHECKSUMS
from plain_decoding import parse_pattern
from plain_structs import Layout, Place, read_entries, width_of
from plain_times import LostError

INTEGERS = [f"{sign}int{bits}" for sign in ("u", "") for bits in (8, 16, 24, 32, 40, 48, 56, 64)]
NUMBERS = [*INTEGERS, *INTEGERS, "float32", "float64", "bool"]
ORDERS = st.sampled_from(["big", "little"])
COUNT = {"name": "n", "type": "uint8"}
KINDS = ("number", "number", "number", "text", "skip", "word", "group")


def pick(draw, *values):
    return draw(st.sampled_from(values))


def draw_entries(draw, names, depth, *, least=1, fixed=True):
    """Draw the entries of a struct; with a count in scope, some may differ in size."""
    kinds = KINDS if fixed else (*KINDS, "array", "array", "texts", "groups", "skip_some")
    entries = [
        draw_entry(draw, pick(draw, *kinds), names, depth, fixed=fixed) for _ in range(draw(st.integers(least, 5)))
    ]
    return [entry for entry in entries if entry] or [{"name": next(names), "type": "uint8"}]


def draw_entry(draw, kind, names, depth, *, fixed):
    """Draw one entry of a kind."""
    if kind == "skip":
        return {"skip": draw(st.integers(0, 4))}
    if kind == "skip_some":
        return {"skip": pick(draw, "n", "2 * n", "n - 1")}
    if kind in ("group", "groups"):
        if depth > 1:
            return None
        entry = {"name": next(names), "shape": pick(draw, [], [1], [3], [2, 2])}
        if kind == "groups":
            entry |= {"shape": [draw(st.integers(2, 4))], "count": pick(draw, "n", "n + 1", 2)}
        return entry | {"fields": draw_entries(draw, names, depth + 1, fixed=fixed or draw(st.booleans()))}
    if kind == "word":
        bits = pick(draw, 8, 16, 24, 32, 64)
        return {"type": f"uint{bits}", "bits": draw_bits(draw, names, bits), **draw_order(draw, bits // 8)}
    if kind == "text":
        return {"name": next(names), "type": "char", "shape": pick(draw, [1], [5], [2, 3])}
    if kind == "texts":
        return {
            "name": next(names),
            "type": "char",
            "shape": pick(draw, [4], [4, 3]),
            "count": pick(draw, "n", "n * 2"),
        }
    number = pick(draw, *NUMBERS)
    entry = {"name": next(names), "type": number, "shape": pick(draw, [], [], [1], [3], [2, 2])}
    if kind == "array":
        entry |= {"shape": pick(draw, [4], [3, 2]), "count": pick(draw, "n", "n + 1", "(n - 1) * n", 3)}
    if number != "bool":
        entry |= draw_order(draw, width_of(entry))
    if number.startswith("uint") and draw(st.integers(0, 3)) == 0:
        entry["bits"] = draw_bits(draw, names, int(number[4:]))
    return entry


def draw_order(draw, width):
    """Draw the order of the bytes of a number."""
    kind = pick(draw, "", "", "byte_order", "order")
    if kind == "byte_order":
        return {kind: draw(ORDERS)}
    return {kind: "".join(map(str, draw(st.permutations(range(1, width + 1)))))} if kind else {}


def draw_bits(draw, names, width):
    """Draw the parts of a word."""
    parts, left = [], width
    while left and len(parts) < 4:
        bits = draw(st.integers(1, left))
        left -= bits
        part = {"bits": bits, "type": pick(draw, "unsigned", "unsigned", "signed")}
        if bits == 1:
            part["type"] = pick(draw, "unsigned", "bool")
        if not parts or draw(st.integers(0, 3)):
            part["name"] = next(names)
        parts.append(part)
    return parts


def draw_frames(draw, order):
    """Draw how frames are found, with the names that a body may use."""
    kind = pick(draw, "sync", "sync", "sized", "ccsds", "fortran", "inside")
    check = pick(draw, None, *FRAME_CHECKSUMS)
    fields = [{"name": "kind", "type": "uint8"}, {"name": "length", "type": "uint16"}]
    if draw(st.booleans()):
        fields.append({"name": "more", "type": "int16", **draw_order(draw, 2)})
    if kind == "fortran":
        return {"fortran": pick(draw, 4, 8), "fields": fields}
    if kind == "ccsds":
        return {"ccsds": True}
    frames = {"fields": fields, "size": "length + 2"}
    if kind in ("sync", "inside"):
        frames["sync"] = pick(draw, "AA", "AA AA", "55 AA", "text: AB")
    if check:
        frames["checksum"] = {"kind": check, "from": 0}
        if draw(st.booleans()):
            frames["checksum"]["byte_order"] = order
    frames["longest"] = 400
    return {"ccsds": True, "inside": frames} if kind == "inside" else frames


@st.composite
def layouts(draw):
    """Layouts of one or two types of binary records."""
    names = iter(f"f{number}" for number in range(1000))
    order = draw(ORDERS)
    frames = draw_frames(draw, order)
    selector, kinds = ("apid", [1, 2]) if frames.get("ccsds") and "inside" not in frames else ("kind", [1, 2])
    known = [selector, *(["apid", "packet_length"] if "inside" in frames else [])]
    if "inside" in frames and draw(st.booleans()):
        frames["inside"]["size"] = "length + apid - 1"
    types = {}
    for kind in kinds[: draw(st.integers(1, 2))]:
        fixed = draw(st.booleans())
        entries = [{"name": "second", "type": "uint32"}]
        if not fixed:
            entries.append(dict(COUNT))
        entries += draw_entries(draw, names, 0, fixed=fixed)
        if draw(st.booleans()):
            entries.append(
                {"name": next(names), "type": pick(draw, "int32", "uint8", "float64"), "from": pick(draw, *known)}
            )
        one = {"code": f"T{kind}", "title": "T", "store": "append", "time": "second"}
        if draw(st.booleans()):
            one["time"] = {"epoch": "1990-01-01", "plus": {"second": pick(draw, "s", "ms", "1/65536 s")}}
            one["time"]["scale"] = pick(draw, "utc", "tai", "gps", "tt")
        one["when"] = {selector: pick(draw, kind, [kind, 9 + kind], f"{kind}-{kind}")}
        if not fixed and draw(st.integers(0, 2)) == 0:
            inner = [{"name": next(names), "type": pick(draw, *INTEGERS)}, *draw_entries(draw, names, 1)]
            entries.append({"rows": f"r{kind}", "count": pick(draw, "n", "n * 2")})
            types[f"r{kind}"] = {"code": f"R{kind}", "title": "R", "store": "append", "time": one["time"]}
            if one["time"] == "second":
                inner.append({"name": "second", "type": "uint32", "from": "second"})
            types[f"r{kind}"]["fields"] = inner
        if not fixed and draw(st.integers(0, 4)) == 0:
            entries.append({"skip": "rest"})
        types[f"t{kind}"] = one | {"fields": entries}
    if draw(st.integers(0, 3)) == 0:
        frames["head"] = {"size": 8, "fields": [{"name": "serial", "type": "uint16"}]}
        types["t1"]["fields"].append({"name": "serial", "type": "uint32", "from": "serial"})
    if draw(st.booleans()):
        frames["ignore"] = pick(draw, "others", [{selector: 7}])
    carried = {}
    if len([name for name in types if name.startswith("t")]) > 1 and draw(st.booleans()):
        types["t1"]["fields"].insert(1, {"name": "week", "type": "uint16"})
        types["t2"]["fields"].append({"name": next(names), "type": "uint32", "from": "week"})
        carried["carry"] = {"week": {"of": ["t1"], "which": pick(draw, "first", "latest")}}
        carried["node"] = pick(draw, "/{type}", "/{week}/{type}")
    words = {
        **carried,
        "instrument": "any",
        "title": "Any",
        "clock": {"epoch": "1970-01-01T00:00:00"},
        "structs": {"byte_order": order, "alignment": pick(draw, "natural", "packed")},
        "match": {"name": "*.bin"},
        "frames": frames,
        "path": "any/{year}{month:02}{day:02}.h5",
        "types": types,
    }
    return yaml.dump(words, Dumper=Plainly, sort_keys=False)


class Plainly(yaml.SafeDumper):
    """Writes YAML without anchors."""

    def ignore_aliases(self, data):
        return True


class Growing(Place):
    """A place in bytes that grow as they are read: numbers of one byte are small, for they may be counts."""

    def __init__(self, chance, before):
        super().__init__(bytearray(before), before, 2**40, 0)
        self.chance = chance

    @property
    def end(self):
        return self.at + self.chance.randrange(4)

    @end.setter
    def end(self, value):
        pass

    @property
    def left(self):
        return 2**40

    def take(self, size):
        small = size == 1 and self.chance.random() < 0.8
        taken = bytes([self.chance.randrange(4)]) if small else self.chance.randbytes(size)
        self.content += taken
        self.at += size
        return bytes(taken)


def make_body(layout, name, before, chance):
    """Make the bytes of a record, behind so many of its frame; those of one that cannot be are cut somewhere."""
    place, entries = Growing(chance, before), layout.types[name]["fields"]
    try:
        read_entries(layout, entries, place, ChainMap({"kind": 1, "more": 1}), {})
        if not any(map(layout.varies, entries)):
            place.align(layout.widest(entries), natural=layout.natural)
    except LostError:
        pass
    return bytes(place.content[before:])


def make_frame(layout, words, kind, body_of, chance):
    """Make a frame around a body."""
    order, sync = layout.order, parse_pattern(words["sync"]) if "sync" in words else b""
    if "fortran" in words:
        marker = words["fortran"]
        content = pad_fields(layout, words, kind, 0, marker, chance)
        content += body_of(marker + len(content))
        size = len(content).to_bytes(marker, order)
        return size + content + size
    if words.get("ccsds"):
        body = body_of(6) or b"."
        apid = kind | 0x0800
        return apid.to_bytes(2) + chance.randbytes(2) + (len(body) - 1).to_bytes(2) + body
    head = pad_fields(layout, words, kind, 0, len(sync), chance)
    check = words.get("checksum")
    size = FRAME_CHECKSUMS[check["kind"]].size if check else 0
    body = body_of(len(sync) + len(head))
    total = len(sync) + len(head) + len(body) + size
    state = chance.getstate()
    frame = sync + pad_fields(layout, words, kind, total - 2, len(sync), chance) + body
    chance.setstate(state)
    if check:
        first = {"fletcher8": "little", "fletcher16": "little"}.get(check["kind"], order)
        frame += FRAME_CHECKSUMS[check["kind"]].compute(frame).to_bytes(size, check.get("byte_order", first))
    return frame


def pad_fields(layout, words, kind, length, before, chance):
    """Write the fields that all frames begin with: kind, length and perhaps more, aligned as the layout says."""
    content = bytearray(before) + bytes([kind])
    for number in range(1, len(words["fields"])):
        if layout.natural:
            content += bytes(len(content) % 2)
        content += (length % 2**16).to_bytes(2, layout.order) if number == 1 else chance.randbytes(2)
    return bytes(content[before:])


def make_source(text, seed, count):
    """Make a source of random records by a layout."""
    layout, chance = Layout(text), random.Random(seed)
    frames = layout.words["frames"]
    content = chance.randbytes(8) if "head" in frames else b""
    types = [name for name in layout.types if name.startswith("t")]
    for _ in range(count):
        name = chance.choice([*types, *types, None])
        kind = int(name[1:]) if name else chance.choice([7, 8])

        def body_of(before, name=name):
            return make_body(layout, name, before, chance) if name else chance.randbytes(5)

        if "inside" in frames:
            inner = [make_frame(layout, frames["inside"], kind, body_of, chance) for _ in range(chance.randrange(3))]
            content += make_frame(layout, {"ccsds": True}, 3, lambda _, inner=inner: b"".join(inner), chance)
        else:
            content += make_frame(layout, frames, kind, body_of, chance)
    return content


def damage(content, changes, start):
    """Damage a source: flip bits, cut out, put in, move; what is in front of ``start`` stays."""
    stream = bytearray(content)
    for kind, at, length, value in changes:
        place = start + at % max(1, len(stream) - start)
        if kind == "flip":
            stream[place : place + 1] = bytes(byte ^ (1 << value % 8) for byte in stream[place : place + 1])
        elif kind == "cut":
            del stream[place : place + length]
        elif kind == "insert":
            stream[place:place] = bytes([value]) * length
        elif kind == "copy":
            stream[place:place] = stream[start : start + length]
        else:
            stream[place : place + length] = stream[place : place + length][::-1]
    return bytes(stream)


CHANGES = st.lists(
    st.tuples(
        st.sampled_from(["flip", "flip", "cut", "insert", "copy", "reverse"]),
        st.integers(0, 10**6),
        st.integers(1, 40),
        st.integers(0, 255),
    ),
    max_size=6,
)
