"""The words for lines in a layout: what they compile to, and what is wrong with others."""

from __future__ import annotations

import pytest

from dayfile.errors import LayoutError
from dayfile.layouts.document import Document
from dayfile.layouts.line_words import CarryLineWords, LinesWords, compile_carried_line, compile_lines
from dayfile.layouts.validation import validate_words
from dayfile.lines.line_checksums import LineChecksum
from dayfile.lines.lines import LineForm


def check_words(document, model):
    """The words of a document, or an error with its mistakes."""
    words = validate_words(document, model)
    document.raise_mistakes()
    return words


def compile_text(text):
    document = Document.parse(text, "muon.yaml")
    return compile_lines(check_words(document, LinesWords), document, ())


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("columns: [date, time, adc]", LineForm(("date", "time", "adc"))),
        ("{columns: header, separator: ';'}", LineForm(None, separator=";")),
        ("columns: {a: 8, b: 2, ...}", LineForm(("a", "b", "..."), widths=(8, 2))),
        ("{columns: [a, ...], skip: 2}", LineForm(("a", "..."), skipped=(0, 1))),
        ("{columns: header, skip: [1, 3]}", LineForm(None, skipped=(0, 2))),
        (
            '{columns: [a], checksum: {kind: xor, from: "$", to: "*"}}',
            LineForm(("a",), checksum=LineChecksum("xor", "$", "*")),
        ),
        ('{columns: [a], separator: "\\t", comment: ["#", "%"]}', LineForm(("a",), "columns", "\t", ("#", "%"))),
        ("{form: json, longest: 200}", LineForm((), "json", longest=200)),
        ("{form: pairs, comment: '', encoding: latin-1}", LineForm((), "pairs", "", (), "latin-1")),
    ],
)
def test_words_say_how_lines_are_records(text, form):
    assert compile_text(text) == form


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("columns: [date,\n  time, date]", "muon.yaml:2:9: columns[2]: 'date' is here a second time"),
        ("columns: []", "muon.yaml:1:10: columns: 'columns' must name the parts of a line"),
        ("form: columns", "muon.yaml:1:1: 'columns' must name the parts of a line"),
        (
            "{columns: [a], separator: .}",
            (
                "muon.yaml:1:27: separator: '.' must be 'blanks', or one character that is in no number and no quote, "
                "such as ','"
            ),
        ),
        (
            "{columns: [a], separator: ''}",
            "muon.yaml:1:27: separator: '' must be 'blanks', or one character such as ','",
        ),
        (
            "{form: json, columns: [a]}",
            "muon.yaml:1:23: columns: lines of form json have their names in each line; leave it out",
        ),
        (
            "{form: json, separator: ','}",
            "muon.yaml:1:25: separator: lines of form json have no separator; leave it out",
        ),
        ("{form: pairs, separator: '='}", "muon.yaml:1:26: separator: '=' is between the name and the value of a pair"),
        (
            "{columns: [a], encoding: utf8000}",
            "muon.yaml:1:26: encoding: 'utf8000' is not an encoding, such as utf-8 or latin-1",
        ),
        (
            "{columns: [a], encoding: rot13}",
            "muon.yaml:1:26: encoding: 'rot13' is not an encoding, such as utf-8 or latin-1",
        ),
        (
            "{columns: [a], encoding: utf-16}",
            (
                "muon.yaml:1:26: encoding: 'utf-16' must have the characters of ASCII as ASCII has them, "
                "as utf-8 and latin-1 do"
            ),
        ),
        ("{columns: [a], encoding: ascii, comment: §}", "muon.yaml:1:42: comment: '§' is not text in ascii"),
        ("{colums: [a]}", "muon.yaml:1:2: colums: unknown key 'colums'; did you mean 'columns'?"),
        ("{columns: [a], form: xml}", "muon.yaml:1:22: form: 'xml' must be 'columns', 'json' or 'pairs'"),
        ("{columns: [a], longest: 0}", "muon.yaml:1:25: longest: 0: input should be greater than or equal to 1"),
        ("columns: {a: 8, b: 0}", "muon.yaml:1:20: columns.b: give the bytes of this part, as {b: 8}"),
        ("columns: {a: 8, ...: 2}", "muon.yaml:1:22: columns....: '...' has no width; leave it out"),
        ("columns: [..., a]", "muon.yaml:1:11: columns[0]: '...' stands for further parts, and is the last"),
        ("columns: [...]", "muon.yaml:1:10: columns: 'columns' must name the parts of a line"),
        ("columns: head", "muon.yaml:1:10: columns: 'head' must be 'header'"),
        (
            "{columns: {a: 8}, separator: ','}",
            "muon.yaml:1:30: separator: parts of fixed width have no separator; leave it out",
        ),
        ("{form: json, decimal: ','}", "muon.yaml:1:23: decimal: numbers in JSON have a point; leave it out"),
        ("{columns: [a], skip: -1}", "muon.yaml:1:22: skip: -1 must be a number of lines, 0 to 10000"),
        ("{columns: [a], skip: [0]}", "muon.yaml:1:23: skip[0]: 0 is not the number of a line, 1 to 10000"),
        (
            "{columns: [a], checksum: {kind: xor, to: '**'}}",
            "muon.yaml:1:42: checksum.to: '**' must be one character that is no digit and no blank, such as '*'",
        ),
        (
            "{columns: [a], checksum: {kind: xor, from: a, to: '*'}}",
            "muon.yaml:1:44: checksum.from: 'a' must be one character that is no digit and no blank, such as '*'",
        ),
        ("columns:", "muon.yaml:1:9: columns: the value is missing; write one, or leave the word out"),
    ],
)
def test_a_mistake_is_reported_with_its_place(text, message):
    with pytest.raises(LayoutError) as raised:
        compile_text(text)
    assert str(raised.value) == message


def compile_carry(text):
    document = Document.parse(text, "muon.yaml")
    return compile_carried_line("device", check_words(document, CarryLineWords), "utf-8", document, ())


def test_a_carried_line_has_its_value():
    line = compile_carry("line: '# Device ID: {device} since {year:4}'")
    found = line.form.fullmatch(b"# Device  ID: north 2 since 2018 ")
    assert found
    assert found.groupdict() == {"device": b"north 2", "year": b"2018"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("line: Device", "muon.yaml:1:7: line: 'Device' has no value, such as {name}"),
        ("line: Device {name}", "muon.yaml:1:7: line: 'Device {name}' has no {device}"),
        (
            "line: Device {device",
            (
                "muon.yaml:1:7: line: 'Device {device' is not a line with values: a value in it is written {name}, "
                "or {name:4}"
            ),
        ),
        (
            "line: '{device} {device}'",
            "muon.yaml:1:7: line: '{device} {device}' is not a line with values: {device} is in it twice",
        ),
        ('line: "a\\n{device}"', "muon.yaml:1:7: line: 'a\\n{device}' must be within one line"),
    ],
)
def test_a_mistake_in_a_carried_line_is_reported_with_its_place(text, message):
    with pytest.raises(LayoutError) as raised:
        compile_carry(text)
    assert str(raised.value) == message
