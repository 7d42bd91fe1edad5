"""Structs read in the plainest way: by the words of a layout as YAML has them, byte by byte and field by field."""

from __future__ import annotations

import re
import struct
from collections import ChainMap

import yaml

from plain_times import LostError

FLOATS = {"float32": "f", "float64": "d"}


class Layout:
    """The words of a layout, and the byte order of one source."""

    def __init__(self, text, order=None):
        self.words = yaml.safe_load(text)
        structs = self.words.get("structs", {})
        self.order = order or structs.get("byte_order", "big")
        self.natural = structs.get("alignment", "natural") == "natural"
        self.constants = self.words.get("constants", {})
        self.types = self.words["types"]

    def shape(self, entry):
        return [self.constants.get(length, length) for length in entry.get("shape", [])]

    def sum(self, text, scope):
        """Evaluate a sum of whole numbers and names."""
        values = ChainMap(self.constants, scope)
        names = {name: whole(values[name]) for name in re.findall(r"[A-Za-z_]\w*", str(text))}
        return eval(str(text), {}, names)  # noqa: S307 - a sum of the test

    def constant(self, text):
        return all(name in self.constants for name in re.findall(r"[A-Za-z_]\w*", str(text)))

    def varies(self, entry):
        """Whether the bytes of an entry differ from record to record."""
        if "skip" in entry:
            return entry["skip"] == "rest" or not self.constant(entry["skip"])
        return "count" in entry or any(map(self.varies, entry.get("fields", [])))

    def widest(self, entries):
        """The alignment of a struct of these entries."""
        found = 1
        for entry in entries:
            if "fields" in entry:
                found = max(found, self.widest(entry["fields"]))
            elif "skip" not in entry and "from" not in entry:
                found = max(found, width_of(entry))
        return found


def whole(value):
    """A value as a number of bytes or elements."""
    if isinstance(value, float):
        return int(max(-(2**62), min(2**62, value))) if value == value else -1
    return int(value)


def width_of(entry):
    kind = entry["type"]
    if kind in ("char", "bool"):
        return 1
    return int(re.search(r"\d+", kind)[0]) // 8


class Place:
    """Where a reading is in the bytes: ``base`` is what alignment counts from."""

    def __init__(self, content, at, end, base):
        self.content, self.at, self.end, self.base = content, at, end, base

    def take(self, size):
        if self.at + size > self.end:
            raise LostError("too short")
        self.at += size
        return self.content[self.at - size : self.at]

    @property
    def left(self):
        return self.end - self.at

    def align(self, width, *, natural):
        if natural:
            self.take(-(self.at - self.base) % width)


def read_value(layout, entry, place):
    """Read one element: a number, or a character."""
    width, kind = width_of(entry), entry["type"]
    raw = place.take(width)
    if entry.get("order"):
        raw = bytes(byte for _, byte in sorted(zip(entry["order"], raw, strict=True)))
    elif (entry.get("byte_order") or layout.order) == "little":
        raw = raw[::-1]
    if kind == "bool":
        return raw != b"\0"
    if kind in FLOATS:
        return struct.unpack(">" + FLOATS[kind], raw)[0]
    return int.from_bytes(raw, "big", signed=kind.startswith("int"))


def read_array(layout, entry, shape, place):
    """Read nested lists of a shape; the last length of a text is that of its bytes."""
    if entry["type"] == "char" and len(shape) <= 1:
        return place.take(shape[0] if shape else 1).rstrip(b"\0")
    if not shape:
        return read_value(layout, entry, place)
    return [read_array(layout, entry, shape[1:], place) for _ in range(shape[0])]


def zeros(layout, entry, shape):
    return read_array(layout, entry, shape, Place(bytes(2**16), 0, 2**16, 0))


def split_bits(layout, entry, word):
    """Read the parts of a word, bit by bit."""
    width = 8 * width_of(entry)
    big = (entry.get("byte_order") or layout.order) == "big" or entry.get("order")
    first = entry.get("first") or ("high" if big else "low")
    used, found = 0, {}
    for part in entry["bits"]:
        low = used if first == "low" else width - used - part["bits"]
        value = sum(((word >> low + bit) & 1) << bit for bit in range(part["bits"]))
        if part.get("type") == "signed" and value >> (part["bits"] - 1):
            value -= 1 << part["bits"]
        if part.get("name"):
            found[part["name"]] = value
        used += part["bits"]
    return found


def split_all_bits(layout, entry, words):
    """Read the parts of a word, or of all words of an array."""
    if not isinstance(words, list):
        return split_bits(layout, entry, words)
    each = [split_all_bits(layout, entry, word) for word in words]
    return {part["name"]: [one[part["name"]] for one in each] for part in entry["bits"] if part.get("name")}


def read_count(layout, entry, scope, place):
    count = layout.sum(entry["count"], scope)
    shape = layout.shape(entry)
    if not 0 <= count <= (shape[0] if shape else place.left):
        raise LostError("impossible count")
    return count


def read_entries(layout, entries, place, scope, rows):
    """Read the entries of a struct, one after the other; return the values by name."""
    found = {}
    names = ChainMap(found, scope)
    for entry in entries:
        if "skip" in entry:
            rest = entry["skip"] == "rest"
            place.take(place.end - place.at if rest else max(0, layout.sum(entry["skip"], names)))
        elif "rows" in entry:
            inner = layout.types[entry["rows"]]["fields"]
            elements = read_elements(layout, inner, read_count(layout, entry, names, place), place, names, rows)
            rows.setdefault(entry["rows"], []).extend(elements)
        elif "fields" in entry:
            found |= read_group(layout, entry, place, names, rows)
        elif "from" not in entry:
            found |= read_field(layout, entry, place, names)
        if layout.varies(entry):
            place.base = place.at
    return found


def read_field(layout, entry, place, names):
    shape = layout.shape(entry)
    if "count" in entry:
        count = read_count(layout, entry, names, place)
        read = read_array(layout, entry, [count, *shape[1:]], place)
        if entry["type"] != "char" or len(shape) > 1:
            read += [zeros(layout, entry, shape[1:])] * (shape[0] - count)
    else:
        place.align(width_of(entry), natural=layout.natural)
        read = read_array(layout, entry, shape, place)
    found = {entry["name"]: read} if "name" in entry else {}
    return found | (split_all_bits(layout, entry, read) if "bits" in entry else {})


def read_elements(layout, entries, count, place, names, rows):
    """Read elements of a group, one after the other."""
    fixed = not any(map(layout.varies, entries))
    elements, outer = [], place.base
    for _ in range(count):
        place.base = place.at
        elements.append(read_entries(layout, entries, place, {} if fixed else names, rows))
        if fixed:
            place.align(layout.widest(entries), natural=layout.natural)
    place.base = outer
    return elements


def read_group(layout, entry, place, names, rows):
    """Read a group: the values of its elements become arrays."""
    shape, most = layout.shape(entry), 1
    for length in shape:
        most *= length
    if "count" in entry:
        count = read_count(layout, entry, names, place)
        for length in shape[1:]:
            count *= length
    else:
        count = most
        if not layout.varies(entry):
            place.align(layout.widest(entry["fields"]), natural=layout.natural)
    elements = read_elements(layout, entry["fields"], count, place, names, rows)
    blank = read_elements(layout, entry["fields"], 1, Place(bytes(2**16), 0, 2**16, 0), Zero(), {})[0]
    elements += [blank] * (most - count)
    return {f"{entry['name']}_{name}": nest([element[name] for element in elements], shape) for name in blank}


class Zero(dict):
    """Values that are all 0."""

    def __missing__(self, key):
        return 0

    def __contains__(self, key):
        return True


def nest(values, shape):
    """Put values into nested lists of a shape."""
    if not shape:
        return values[0]
    size = len(values) // shape[0] if shape[0] else 0
    return [nest(values[size * place : size * (place + 1)], shape[1:]) for place in range(shape[0])]
