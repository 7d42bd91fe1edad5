"""Lines of text: found in blocks of any size, each with its place and number, and nothing is lost."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dayfile.errors import SourceError
from dayfile.lines.carried_lines import CarriedLine
from dayfile.lines.line_reader import LineReader
from dayfile.lines.lines import LineForm, LineSplitter
from dayfile.lines.numbers import TextColumn, parse_one_by_one

DEVICE = CarriedLine.parse("# Device: {device}")


def read_in_blocks(content, sizes, read):
    """Give a source to ``read`` in blocks of these sizes, and what was not used again; yield offset and answer."""
    begin, end, sizes = 0, 0, iter(sizes)
    while True:
        end = min(len(content), end + next(sizes, len(content)))
        last = end == len(content)
        answer = read(np.frombuffer(content[begin:end], np.uint8), last=last)
        yield begin, answer
        begin += getattr(answer, "lines", answer).used
        if last:
            assert begin == len(content)
            return


def find_lines(content, sizes, form):
    """Lines of a source that is read in blocks: offset, length, number, device; what is rejected; all bytes."""
    splitter = LineSplitter(form, [DEVICE])
    good, rejected, total = [], [], 0
    skipped = 0
    for begin, lines in read_in_blocks(content, sizes, splitter.split):
        frames = lines.frames
        places = (begin + frames.starts).tolist()
        good += list(zip(places, frames.lengths.tolist(), lines.numbers.tolist(), lines.carried["device"], strict=True))
        rejected += [(begin + each.start, each.length, each.reason) for each in lines.rejected]
        skipped += sum(each.length for each in lines.between)
        total += lines.quiet + sum(frames.lengths.tolist()) + sum(each.length for each in lines.rejected)
        assert all(each.start >= 0 and each.start + each.length <= lines.used for each in lines.between)
    return good, rejected, skipped, total + skipped


def find_lines_simply(content, form):
    """The same, by a loop over the lines of the whole source."""
    good, rejected, device, number, begin = [], [], None, 0, 0
    if content.startswith(b"\xef\xbb\xbf"):
        begin = 3
    while begin < len(content):
        end = content.find(b"\n", begin)
        line = content[begin : len(content) if end < 0 else end]
        text = line.removesuffix(b"\r")
        if len(text) > form.longest:
            rejected.append((begin, form.longest, f"line {number + 1}: longer than {form.longest} bytes"))
        elif text.startswith(b"# Device: ") and text[9:].strip(b" \t"):
            device = text[9:].strip(b" \t")
        elif text.strip(b" \t") and not text.startswith(b"#"):
            good.append((begin, len(text), number, device))
        begin += len(line) + 1
        number += 1
    return good, rejected


PIECES = (
    b"# Device: n\n",
    b"# Device: s\r\n",
    b"a",
    b"\n",
    b"\r\n",
    b"\r",
    b" ",
    b"\t",
    b"#",
    b"# Device: ",
    b"north 2",
    b"\xef\xbb\xbf",
    b"\0",
    b"\xff",
    b"bcdefgh",
)
contents = st.lists(st.sampled_from(PIECES), max_size=60).map(b"".join)
divisions = st.lists(st.integers(1, 9), max_size=60)


@given(contents, divisions)
def test_lines_are_the_same_in_blocks_of_any_size(content, sizes):
    form = LineForm(longest=14)
    good, rejected, _, total = find_lines(content, sizes, form)
    assert (good, rejected) == find_lines_simply(content, form)
    assert total == len(content)


def test_a_line_without_an_end_is_skipped_in_bounded_memory():
    splitter = LineSplitter(LineForm(longest=100))
    used, stretches, longest = 0, 0, 0
    begin = b""
    for _ in range(50):
        block = begin + b"x" * 64
        longest = max(longest, len(block))
        lines = splitter.split(np.frombuffer(block, np.uint8), last=False)
        begin = block[lines.used :]
        used += lines.used
        stretches += len(lines.rejected)
    assert longest < 200
    assert stretches == 1
    lines = splitter.split(np.frombuffer(begin + b"\nb\n", np.uint8), last=True)
    assert (lines.numbers.tolist(), lines.frames.lengths.tolist()) == ([1], [1])


def read_rows(content, sizes, form, columns, parse=None):
    """Rows of a source as bytes, with the numbers of their lines and what is wrong with others."""
    reader = LineReader(form, [DEVICE])
    rows, wrong = [], {}
    for begin, block in read_in_blocks(content, sizes, reader.read):
        values, problems = block.parts.read(columns, parse)
        numbers = block.lines.numbers.tolist()
        wrong |= {
            (numbers[row], begin + int(block.lines.frames.starts[row])): why for row, why in problems.reasons.items()
        }
        assert sorted(problems.reasons) == np.flatnonzero(problems.rows).tolist()
        rows += [(number, *(column[row].tobytes() for column in values.values())) for row, number in enumerate(numbers)]
    return rows, wrong


TYPES = ("int8", "uint8", "int32", "int64", "uint64", "float32", "float64", "bool")
ODD_PARTS = [
    b"1",
    b"-0",
    b"+5",
    b"007",
    b"1.5",
    b"nan",
    b"-NaN",
    b"inf",
    b"1e999",
    b"1e-999",
    b"0x1F",
    b" 7 ",
    b"255",
    b"256",
    b"-129",
    b"18446744073709551615",
    b"9223372036854775808",
    b"9" * 40,
    b"1_0",
    b"5.",
    b".5",
    b".",
    b"-",
    b"1E+5",
    b"3.4028236e38",
    b"1.00000017881393432617187499",
    b"true",
    b"FALSE",
    b"",
    b"a",
    b'"',
    b'""',
    b'"1"',
    b'"a,b"',
    b'"a""b"',
    b'a"b',
    b"\xff",
    b"\0",
    b"\r",
    b"\t",
    b"nan(1)",
    b"\xef\xbb\xbf1",
]
PARTS = st.sampled_from(ODD_PARTS)
columns_of_text = st.lists(
    st.one_of(
        st.sampled_from(TYPES).map(lambda kind: ("", kind, ())),
        st.integers(1, 5).map(lambda width: ("", "char", (width,))),
    ),
    min_size=1,
    max_size=3,
).map(lambda kinds: [TextColumn(f"c{place}", kind, shape) for place, (_, kind, shape) in enumerate(kinds)])
lines_of_parts = st.lists(
    st.tuples(st.lists(PARTS, min_size=0, max_size=4), st.sampled_from([b"\n", b"\r\n", b"\n\n", b"\n#\n"])), max_size=8
)


@given(lines_of_parts, st.sampled_from(["", ",", "\t", " ", ";"]), columns_of_text, divisions, st.booleans())
def test_the_quick_way_reads_what_the_plain_way_reads(lines, separator, columns, sizes, regular):
    if regular:
        lines = [((parts * len(columns))[: len(columns)] or [b"1"] * len(columns), end) for parts, end in lines]
    mark = separator.encode() or b" "
    content = b"".join(mark.join(parts) + end for parts, end in lines)
    form = LineForm(tuple(column.name for column in columns), separator=separator)
    plain = read_rows(content, (), form, columns, parse_one_by_one)
    assert read_rows(content, (), form, columns) == plain
    assert read_rows(content, sizes, form, columns) == plain


@given(st.binary(max_size=80), st.sampled_from(["", ","]), columns_of_text, divisions)
def test_any_bytes_are_read_the_same_in_both_ways(content, separator, columns, sizes):
    form = LineForm(tuple(column.name for column in columns), separator=separator)
    plain = read_rows(content, (), form, columns, parse_one_by_one)
    assert read_rows(content, sizes, form, columns) == plain


values_of_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
JSON_COLUMNS = [
    TextColumn("a", "int16"),
    TextColumn("a.b", "float64"),
    TextColumn("b", "float32", (2,), missing=(-1,)),
    TextColumn("c", "char", (2, 4)),
    TextColumn("c.a", "bool", default=False),
]


@given(st.lists(st.dictionaries(st.sampled_from("abc"), values_of_json) | values_of_json, max_size=6), divisions)
def test_any_json_is_read_the_same_in_both_ways_and_blocks(values, sizes):
    content = "".join(json.dumps(value) + "\n" for value in values).encode()
    form = LineForm(form="json")
    for column in JSON_COLUMNS:
        plain = read_rows(content, (), form, [column], parse_one_by_one)
        assert read_rows(content, sizes, form, [column]) == plain
    assert len(read_rows(content, sizes, form, JSON_COLUMNS)[0]) == len(values)


@given(
    st.lists(
        st.sampled_from([b"{", b"}", b'"', b"a", b":", b"1", b"[", b"]", b",", b"\\u", b"\n", b"\xff", b"=", b" "])
    )
)
@pytest.mark.parametrize("form", ["json", "pairs"])
def test_broken_lines_are_wrong_and_never_lost(form, pieces):
    content = b"".join(pieces)
    rows, wrong = read_rows(content, (), LineForm(form=form), [TextColumn("a", "uint8")])
    assert len(rows) == len([line for line in content.split(b"\n") if line.strip(b" ")])
    assert all(wrong.values())


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"n":1', "not JSON, at character 6: Expecting ',' delimiter"),
        (b"[1]", "a list, not an object"),
        (b"{}", "n: no value"),
        (b'{"n":null}', "n: null is not a whole number"),
        (b'{"n":"1"}', "n: '1' is not a whole number"),
        (b'{"n":true}', "n: true is not a whole number"),
        (b'{"n":1.0}', "n: '1.0' is not a whole number"),
        (b'{"n":256}', "n: '256' is not in 0 to 255"),
        (b'{"n":1,"pair":[1]}', "pair: a list of 1, where one of 2 is due"),
        (b'{"n":1,"pair":2}', "pair: 2, where a list of 2 is due"),
        (b'{"n":1,"pair":[1,"x"]}', "pair: 'x' is not a number"),
        (b'{"n":1,"word":[]}', "word: a list, where text is due"),
        (b'{"n":1,"word":"\\ud800"}', "word: '\\\\ud800' is not text in utf-8"),
        (b'{"n":1,"word":"long words"}', "word: 10 bytes, and there is room for 4"),
        (b'{"n":1,"word":"a\\u0000"}', "word: ends with a zero byte, which would be lost"),
        (b'{"n":"\xff"}', "not text in utf-8: byte 6 of the line"),
        (b"[" * 100_000, "objects and lists are nested too deep"),
    ],
)
def test_what_is_wrong_with_json_is_said(line, reason):
    columns = [TextColumn("n", "uint8"), TextColumn("pair", "float64", (2,)), TextColumn("word", "char", (4,))]
    _, wrong = read_rows(line, (), LineForm(form="json"), columns)
    assert list(wrong.values()) == [reason]


def test_numbers_of_json_are_texts_exactly_as_they_are_written():
    content = b'{"t":1714607992.2610,"u":1e5}\n{"t":-0}\n{"t":"x"}\n'
    block = LineReader(LineForm(form="json")).read(np.frombuffer(content, np.uint8), last=True)
    assert list(block.parts.texts("t")) == [b"1714607992.2610", b"-0", b"x"]
    assert list(block.parts.texts("u")) == [b"1e5", None, None]


def test_the_first_line_has_the_names_and_is_left_out_where_it_comes_again():
    content = b"# a logger\nevent,adc\n1,2.5\nevent,adc\n2,3\n"
    rows, wrong = read_rows(content, [15, 9], LineForm(None, separator=","), [TextColumn("adc", "float64")])
    assert ([number for number, _ in rows], wrong) == ([2, 4], {})
    with pytest.raises(SourceError, match="line 1 has the name 'a' of a column twice"):
        read_rows(b"a a\n", (), LineForm(None), [])


def test_lines_are_read_without_pyarrow_as_they_are_with_it():
    content = b"1 2.5 on\n2 nan off\n3 x on\n" * 3
    code = (
        "import numpy as np\n"
        "from dayfile.lines.line_reader import LineReader\n"
        "from dayfile.lines.lines import LineForm\n"
        "from dayfile.lines.numbers import TextColumn\n"
        "form = LineForm(('a', 'b', 'c'))\n"
        "block = LineReader(form).read(np.frombuffer(sys.stdin.buffer.read(), np.uint8), last=True)\n"
        "columns = [TextColumn('a', 'uint8'), TextColumn('b', 'float32'), TextColumn('c', 'char', (3,))]\n"
        "values, wrong = block.parts.read(columns)\n"
        "print({name: column.tolist() for name, column in values.items()}, wrong.reasons)\n"
        "print(block.parts.texts('c').choose(lambda text: text == 'on').tolist())\n"
    )
    with_it, without = (
        subprocess.run([sys.executable, "-c", way + code], input=content, capture_output=True, check=True).stdout
        for way in ("import sys\n", "import sys; sys.modules['pyarrow'] = None\n")
    )
    assert with_it == without
    assert b"b: 'x' is not a number" in without


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("separator", ["", ","])
def test_each_odd_part_alone_and_beside_a_good_one_is_read_the_same_in_both_ways(kind, separator):
    form, columns = LineForm(("c",), separator=separator), [TextColumn("c", kind)]
    for part in ODD_PARTS:
        for content in (part + b"\n", b"1\n" + part + b"\n0\n", b'1\n""\n' + part + b"\n"):
            plain = read_rows(content, (), form, columns, parse_one_by_one)
            assert read_rows(content, (), form, columns) == plain, content


@pytest.mark.parametrize("line", [b"x" * 14, b"x" * 13, b"x" * 15, b"x" * 14 + b"\r", b"x" * 15 + b"\r"])
@pytest.mark.parametrize("cut", range(12, 18))
def test_a_line_of_the_longest_length_is_whole_wherever_a_block_ends(line, cut):
    form = LineForm(longest=14)
    content = line + b"\nb\n"
    good, rejected, _, total = find_lines(content, [cut], form)
    assert (good, rejected, total) == (*find_lines_simply(content, form), len(content))


def test_a_carried_value_holds_for_the_lines_of_later_blocks():
    good, *_ = find_lines(b"a\n# Device: n\nb\nc\n# Device: s\nd\n", [2] * 20, LineForm())
    assert [device for *_, device in good] == [None, b"n", b"n", b"s"]
