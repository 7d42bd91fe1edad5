"""The words ``match``, ``frames`` and ``carry``: what they make, and errors that say place and remedy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydantic import Field

from dayfile.errors import LayoutError
from dayfile.framing.matching import recognise
from dayfile.layouts.document import Document
from dayfile.layouts.frame_words import CarryWords, FramesWords, MatchWords
from dayfile.layouts.frames import check_carry, compile_frames, compile_match
from dayfile.layouts.validation import validate_words
from dayfile.layouts.words import Words as Section
from dayfile.model.batch import Source
from plain_frames import Words, find


def check_words(document, model):
    """The words of a document, or an error with its mistakes."""
    words = validate_words(document, model)
    document.raise_mistakes()
    return words


class Sections(Section):
    match: MatchWords | tuple[MatchWords, ...] | None = None
    frames: FramesWords | None = None
    carry: dict[str, CarryWords] = Field(default_factory=dict)


SIZES = {"uint8": "u1", "uint16": "u2", "uint32": "u4"}


def make_reading(fields, order, path, begin):
    return Words(
        np.dtype([(field.name, order[0].replace("b", ">").replace("l", "<") + SIZES[field.type]) for field in fields])
    )


def read(text):
    document = Document.parse(text, "layout.yaml")
    return document, check_words(document, Sections)


def compile_(text, **known):
    document, words = read(text)
    return compile_frames(document, ("frames",), words.frames, make_reading, **known)


def recognise_(text, name, content):
    document, words = read(text)
    return recognise(Source(Path(name), name, content), compile_match(document, ("match",), words.match))


RECEIVER = """
frames:
  sync: B5 62
  fields: [{name: class, type: uint8}, {name: id, type: uint8}, {name: length, type: uint16}]
  size: length + 8
  checksum: {kind: fletcher8, from: 2, to: -2}
"""


def test_words_find_the_frames_of_a_sample(samples):
    content = (samples / "formats/ubx/gnss-damaged.ubx").read_bytes()
    found = find(compile_(RECEIVER, order="little").framers["little"], content)
    assert [each[:2] for each in found.rejected] == [(3164, 100), (6358, 100), (8096, 12324), (36968, 13)]


def test_the_sync_says_the_byte_order():
    text = "frames: {sync: {big: 'text: MUTL', little: 'text: LTUM'}, fields: [{name: n, type: uint16}], size: n}"
    framing = compile_(text)
    content = b"..LTUM\x08\x00ab"
    order = framing.find_order(np.frombuffer(content, np.uint8))
    assert order == "little"
    assert find(framing.framers[order], content).frames == [(2, 8)]


def test_frames_of_any_kind_are_made_of_words():
    assert find(compile_("frames: {ccsds: true}").framers["big"], bytes(7)).frames == [(0, 7)]
    assert find(compile_("frames: {fortran: 4}").framers["little"], b"\1\0\0\0a\1\0\0\0").frames == [(0, 9)]
    inside = compile_("frames: {fortran: 4, inside: {size: 2}}").framers["big"]
    assert find(inside, b"\0\0\0\4abcd\0\0\0\4").frames == [(4, 2), (6, 2)]
    sized = compile_(
        "frames: {head: {fields: [{name: width, type: uint16}]}, size: 2 * width + station}", known=["station"]
    )
    assert sized.heads["big"].size.constant == 2
    assert find(sized.framers["big"], bytes(10), known={"width": 2, "station": 1}).frames == [(0, 5), (5, 5)]


@pytest.mark.parametrize(
    ("text", "name", "content", "captures", "order"),
    [
        ("match: {name: 'house_{day}.hk'}", "house_20240501.hk.gz", b"", {"day": "20240501"}, None),
        ("match: {name: ['*.a', '{year:4}-*.b']}", "2024-05.b", b"", {"year": 2024}, None),
        ("match: {magic: 55 AA}", "x", b"\x55\xaa", {}, None),
        ("match: {magic: 'text: IMGF', size: {least: 4, multiple: 2}}", "x", b"IMGFxx", {}, None),
        ("match: {magic: {bytes: B5 62, within: 65536}}", "x", b"$GP\xb5\x62", {}, None),
        ("match: {magic: {text: CD, at: 2}}", "x", b"abCD", {}, None),
        ("match: {magic: {big: 4D 55, little: 55 4D}}", "x", b"UM", {}, "little"),
        ("match: {contains: CosmicWatch}", "x", b"### CosmicWatch", {}, None),
        ("match: [{name: '*.a'}, {name: '*.b'}]", "x.b", b"", {}, None),
    ],
)
def test_sources_are_recognised(text, name, content, captures, order):
    match = recognise_(text, name, content)
    assert match is not None
    assert (match.captures, match.order) == (captures, order)


@pytest.mark.parametrize(
    ("text", "name", "content"),
    [
        ("match: {name: 'house_{day}.hk'}", "house_.hk", b""),
        ("match: {name: '{year:4}.b'}", "124.b", b""),
        ("match: {magic: 55 AA}", "x", b"\x00\x55\xaa"),
        ("match: {magic: {bytes: B5 62, within: 4}}", "x", b"$GP\xb5\x62"),
        ("match: {name: '*.a', magic: 55 AA}", "x.a", b"\x55"),
        ("match: {size: {multiple: 48, rest: 32}}", "x", bytes(48)),
        ("match: {size: {most: 3}}", "x", bytes(4)),
        ("match: {contains: CosmicWatch}", "x", b" " * 400 + b"CosmicWatch"),
    ],
)
def test_other_sources_are_not(text, name, content):
    assert recognise_(text, name, content) is None


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        ("frames: {sync: 55 AA}", "1:9", "does not say where a frame ends"),
        ("frames: {size: 4, ccsds: true}", "1:26", "'size' says already where a frame ends"),
        ("frames: {size: length + 2}", "1:16", "'length' is not known where a frame begins"),
        ("frames: {size: length / 2}", "1:16", "is not a sum"),
        ("frames:\n  sync: 55 AA\n  size: 3\n  checksum: {kind: crc16-arc}", "3:9", "they need 4"),
        ("frames: {size: 30, longest: 20}", "1:16", "is more than 'longest'"),
        ("frames: {size: 30, sync: 5562}", "1:26", "write bytes in quotes"),
        ("frames: {size: 30, sync: 5G}", "1:26", "neither bytes in hex"),
        ("frames: {size: 30, sync: {big: 55, little: AA}}", "1:32", "write bytes in quotes"),
        ("frames: {size: 30, sync: {big: '55', little: '55 AA'}}", "1:26", "both begin alike"),
        ("frames: {size: 30, checksum: {kind: crc17}}", "1:37", "crc16-arc"),
        ("frames: {size: 30, checksum: {kind: crc32, at: -2}}", "1:48", "at most -4"),
        ("frames: {size: 30, checksum: {kind: crc32, from: 2, to: 2}}", "1:57", "nothing is between"),
        ("frames: {size: 30, checksum: {kind: xor, from: 0, to: 5, at: 2}}", "1:62", "cannot cover itself"),
        ("frames: {fortran: 4, sync: AA}", "1:28", "have markers instead"),
        ("frames: {fortran: 5}", "1:19", "must be 4 or 8"),
        ("frames: {ccsds: true, fields: [{name: a, type: uint8}]}", "1:31", "have their fields already"),
        ("frames: {size: 4, inside: {size: 2, head: {size: 1}}}", "1:43", "have no 'head'"),
        ("frames: {size: 4, head: {}}", "1:25", "give 'size'"),
        (
            "frames: {size: 4, head: {size: 1, fields: [{name: a, type: uint16}]}}",
            "1:32",
            "less than its fields, 2 bytes",
        ),
        ("frames: {size: 4, sinc: AA}", "1:19", "did you mean 'sync'"),
    ],
)
def test_contradictions_of_frames_are_reported_with_their_place(text, place, said):
    with pytest.raises(LayoutError) as caught:
        compile_(text)
    assert str(caught.value).startswith(f"layout.yaml:{place}: ")
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        ("match: {}", "1:8", "matches every source"),
        ("match: {name: 'a{b'}", "1:15", "a brace without a name"),
        ("match: {name: '{a}{a}'}", "1:15", "captures 'a' twice"),
        ("match: {name: 'a/b'}", "1:15", "no directories"),
        ("match: {size: {multiple: 4, rest: 4}}", "1:35", "less than 'multiple'"),
        ("match: {size: {least: 4, most: 3}}", "1:32", "less than 'least'"),
        ("match: {magic: {at: 3}}", "1:16", "either 'bytes'"),
        ("match: {magic: {bytes: 55 AA, within: 1}}", "1:39", "at least 2"),
        ("match: [{name: a}, {magic: ''}]", "1:28", "is empty"),
    ],
)
def test_contradictions_of_match_are_reported_with_their_place(text, place, said):
    with pytest.raises(LayoutError) as caught:
        recognise_(text, "x", b"")
    assert str(caught.value).startswith(f"layout.yaml:{place}: ")
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("carry: {week: {which: first}}", "layout.yaml:1:15: carry.week: give either 'of'"),
        (
            "carry: {week: {of: nav_sool}}",
            "layout.yaml:1:20: carry.week.of: 'nav_sool' is not a type of this layout; did",
        ),
        ("carry: {device: {line: 'Device: *'}}", "layout.yaml:1:24: carry.device.line: does not capture the value"),
    ],
)
def test_contradictions_of_carry_are_reported_with_their_place(text, said):
    document, words = read(text)
    with pytest.raises(LayoutError) as caught:
        check_carry(document, ("carry",), words.carry, {"nav_sol": ["week"]})
    assert said in str(caught.value)
