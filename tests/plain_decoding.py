"""Sources decoded in the plainest way: by the words of a layout as YAML has them, byte by byte and field by field.

Nothing here is compiled, and nothing is an array: frames are those of a search by hand, and values are made of bytes
one after the other. ``decode_plainly`` says of each byte of a source what it belongs to.
"""

from __future__ import annotations

import re
import struct
from collections import ChainMap
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

import yaml

from dayfile.framing.checksums import FRAME_CHECKSUMS
from plain_frames import find_gaps
from plain_structs import FLOATS, Layout, Place, read_entries
from plain_times import LostError, check_stored_time, make_time

PACKET = {"version": 3, "packet_type": 1, "secondary_header": 1, "apid": 11}
PACKET |= {"sequence_flags": 2, "sequence_count": 14, "packet_length": 16}
SUMS_FIRST = {"fletcher8": "little", "fletcher16": "little"}
LONGEST = 16 * 2**20


@dataclass
class Frame:
    """A good frame: its place, the bytes in front of its body and behind it, and its values."""

    start: int
    size: int
    lead: int
    tail: int
    values: dict


@dataclass
class Record:
    """A record: the number of its frame, its keys, and its values by field."""

    number: int
    keys: dict
    values: dict


@dataclass
class Plain:
    """What a source is made of, as (offset, length)."""

    records: dict = field(default_factory=dict)
    frames: list = field(default_factory=list)
    ignored: list = field(default_factory=list)
    rejected: list = field(default_factory=list)
    between: list = field(default_factory=list)
    around: list = field(default_factory=list)
    head: int = 0


def parse_pattern(text):
    return text[5:].strip().encode() if text.startswith("text:") else bytes.fromhex(text)


def read_struct(layout, entries, content, start, before, scope):
    """Read fields that begin some bytes behind a start; None if they are cut."""
    place = Place(content, start + before, len(content), start)
    try:
        values = read_entries(layout, entries, place, scope, {})
    except LostError:
        return None
    return values, place.at - start


def split(layout, words, content, start, end, known):
    """Split a stretch of a source into frames: those that are good, rejected, and around inner frames."""
    part = content[:end]
    frames, rejected = (find_synced if "sync" in words else find_sized)(layout, words, part, start, known)
    around = []
    if "inside" in words:
        outer, frames = frames, []
        for one in outer:
            first, last = one.start + one.lead, one.start + one.size - one.tail
            inner, lost, more = split(layout, words["inside"], content, first, last, ChainMap(one.values, known))
            frames += [Frame(each.start, each.size, each.lead, each.tail, one.values | each.values) for each in inner]
            rejected += lost
            around += [(one.start, one.lead), (last, one.tail), *more]
    return frames, rejected, [each for each in around if each[1]]


def measure(layout, words, content, start, known):
    """Find what a frame claims: its size, the bytes in front of its body and behind it, and its values.

    None if its fields are cut; a size of None is impossible.
    """
    sync = words.get("sync", "")
    before = len(parse_pattern(sync[layout.order] if isinstance(sync, dict) else sync)) + words.get("fortran", 0)
    tail = words.get("fortran", 0)
    if words.get("checksum"):
        size = FRAME_CHECKSUMS[words["checksum"]["kind"]].size
        tail = size if words["checksum"].get("at", -1) < 0 else 0
        tail = -words["checksum"]["at"] if words["checksum"].get("at", 0) < 0 else tail
    if start + before > len(content):
        return None
    if words.get("ccsds"):
        if start + before + 6 > len(content):
            return None
        number, left, values = int.from_bytes(content[start + before : start + before + 6], "big"), 48, {}
        for name, bits in PACKET.items():
            left -= bits
            values[name] = (number >> left) % (1 << bits)
        return values["packet_length"] + 7 + before, before + 6, tail, values
    read = read_struct(layout, words.get("fields", []), content, start, before, known)
    if words.get("fortran"):
        marker = content[start : start + before]
        values, lead = read or ({}, len(content))
        return int.from_bytes(marker, layout.order) + 2 * before, lead, tail, values
    if read is None:
        return None
    values, lead = read
    return layout.sum(words["size"], ChainMap(values, known)), lead, tail, values


def least(layout, words, lead, tail):
    """The bytes of the shortest frame."""
    del layout
    check = words.get("checksum")
    if not check:
        return lead + tail
    size = FRAME_CHECKSUMS[check["kind"]].size
    at = check.get("at", -size)
    to = check.get("to", at)
    first = check["from"]
    reach = [lead + tail, abs(first), abs(to), at + size if at >= 0 else -at]
    return max([*reach, first - to] if first >= 0 > to else reach)


def is_good(layout, words, frame):
    """Whether the checksum of a frame is right, computed byte by byte."""
    check = words.get("checksum")
    if not check:
        return True
    sums = FRAME_CHECKSUMS[check["kind"]]
    at = check.get("at", -sums.size)
    to = check.get("to", at)
    first, to, at = (place if place >= 0 else len(frame) + place for place in (check["from"], to, at))
    order = check.get("byte_order") or SUMS_FIRST.get(check["kind"], layout.order)
    return sums.compute(frame[first:to]) == int.from_bytes(frame[at : at + sums.size], order)


def find_synced(layout, words, content, start, known):
    """Find frames by their sync: behind a good one, else directly behind the sync."""
    sync = words["sync"][layout.order] if isinstance(words["sync"], dict) else words["sync"]
    sync = parse_pattern(sync)
    frames, rejected, place, longest = [], [], start, words.get("longest", LONGEST)
    while (at := content.find(sync, place)) >= 0:
        place = at + len(sync)
        claimed = measure(layout, words, content, at, known)
        if claimed is None:
            rejected.append((at, len(content) - at))
            continue
        size, lead, tail, values = claimed
        if not least(layout, words, lead, tail) <= size <= longest:
            rejected.append((at, lead))
        elif at + size > len(content):
            rejected.append((at, len(content) - at))
        elif not is_good(layout, words, content[at : at + size]):
            rejected.append((at, size))
        else:
            frames.append(Frame(at, size, lead, tail, values))
            place = at + size
    return frames, rejected


def find_sized(layout, words, content, start, known):
    """Find frames that follow each other."""
    frames, rejected, place, longest = [], [], start, words.get("longest", LONGEST)
    while place < len(content):
        claimed = measure(layout, words, content, place, known)
        size, lead, tail, values = claimed or (len(content) + 1, 0, 0, {})
        wrong = claimed and not least(layout, words, lead, tail) <= size <= longest
        marker = words.get("fortran", 0)
        front, back = content[place : place + marker], content[place + size - marker : place + size]
        if wrong or place + size > len(content) or front != back[:marker]:
            rejected.append((place, len(content) - place))
            break
        if is_good(layout, words, content[place : place + size]):
            frames.append(Frame(place, size, lead, tail, values))
        else:
            rejected.append((place, size))
        place += size
    return frames, rejected


def holds(when, scope):
    """Whether values fulfil conditions."""
    for name, wanted in when.items():
        if name not in scope:
            return False
        value, good = scope[name], False
        for one in wanted if isinstance(wanted, list) else [wanted]:
            span = re.fullmatch(r"\s*(-?\d+|0x[0-9a-fA-F]+)\s*-\s*(-?\d+|0x[0-9a-fA-F]+)\s*", str(one))
            if isinstance(value, bytes | str):
                text = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
                good |= fnmatchcase(text, str(one))
            elif span:
                good |= int(span[1], 0) <= value <= int(span[2], 0)
            else:
                good |= value == one
        if not good:
            return False
    return True


def list_stored(layout, entries, prefix="", shape=()):
    """List what a type stores: name, type, shape, default, and the name of the value."""
    for entry in entries:
        own = (*shape, *layout.shape(entry))
        if "fields" in entry:
            yield from list_stored(layout, entry["fields"], f"{prefix}{entry['name']}_", own)
        elif "type" in entry:
            if "name" in entry:
                name = prefix + entry["name"]
                yield name, entry["type"], own, entry.get("default", 0), entry.get("from", name)
            for part in entry.get("bits", []):
                if part.get("name"):
                    name, kind = prefix + part["name"], {"bool": "bool", "signed": "int"}.get(part.get("type"), "uint")
                    size = next(size for size in (8, 16, 32, 64) if part["bits"] <= size)
                    yield name, kind if kind == "bool" else f"{kind}{size}", own, 0, name


def fit(value, kind, shape):
    """Make a value one of a field; Lost if the field cannot hold it."""
    if shape and not (kind == "char" and len(shape) == 1):
        values = value if isinstance(value, list) else [value] * shape[0]
        return [fit(each, kind, shape[1:]) for each in values]
    if kind == "char":
        text = value.encode() if isinstance(value, str) else value
        if not isinstance(text, bytes) or len(text) > (shape[0] if shape else 1):
            raise LostError("no text of this length")
        return text
    if isinstance(value, bytes | str):
        raise LostError("a text")
    if kind == "bool":
        if value not in (0, 1):
            raise LostError("not 0 or 1")
        return bool(value)
    if kind in FLOATS:
        return struct.unpack(FLOATS[kind], struct.pack(FLOATS[kind], value))[0]
    width = next(width for width in (8, 16, 32, 64) if int(re.search(r"\d+", kind)[0]) <= width)
    low = -(1 << width - 1) if kind.startswith("int") else 0
    if not (value == value and low <= value < low + (1 << width) and int(value) == value):
        raise LostError("does not fit")
    return int(value)


def assemble(layout, name, scope):
    """Make a record of a type of the values in scope: its keys and its fields."""
    words = layout.types[name]
    record = {}
    made = make_time(layout, words, scope, {each[0] for each in list_stored(layout, words["fields"])})
    if made is not None:
        record["time"] = made
    for field_name, kind, shape, default, source in list_stored(layout, words["fields"]):
        if source in scope:
            record[field_name] = fit(scope[source], kind, shape)
        else:
            record[field_name] = fit(b"" if kind == "char" else default, kind, shape)
    check_stored_time(words.get("clock") or layout.words["clock"], words, record)
    keys = {}
    for key in re.findall(r"\{(\w+)\}", layout.words.get("node", "/{type}")):
        if key != "type":
            value = scope.get(key, b"")
            keys[key] = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
            if keys[key] == "" or isinstance(keys[key], float):
                raise LostError("no key")
    return keys, record


@dataclass
class Reading:
    """A frame that is of a type, and what was read of it."""

    frame: Frame
    number: int
    name: str
    scope: ChainMap
    found: dict
    rows: dict
    lost: bool = False


def read_bodies(layout, frame, number, known, content):
    """Read the body of a frame by the first type, and form, that fits; None if none does."""
    heads = ChainMap(frame.values, {"frame_size": frame.size}, known)
    row_types = {entry["rows"] for words in layout.types.values() for entry in words["fields"] if "rows" in entry}
    for name, words in layout.types.items():
        if name in row_types:
            continue
        for form in words.get("forms", [words]):
            if not holds(words.get("when", {}) | form.get("when", {}), heads):
                continue
            entries, end, rows = form["fields"], frame.start + frame.size - frame.tail, {}
            place = Place(content, frame.start + frame.lead, end, frame.start)
            reading = Reading(frame, number, name, heads, {}, rows)
            try:
                reading.found = read_entries(layout, entries, place, heads, rows)
                if not any(map(layout.varies, entries)):
                    place.align(layout.widest(entries), natural=layout.natural)
                reading.lost = place.at != end
            except LostError:
                reading.lost = True
            return reading
    return None


def carry(layout, readings):
    """Give each reading the values that earlier ones tell, and say which it needs and has not."""
    words = layout.words.get("carry", {})
    told = {}
    for name, said in words.items():
        if said.get("which") == "first":
            values = [one.found[name] for one in readings if tells(one, name, said)]
            told |= {name: values[0]} if values else {}
    for one in readings:
        for name, said in words.items():
            if said.get("which") != "first" and tells(one, name, said):
                told[name] = one.found[name]
        one.scope = ChainMap(one.found, *one.scope.maps[:2], dict(told), one.scope.maps[2])
        one.lost |= any(name not in one.scope and needs(layout, one.name, name) for name in words)


def needs(layout, type_name, name):
    """Whether records of a type have a value that earlier ones tell: in a field, their time or a key."""
    words = layout.types[type_name]
    said = [str(words["time"]), layout.words.get("node", ""), *(str(one.get("from")) for one in words["fields"])]
    return any(re.search(rf"\b{name}\b", text) for text in said)


def tells(reading, name, said):
    return not reading.lost and reading.name in said.get("of", []) and name in reading.found


def decode_plainly(text, name, content):
    """Decode a source."""
    layout = Layout(text, find_order(yaml.safe_load(text), content))
    frames_words = layout.words["frames"]
    known, start = capture(layout.words["match"], name), 0
    head = frames_words.get("head")
    if head:
        values, start = read_struct(layout, head.get("fields", []), content, 0, 0, known)
        known |= values
        start = layout.sum(head.get("size", start), known)
    plain = Plain(head=start)
    frames, rejected, plain.around = split(layout, frames_words, content, start, len(content), known)
    places = sorted(
        [*((frame.start, 1, frame) for frame in frames), *((at, 0, size) for at, size in rejected)],
        key=lambda each: each[:2],
    )
    readings = []
    for number, (at, good, one) in enumerate(places):
        if not good:
            plain.rejected.append((at, one))
            continue
        reading = read_bodies(layout, one, number, known, content)
        if reading is not None:
            readings.append(reading)
            continue
        ignore = frames_words.get("ignore", [])
        heads = ChainMap(one.values, {"frame_size": one.size}, known)
        quiet = ignore == "others" or any(holds(when, heads) for when in ignore)
        (plain.ignored if quiet else plain.rejected).append((one.start, one.size))
    carry(layout, readings)
    for reading in readings:
        finish(layout, reading, plain)
    covered = [(one.start, one.size) for one in frames] + plain.rejected + plain.around + [(0, start)]
    plain.between = find_gaps(covered, [], len(content))
    return plain


def finish(layout, reading, plain):
    """Make the records of a frame."""
    here = (reading.frame.start, reading.frame.size)
    if reading.lost:
        plain.rejected.append(here)
        return
    try:
        keys, values = assemble(layout, reading.name, reading.scope)
    except LostError:
        plain.rejected.append(here)
        return
    plain.frames.append(here)
    plain.records.setdefault(reading.name, []).append(Record(reading.number, keys, values))
    for name, elements in reading.rows.items():
        for element in elements:
            try:
                keys, values = assemble(layout, name, ChainMap(element, *reading.scope.maps))
            except LostError:
                plain.rejected.append(here)
            else:
                plain.records.setdefault(name, []).append(Record(0, keys, values))


def find_order(words, content):
    """The byte order that magic bytes or a sync say."""
    for magic in (match.get("magic") for match in listed(words["match"])):
        if isinstance(magic, dict) and "big" in magic:
            for order in ("big", "little"):
                if content.startswith(parse_pattern(magic[order])):
                    return order
    sync = words["frames"].get("sync")
    if isinstance(sync, dict):
        places = {content.find(parse_pattern(sync[order])): order for order in ("big", "little")}
        return min(((at, order) for at, order in places.items() if at >= 0), default=(0, None))[1]
    return None


def capture(match, name):
    """What the name of a file says."""
    for one in listed(match):
        for pattern in listed(one.get("name", [])):
            text, numbers = "", set()
            for piece in re.findall(r"\*|\{\w+(?::\d+)?\}|[^*{]+", pattern):
                found = re.fullmatch(r"\{(\w+)(?::(\d+))?\}", piece)
                if found and found[2]:
                    numbers.add(found[1])
                digits = f"[0-9]{{{found[2]}}}" if found and found[2] else ".+?"
                text += ".*?" if piece == "*" else f"(?P<{found[1]}>{digits})" if found else re.escape(piece)
            fits = re.fullmatch(text, name)
            if fits:
                return {key: int(each) if key in numbers else each for key, each in fits.groupdict().items()}
    return {}


def listed(value):
    return value if isinstance(value, list) else [value]
