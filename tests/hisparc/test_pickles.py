"""Pickles of strangers: every upload that a station can send is read, nothing else is, and nothing of it is run."""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import json
import os
import pickle
import pickletools
import posix
import re
import resource
import struct
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from dayfile.errors import SourceError
from dayfile_hisparc import pickles
from dayfile_hisparc.pickles import Upload, read_pickle, read_upload, write_upload
from dayfile_hisparc.structure import LARGEST_STRUCTURE, LONG_STRING, check_structure, looks_like_pickle
from running import run_python

PROTOCOLS = range(6)
MOMENT = dt.datetime(2017, 2, 26, 7, 26, 4)
TRACE = "eJxtkFkOAyEMQy/kD7KH+1+sBmZppUoZCI+MQ6wT+kT/5vfRxopD3rzeygMvfojBFTkhllA3WDVC" * 10


def event(kind, moment, values, nanoseconds=0):
    return {
        "header": {"eventtype_uploadcode": kind, "datetime": moment, "nanoseconds": nanoseconds, "date": "2017-02-26"},
        "datalist": [{"data_uploadcode": code, "data": value} for code, value in values.items()],
    }


EVENTS = [
    event("CIC", MOMENT, {"RED": True, "EVENTRATE": 0.55, "IN1": 4294966297, "BL1": -1, "TR1": TRACE}, 130245552),
    event("SIN", MOMENT.replace(second=59, microsecond=999999), {"MAS_CH1_LOW": 345, "SLV_CH2_HIGH": 65535}),
    event("WTR", dt.datetime(2047, 12, 31), {"WTR_TEMP_INSIDE": 24.6, "WTR_UV": -999}),
    event("ERR", dt.datetime(1900, 1, 1), {"ERROR_MESSAGE": "café \N{EURO SIGN}\n\\x8f", "NONE": None}),
    event("CMP", MOMENT.replace(tzinfo=dt.timezone(dt.timedelta(hours=1))), {"COUNT": 2**64 - 1, "MIN": -(2**63)}),
    event("LNS", MOMENT.replace(fold=1), {}),
]
QUEUE_FILE = {"station_id": 510, "cluster": "Science Park", "event_list": EVENTS}

# As cPickle of Python 2.7 writes them.
PYTHON_2_TEXT = b"""(lp1
(dp2
S'datalist'
p3
(lp4
(dp5
S'data_uploadcode'
p6
S'RED'
p7
sS'data'
p8
I01
sa(dp9
g6
S'EVENTRATE'
p10
sg8
F0.55000001192092896
sa(dp11
g6
S'IN1'
p12
sg8
L4294966297L
sa(dp13
g6
S'MESSAGE'
p14
sg8
S'caf\\xc3\\xa9 "it\\'s"\\n'
p15
sa(dp16
g6
VUNICODE
p17
sg8
Vcaf\xe9 \\u20ac
p18
sasS'header'
p19
(dp20
S'datetime'
p21
cdatetime
datetime
p22
(S"\\x07\\xe1\\x02\\x1a\\x07\\x1a'\\x00\\x00\\x01"
p23
tp24
Rp25
sS'nanoseconds'
p26
I130245552
sS'caf\\xc3\\xa9'
p27
I-999
ssa."""
PYTHON_2_EVENT = event(
    "",
    None,
    {"RED": True, "EVENTRATE": 0.550000011920929, "IN1": 4294966297, "MESSAGE": 'café "it\'s"\n', "UNICODE": "café €"},
)
PYTHON_2_EVENT["header"] = {
    "datetime": MOMENT.replace(second=39, microsecond=1),
    "nanoseconds": 130245552,
    "café": -999,
}
PYTHON_2_DATETIME = b"cdatetime\ndatetime\nq\x20U\n\x07\xe1\x02\x1a\x07\x1a\x04\x00\x00\x00q\x21\x85Rq\x22"


STATE = b"C\x0a\x07\xe1\x02\x1a\x07\x1a\x04\x00\x00\x00q\x01"


def read(content):
    return read_pickle(content, where="upload_17")


def refused(content, words=""):
    """The error with which a pickle is refused."""
    with pytest.raises(SourceError) as caught:
        read(content)
    message = str(caught.value)
    assert message.startswith("upload_17")
    assert words in message
    return message


# What stations send


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_upload_of_any_protocol_is_read(protocol):
    assert read_upload(pickle.dumps(EVENTS, protocol), where="") == Upload(None, None, EVENTS)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_queue_file_of_any_protocol_is_read(protocol):
    content = pickle.dumps(QUEUE_FILE, protocol)
    assert read_upload(content, where="") == Upload(510, "Science Park", EVENTS)
    assert read_upload(pickletools.optimize(content), where="").events == EVENTS


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("count", [0, 1, 2, 3, 4])
def test_a_tuple_of_events_is_taken_as_a_list(protocol, count):
    events = EVENTS[:count]
    assert read_upload(pickle.dumps(tuple(events), protocol), where="").events == events
    content = pickle.dumps({**QUEUE_FILE, "event_list": tuple(events)}, protocol)
    assert read_upload(content, where="") == Upload(510, "Science Park", events)


def test_the_same_event_may_stand_in_a_list_many_times():
    assert read(pickle.dumps(EVENTS[:1] * 500)) == EVENTS[:1] * 500


def test_a_text_pickle_of_python_2_is_read():
    assert read(PYTHON_2_TEXT) == [PYTHON_2_EVENT]


@pytest.mark.parametrize("header", [b"", b"\x80\x02"])
def test_a_binary_pickle_of_python_2_is_read(header):
    content = (
        header
        + b"]q\x00("
        + PYTHON_2_DATETIME
        + b"}(U\x05caf\xc3\xa9U\x02\xc3\xa9uT\x04\x01\x00\x00"
        + b"\xc3\xa9" * 130
    )
    assert read(content + b"U\x02abe.") == [MOMENT, {"café": "é"}, "é" * 130, "ab"]


@pytest.mark.parametrize(
    ("content", "value"),
    [
        (b"(lp1\nS'\\xff\\xfe'\np2\na(dp3\nS'k\\x80'\np4\nS'ok'\nsa.", [b"\xff\xfe", {b"k\x80": "ok"}]),
        (b"](U\x02\xff\xfe}U\x02k\x80U\x02okse.", [b"\xff\xfe", {b"k\x80": "ok"}]),
        (b"](T\x28\x00\x00\x00" + b"\xff" * 40 + b"U\x02oke.", [b"\xff" * 40, "ok"]),
    ],
)
def test_a_byte_string_that_is_no_text_costs_only_its_own_place(content, value):
    assert read(content) == value


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_bytes_of_python_3_stay_bytes(protocol):
    value = [b"", b"abc", b"\xff\xfe", "café".encode(), "café"]
    assert read(pickle.dumps(value, protocol)) == value


def test_every_part_of_a_datetime_survives():
    for moment in (dt.datetime.min, dt.datetime.max, MOMENT.replace(fold=1), MOMENT.replace(tzinfo=dt.UTC)):
        (found,) = read(pickle.dumps([moment]))
        assert (found, found.fold, found.tzinfo) == (moment, moment.fold, moment.tzinfo)


def test_a_datetime_of_numbers_is_read():
    assert read(b"](cdatetime\ndatetime\n(M\xe1\x07K\x02K\x1aK\x07K\x1aK\x04K\x00tRe.") == [MOMENT]


# NumPy


SCALARS = [
    *(np.dtype(kind).type(1) for kind in "?bhilqBHILQefd"),
    np.int16(-999),
    np.uint64(2**64 - 1),
    np.float64(-0.55),
    np.str_("café"),
    np.bytes_(b"ab\0c"),
]


@pytest.mark.parametrize("protocol", [0, 2, 3])
@pytest.mark.parametrize("module", ["numpy.core.multiarray", "numpy._core.multiarray"])
@pytest.mark.parametrize("scalar", SCALARS, ids=lambda scalar: scalar.dtype.str)
def test_a_numpy_scalar_becomes_a_plain_value(scalar, module, protocol):
    content = pickle.dumps([scalar, scalar], protocol)
    content = content.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    content = content.replace(b"numpy.core.multiarray", module.encode())
    for found in read(content):
        assert (found, type(found)) == (scalar.item(), type(scalar.item()))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_numpy_scalar_of_this_numpy_is_read(protocol):
    assert read(pickle.dumps(SCALARS, protocol)) == [scalar.item() for scalar in SCALARS]


@pytest.mark.parametrize("flags", [b"I0\nI1\n", b"I00\nI01\n"])
@pytest.mark.parametrize(("order", "number"), [(b"<", 0x01E1), (b">", 0xE101)])
def test_a_numpy_scalar_of_python_2_is_read_in_its_byte_order(flags, order, number):
    dtype = (
        b"cnumpy\ndtype\np2\n(S'u2'\np3\n" + flags + b"tp4\nRp5\n(I3\nS'" + order + b"'\np6\nNNNI-1\nI-1\nI0\ntp7\nb"
    )
    content = b"(lp0\ncnumpy.core.multiarray\nscalar\np1\n(" + dtype + b"S'\\xe1\\x01'\np8\ntp9\nRp10\na."
    assert read(content) == [number]


@pytest.mark.parametrize(
    "scalar", [np.longdouble(1), np.complex128(1), np.datetime64("2017-02-26"), np.void(b"abc"), np.array([1, 2])]
)
def test_a_numpy_value_that_is_neither_number_nor_text_is_refused(scalar):
    refused(pickle.dumps([scalar]))


def numpy_scalar(dtype, content):
    """Protocol 2 pickle of a scalar of any dtype and content."""
    name = b"X" + struct.pack("<I", len(dtype)) + dtype + b"\x89\x88\x87R"
    return b"\x80\x02]cnumpy.core.multiarray\nscalar\n" + b"cnumpy\ndtype\n" + name + content + b"\x86Ra."


def test_a_numpy_scalar_of_the_wrong_length_is_refused():
    assert read(numpy_scalar(b"u2", b"C\x02\x01\x02")) == [0x0201]
    refused(numpy_scalar(b"u2", b"C\x03\x01\x02\x03"), "a NumPy value of the size 3 for a type of the size 2")
    refused(numpy_scalar(b"U1", b"C\x04\xff\xff\xff\xff"))
    refused(numpy_scalar(b"S65537", b"B\x01\x00\x01\x00" + b"a" * 65537), "a NumPy text of the size 65537")
    assert read(numpy_scalar(b"S65536", b"B\x00\x00\x01\x00" + b"a" * 65536)) == [b"a" * 65536]


@pytest.mark.parametrize(
    "dtype", [b"O", b"O8", b"V8", b"M8[ns]", b"i8,i8", b"(1000,1000)f8", b"f16", b"i3", b"", b"\xc3\xa9"]
)
def test_a_numpy_type_other_than_numbers_and_texts_is_refused(dtype):
    refused(numpy_scalar(dtype, b"C\x00"), "neither a number nor a short text")


# Attacks


class Call:
    """Pickles as a call."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


def attacks(mark):
    """Calls that would leave a file ``mark`` behind, or are the first step of one."""
    command = f"touch {mark}"
    return {
        "os.system": Call(os.system, command),
        "posix.system": Call(posix.system, command),
        "builtins.eval": Call(eval, f"open({str(mark)!r}, 'w')"),
        "builtins.exec": Call(exec, f"open({str(mark)!r}, 'w')"),
        "builtins.open": Call(open, str(mark), "w"),
        "subprocess.Popen": Call(subprocess.Popen, ["touch", str(mark)]),
        "functools.partial": Call(functools.partial, os.system, command),
        "builtins.getattr": Call(getattr, Call(__import__, "os"), "system"),
        "numpy.load": Call(np.load, str(mark)),
        "pickles.read_pickle": Call(read_pickle, b"."),
    }


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("name", attacks(""))
def test_a_pickle_that_calls_anything_else_is_refused_and_nothing_is_run(name, protocol, tmp_path):
    mark = tmp_path / "run"
    content = pickle.dumps([attacks(mark)[name]], protocol)
    assert "not one of the permitted names; nothing of it was run" in refused(content)
    assert not mark.exists()


def test_a_pickle_that_names_os_system_is_refused_by_name():
    message = "upload_17: the pickle names os.system, which is not one of the permitted names; nothing of it was run"
    assert refused(b"cos\nsystem\n(S'true'\ntR.") == message


@pytest.mark.parametrize(
    "content",
    [
        b"\x80\x04\x8c\x08datetime\x8c\x0cdatetime.now\x93)R.",
        b"\x80\x04\x8c\x17dayfile_hisparc.pickles\x8c\x0asubprocess\x93.",
        b"\x80\x04\x8c\x07_codecs\x8c\x06decode\x93.",
        b"c__builtin__\nbytearray\n)R.",
        b"ccopy_reg\n_reconstructor\n)R.",
        b"cdatetime\nd\xc3\xa9\ntR.",
    ],
)
def test_names_near_the_permitted_ones_are_refused(content):
    refused(content, "names ")


def test_a_name_is_shown_short_and_printable():
    message = refused(b"c" + b"\x1b[31m" * 1000 + b"\nx\n.")
    assert len(message) < 500
    assert message.isprintable()


@pytest.mark.parametrize(
    ("content", "opcode"),
    [
        (b"P1\n.", "PERSID"),
        (b"]Q.", "BINPERSID"),
        (b"\x82\x01.", "EXT1"),
        (b"\x83\x01\x00.", "EXT2"),
        (b"\x84\x01\x00\x00\x00.", "EXT4"),
        (b"(S'true'\nios\nsystem\n.", "INST"),
        (b"(cos\nsystem\nS'true'\no.", "OBJ"),
        (b"cdatetime\ndatetime\n)\x81.", "a tuple"),
        (b"cdatetime\ndatetime\n]\x81.", "NEWOBJ"),
        (b"cdatetime\ndatetime\n]}\x92.", "NEWOBJ_EX"),
        (b"\x8f.", "EMPTY_SET"),
        (b"(\x91.", "FROZENSET"),
        (b"](\x90.", "ADDITEMS"),
        (b"\x97.", "NEXT_BUFFER"),
        (b"\x98.", "READONLY_BUFFER"),
        (b"\x96\x00\x00\x00\x00\x00\x00\x00\x00.", "BYTEARRAY8"),
        (b"]0.", "POP"),
        (b"(1.", "POP_MARK"),
        (b"]2.", "DUP"),
        (b"]h\x00R.", "REDUCE"),
        (b"]K\x01b.", "BUILD"),
        (b"\xff.", "0xff"),
        (b"{'a': 1}.", "0x7b"),
    ],
)
def test_opcodes_outside_the_closed_list_are_refused_with_their_place(content, opcode):
    message = refused(content, opcode)
    assert message.startswith("upload_17, byte ")


def test_the_state_of_a_name_cannot_be_set():
    before = read(PYTHON_2_TEXT)
    for state in (b"(N}X\x08\x00\x00\x00__code__Nst", b"(N}X\x04\x00\x00\x00callNst"):
        refused(b"cdatetime\ndatetime\n" + state + b"b.", "sets the state of a name")
    assert read(PYTHON_2_TEXT) == before


@pytest.mark.parametrize(
    "content",
    [
        b"]cdatetime\ndatetime\na.",
        b"](cdatetime\ndatetime\n}cdatetime\ndatetime\nNse.",
        b"]cnumpy\ndtype\nU\x02i8\x85Ra.",
    ],
)
def test_a_name_or_a_type_is_no_value(content):
    refused(content, "is not a value of an event")


@pytest.mark.parametrize(
    "state",
    [
        b"\x07\xe1\x0d\x1a\x07\x1a\x04\x00\x00\x00",
        b"\x07\xe1\x02\x1e\x07\x1a\x04\x00\x00\x00",
        b"\x07\xe1\x02\x1a\x18\x1a\x04\x00\x00\x00",
        b"\x07\xe1\x02\x1a\x07\x3c\x04\x00\x00\x00",
        b"\x07\xe1\x02\x1a\x07\x1a\x3c\x00\x00\x00",
        b"\x07\xe1\x02\x1a\x07\x1a\x04\xff\xff\xff",
        b"\x00\x00\x02\x1a\x07\x1a\x04\x00\x00\x00",
        b"\x07\xe1\x02\x1a\x07\x1a\x04\x00\x00",
    ],
)
def test_a_datetime_that_is_none_is_refused(state):
    refused(b"]cdatetime\ndatetime\nC%c%b\x85Ra." % (len(state), state))


def test_bytes_in_another_encoding_are_refused():
    refused(b"]c_codecs\nencode\n(Vabc\nVrot13\ntRa.", "latin-1")


@pytest.mark.parametrize(
    "content",
    [
        pickle.dumps([(1, 2)]),
        pickle.dumps([{(1, 2): 3}]),
        pickle.dumps({"events": (1, 2), "more": 3}),
        pickle.dumps(((1,), 2)),
        pickle.dumps([()], 0),
    ],
)
def test_a_tuple_that_is_not_the_list_of_events_is_refused(content):
    refused(content, "a tuple that is not the list of events")


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (b"cnumpy\ndtype\n(U\x02i8h\x00h\x00tR", "wrong arguments"),
        (b"cnumpy\ndtype\n(U\x02i8K\x00h\x00tR", "wrong arguments"),
        (b"cnumpy\ndtype\n(h\x00tR", "a NumPy value of type tuple"),
        (b"h\x01(K\x03U\x01<h\x00NNK\x00K\x00K\x00tb", "wrong state"),
        (b"h\x01(K\x03U\x01<NNNh\x00K\x00K\x00tb", "wrong state"),
        (b"h\x01(K\x03U\x01<NNNK\x00K\x00h\x00tb", "wrong state"),
        (b"h\x01(h\x00h\x00tb", "wrong state"),
        (b"cdatetime\ndatetime\n(h\x00tR", "without the bytes"),
        (b"cdatetime\ndatetime\n(K\x01K\x01K\x01h\x00tR", "malformed"),
        (b"cdatetime\ndatetime\n(" + STATE + b"h\x00tR", "malformed"),
        (b"cdatetime\ntimedelta\n(h\x00tR", "malformed"),
        (b"cdatetime\ntimezone\n(cdatetime\ntimedelta\n)Rh\x00tR", "malformed"),
        (b"c_codecs\nencode\n(Vabc\nh\x00tR", "latin-1"),
        (b"c_codecs\nencode\n(h\x00Vlatin1\ntR", "latin-1"),
        (b"cnumpy.core.multiarray\nscalar\n(h\x01h\x00tR", "without the bytes"),
        (b"cnumpy.core.multiarray\nscalar\n(h\x00U\x01atR", "without a type"),
        (b"c__builtin__\nbytes\n(h\x00tR", "malformed"),
    ],
)
def test_no_call_lets_a_tuple_into_a_tuple(call, words):
    # Memo 0 is a tuple, 1 is a NumPy type.
    refused(b"]cnumpy\ndtype\n(U\x02i8K\x00K\x01tq\x00Rq\x01" + call + b".", words)


# Bombs, and the worst that is let through


MANY = 10**7
MOST = LARGEST_STRUCTURE * 99 // 100


SAME = (2**61 - 1) * 1000  # Python's hash of an integer is its remainder by 2**61 - 1.


def shared_tuples(opening, closing):
    steps = b"".join(b"h%ch%c\x86q%c" % (level, level, level + 1) for level in range(100))
    return opening + b"(K\x01K\x02\x86q\x00" + steps + closing


def length_of(opcode, digits):
    return lambda: opcode + b"\xff" * (digits - 1) + b"\x7fabc."


BOMBS = {
    "binary memo index": lambda: b"]r\xff\xff\xff\x7f.",
    "text memo index": lambda: b"(lp2000000000\n.",
    "shared tuples": lambda: shared_tuples(b"]", b"e."),
    "shared tuples as keys": lambda: shared_tuples(b"}", b"Nu."),
    "nested lists": lambda: b"]" * MANY + b"a" * (MANY - 1) + b".",
    "nested lists of text": lambda: b"(l" * MANY + b"a" * (MANY - 1) + b".",
    "nested dicts": lambda: b"}N" * MANY + b"s" * MANY + b".",
    "lists": lambda: b"](" + b"]" * MOST + b"e.",
    "not too many nested lists": lambda: b"]" * 290_000 + b"a" * 289_999 + b".",
    "marks": lambda: b"(" * MANY + b".",
    "list in itself": lambda: b"]q\x00h\x00a.",
    "shared lists": lambda: b"]q\x00" + b"".join(b"](h%ch%ceq%c" % (n, n, n + 1) for n in range(100)) + b".",
    "wide shared lists": lambda: b"](" + b"N" * 999 + b"eq\x00" + (b"](" + b"h\x00" * 999 + b"eq\x00") * 9 + b".",
    "decimal integer": lambda: b"I" + b"9" * MANY + b"\n.",
    "decimal long": lambda: b"L" + b"9" * MANY + b"L\n.",
    "binary long": lambda: b"\x8b" + struct.pack("<I", MANY) + b"\x7f" * MANY + b".",
    "integers of one hash": lambda: b"}(" + b"".join(b"I%d\nN" % (n * SAME) for n in range(20_000)) + b"u.",
    "longs of one hash": lambda: b"}(" + b"".join(b"L%dL\nN" % (n * SAME) for n in range(20_000)) + b"u.",
    "binary longs of one hash": lambda: (
        b"}(" + b"".join(b"\x8a\x0b" + (n * SAME).to_bytes(11, "little") + b"N" for n in range(20_000)) + b"u."
    ),
    "length of BINBYTES": length_of(b"B", 4),
    "length of BINBYTES8": length_of(b"\x8e", 8),
    "length of BYTEARRAY8": length_of(b"\x96", 8),
    "length of BINUNICODE": length_of(b"X", 4),
    "length of BINUNICODE8": length_of(b"\x8d", 8),
    "length of BINSTRING": length_of(b"T", 4),
    "length of FRAME": lambda: b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x3f].",
    "NumPy type": lambda: b"cnumpy\ndtype\n(U\x0bV2000000000K\x00K\x01tR.",
    "NumPy text": lambda: b"cnumpy\ndtype\n(U\x06U99999K\x00K\x01tR.",
    "bytes of a length": lambda: b"c__builtin__\nbytes\n(I2000000000\ntR.",
    "arguments": lambda: b"cdatetime\ndatetime\n(" + b"N" * MOST + b"tR.",
    "values": lambda: b"](" + b"N" * (2 * MOST) + b"e.",
    "empty strings": lambda: b"](" + b"\x8d\0\0\0\0\0\0\0\0" * (2 * MOST // 9) + b"e.",
    "names": lambda: b"](" + b"cdatetime\ndatetime\n" * (2 * MOST // 18) + b"e.",
    "escapes": lambda: b"(lS'" + b"\\x8" * (MANY // 2) + b"'\na.",
    "wide text": lambda: b"V" + b"a" * (40 * 2**20) + b"\\U0001f600\n.",
}
WORST = {
    "values": lambda: b"](" + b"N" * MOST + b"e.",
    "integers": lambda: b"](" + b"M\xff\xff" * (MOST // 3) + b"e.",
    "memo entries": lambda: b"](" + b"N\x94" * (10**6) + b"e.",
    "dicts and texts": lambda: b"](" + b"}NNs" * 290_000 + b"\x8c\x02ab" * (MOST // 4 - 290_000) + b"e.",
    "keys": lambda: b"}(" + b"".join(b"I%d\nN" % (n * (2**61 - 1) % 10**20) for n in range(200_000)) + b"u.",
    "wide text": lambda: b"V" + b"a" * (31 * 2**20) + b"\\U0001f600\n.",
    "calls": lambda: b"](cdatetime\ndatetime\nq\x00" + STATE + b"\x85R" + b"h\x00h\x01\x85R" * (MOST // 6 - 9) + b"e.",
}


def memory(line):
    """A line of /proc/self/status, in MB."""
    status = Path("/proc/self/status").read_text().splitlines()
    return next(int(words[1]) // 1024 for words in map(str.split, status) if words[0] == f"{line}:")


def measure(name, make):
    """What comes of a pickle in this process, which may grow by 400 MB: outcome, seconds, MB."""
    content = make()
    resource.setrlimit(resource.RLIMIT_AS, ((memory("VmSize") + 400) * 2**20, resource.RLIM_INFINITY))
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before, start = memory("VmRSS"), time.process_time()
    try:
        read(content)
        outcome = "read"
    except SourceError as error:
        outcome = str(error)
    return name, outcome, time.process_time() - start, memory("VmHWM") - before


@pytest.fixture(scope="module")
def measured():
    """What comes of each bomb, measured in a child process."""
    child = run_python(__file__, paths=Path(__file__).parents[1:2])
    assert child.returncode == 0, child.stderr[-1000:]
    return {name: rest for name, *rest in map(json.loads, child.stdout.splitlines())}


@pytest.mark.skipif(sys.platform != "linux", reason="measures by /proc")
@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_within_a_second_and_200_mb(name, measured):
    outcome, seconds, megabytes = measured[f"bomb: {name}"]
    assert outcome.startswith("upload_17")
    assert seconds < 1
    assert megabytes < 200


@pytest.mark.skipif(sys.platform != "linux", reason="measures by /proc")
@pytest.mark.parametrize("name", WORST)
def test_the_worst_that_is_read_takes_a_bounded_time_and_200_mb(name, measured):
    outcome, seconds, megabytes = measured[f"worst: {name}"]
    assert outcome == "read"
    assert seconds < 3
    assert megabytes < 200


@pytest.mark.parametrize("before", [b"", b"g0\n", b"Ng0\nsg0\n"])
def test_an_integer_of_more_than_20_digits_is_refused_wherever_it_stands(before):
    check_structure(b"(lp0\n" + before + b"I-" + b"9" * 20 + b"\n.", where="")
    refused(b"(lp0\n" + before + b"I" + b"9" * 21 + b"\n.", "at most 20 digits")


def test_what_is_let_through_can_be_shown_compared_and_pickled():
    deep = b"]" * pickles.DEEPEST + b"a" * (pickles.DEEPEST - 1) + b"."
    value = read(deep)
    assert value == read(deep)
    assert repr(value) == "[" * pickles.DEEPEST + "]" * pickles.DEEPEST
    refused(b"]" + deep[:-1] + b"a.", "deep")


# Damage


def test_a_pickle_that_is_cut_off_anywhere_is_refused():
    for content in (PYTHON_2_TEXT, pickle.dumps(EVENTS, 2), pickle.dumps(EVENTS, 4)):
        for length in range(len(content)):
            refused(content[:length])


def test_a_pickle_that_is_cut_off_says_so():
    refused(b"](U\x05abc", "cut off")
    refused(b"(lS'abc", "cut off")
    refused(b"](K", "may be cut off")
    refused(b"](", "may be cut off")


def test_bytes_after_the_end_are_refused_with_their_place():
    content = pickle.dumps(EVENTS)
    message = refused(content + content)
    assert f"byte {len(content)}: {len(content):,} bytes after the end" in message


@settings(max_examples=300)
@given(st.binary(max_size=200))
@example(b"")
def test_any_bytes_are_read_or_refused(content):
    looks_like_pickle(content)
    with contextlib.suppress(SourceError):
        read_upload(content, where="")


OPCODES = [
    *(bytes([code]) for code in b"(.Naeld]}stu)Rb\x85\x86\x87\x88\x89\x93\x94\x80\x02"),
    *(b"I1\n", b"K\x01", b"J\xff\xff\xff\xff", b"L5L\n", b"\x8a\x01\x05", b"F1.5\n", b"G?\xf0\0\0\0\0\0\0"),
    *(
        b"S'a'\n",
        b"S'\\xff'\n",
        b"S'\\q'\n",
        b"U\x01\xff",
        b"U\x02i8",
        b"Va\n",
        b"X\x01\0\0\0a",
        b"\x8c\x01a",
        b"C\x01\x05",
    ),
    *(b"p0\n", b"p1\n", b"q\x00", b"q\x01", b"g0\n", b"g1\n", b"h\x00", b"h\x01", b"h\x02", b"\x95\0\0\0\0\0\0\0\0"),
    *(b"cdatetime\ndatetime\n", b"cdatetime\ntimedelta\n", b"cdatetime\ntimezone\n", b"\x8c\x08datetime"),
    *(b"cnumpy\ndtype\n", b"cnumpy.core.multiarray\nscalar\n", b"c_codecs\nencode\n", b"c__builtin__\nbytes\n"),
    *(
        b"tR",
        b"tb",
        b")R",
        b"\x85R",
        b"\x86R",
        b"\x86b",
        STATE,
        b"X\x06\0\0\0latin1",
        b"(K\x03U\x01<NNNK\x01K\x01K\x00tb",
    ),
]


@settings(max_examples=500)
@given(st.lists(st.sampled_from(OPCODES), max_size=25))
def test_any_opcodes_are_read_or_refused_and_what_is_read_can_be_written(opcodes):
    try:
        upload = read_upload(b"](" + b"".join(opcodes) + b"e.", where="")
    except SourceError:
        return
    again = read_upload(write_upload(99, "Amsterdam", upload.events), where="")
    assert repr(again.events) == repr(pickles.replace_tuples(upload.events))


@st.composite
def damaged(draw):
    """An upload with a few bytes changed, taken out or put in."""
    content = bytearray(
        draw(st.sampled_from([PYTHON_2_TEXT, *(pickle.dumps([EVENTS[0], np.int16(5)], n) for n in PROTOCOLS)]))
    )
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, len(content) - 1))
        change = draw(st.sampled_from(["flip", "cut", "insert"]))
        if change == "flip":
            content[place] ^= 1 << draw(st.integers(0, 7))
        elif change == "cut":
            del content[place : place + draw(st.integers(1, 8))]
        else:
            content[place:place] = draw(st.sampled_from(OPCODES))
    return bytes(content)


@settings(max_examples=500)
@given(damaged())
def test_a_damaged_upload_is_read_or_refused(content):
    try:
        upload = read_upload(content, where="")
    except SourceError:
        return
    assert len(read_upload(write_upload(1, "", upload.events), where="").events) == len(upload.events)


# Agreement with pickle


ZONES = st.one_of(st.none(), st.integers(-1439, 1439).map(lambda minutes: dt.timezone(dt.timedelta(minutes=minutes))))
PLAIN = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(),
    st.text(max_size=40) | st.just(TRACE),
    st.binary(max_size=40),
    st.datetimes(timezones=ZONES),
)
KEYS = st.one_of(st.text(max_size=40), st.integers(-(2**63), 2**64 - 1), st.binary(max_size=40))
VALUES = st.recursive(PLAIN, lambda children: st.lists(children) | st.dictionaries(KEYS, children), max_leaves=12)


@settings(max_examples=150)
@given(VALUES, st.sampled_from(PROTOCOLS), st.booleans())
def test_what_pickle_reads_of_plain_values_is_read_alike(value, protocol, optimized):
    content = pickle.dumps(value, protocol)
    if optimized:
        content = pickletools.optimize(content)
    assume(repr(value).count("[") + repr(value).count("{") <= pickles.DEEPEST)
    check_structure(content, where="")
    assert repr(read(content)) == repr(pickle.loads(content))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_large_upload_is_read_like_a_small_one(protocol):
    # More than one run of opcodes, long strings in an upload beyond the limit of its structure, large memo indexes.
    events = [
        event("CIC", MOMENT + dt.timedelta(seconds=n), {"TR1": str(n) + 10 * TRACE, "IN1": n}) for n in range(800)
    ]
    content = pickle.dumps(events, protocol)
    assert len(content) > LARGEST_STRUCTURE
    assert read(content) == events
    many = [[n] for n in range(70_000)]
    assert read(pickle.dumps(many, protocol)) == many


# The walk over the opcodes, against one that takes them one by one


WITH_LENGTH = {b"X": 4, b"B": 4, b"T": 4, b"\x8c": 1, b"C": 1, b"U": 1, b"\x8d": 8, b"\x8e": 8}
"""Bytes of the length of a string."""
ARGUMENTS = {
    **{bytes([code]): b"" for code in b"Nsaueld(}]\x88\x89\x94\x93"},
    **{bytes([code]): b"." for code in b"Khq"},
    b"M": b".{2}",
    b"J": b".{4}",
    b"j": b".{4}",
    b"G": b".{8}",
    b"\x95": b".{8}",
    b"r": b"..[\0-\x0f]\0",
    b"S": rb"[^\n]*\n",
    b"V": rb"[^\n]*\n",
    b"F": rb"[^\n]{1,40}\n",
    b"c": rb"[^\n]*\n[^\n]*\n",
    b"p": rb"[^\n]{1,6}\n",
    b"g": rb"[^\n]{1,6}\n",
    b"I": rb"-?\d{1,20}\n",
    b"L": rb"-?\d{1,20}L?\n",
    b"\x80": rb"[\x00-\x05]",
    b"\x8a": b"|".join(b"%b.{%d}" % (re.escape(bytes([n])), n) for n in range(9)) + b"|\x09.{8}[\0-\x05\xfa-\xff]",
}
"""Expressions for the bytes behind each opcode that may be anywhere, and is not a string with its length."""
PUT = rb"(?:p[^\n]{1,6}\n|q.|r..[\0-\x0f]\0|\x94|)"
CALL = rb"(?s:[t)\x85-\x87]" + PUT + b"[Rb])"
END = rb"(?s:[t)\x85-\x87]" + PUT + b"[su]?)?[.]"


def walk(content):
    """Walk over the opcodes one by one.

    Returns
    -------
    int or None
        The first byte that is not permitted; None if all are.
    bool
        Whether there is a ``str`` of Python 2 that is neither ASCII nor the argument of a call.
    """
    place, opcode, foreign = 0, b"", False
    while not (stop := re.compile(END).match(content, place)):
        before, opcode = opcode, content[place : place + 1]
        if call := re.compile(CALL).match(content, place):
            end = call.end()
        elif opcode in WITH_LENGTH:
            start = place + 1 + WITH_LENGTH[opcode]
            end = start + int.from_bytes(content[place + 1 : start], "little")
        elif opcode in ARGUMENTS and (argument := re.compile(ARGUMENTS[opcode], re.DOTALL).match(content, place + 1)):
            end = argument.end()
        elif opcode == b"b" and before in {b"h", b"j", b"g"}:  # a state that several NumPy types share
            end = place + 1
        else:
            return place, foreign
        if end > len(content) or (opcode in WITH_LENGTH and start > len(content)):
            return place, foreign
        text = opcode == b"S" and content[:1] != b"\x80" and re.search(rb"\\x[89a-f]", content[place:end])
        if text or (opcode in {b"U", b"T"} and not content[start:end].isascii()):
            foreign = foreign or not re.compile(b"(?s:" + PUT + b")" + CALL).match(content, end)
        place = end
    return None if stop.end() == len(content) else stop.end(), foreign


def assert_both_agree(content):
    stopped, foreign = walk(content)
    try:
        found = check_structure(content, where="upload_17")
    except SourceError as error:
        assert error.where == f"upload_17, byte {stopped}"
    else:
        assert stopped is None
        assert found.foreign or not foreign  # a text pickle may be looked through for nothing


@settings(max_examples=500)
@given(damaged())
def test_a_damaged_upload_is_walked_over_as_one_opcode_after_the_other(content):
    assert_both_agree(content)


EDGES = [
    *(
        b"",
        b"\n",
        b"\x05",
        b"\x06",
        b"12\n",
        b"1234567\n",
        b"-" + b"9" * 20 + b"\n",
        b"9" * 21 + b"\n",
        b"9" * 20 + b"L\n",
    ),
    *(b"a" * 40 + b"\n", b"a" * 41 + b"\n", b"a\nb\n", b"'\\xe9'\n", b"\0\0\x0f\0", b"\0\0\x10\0", b"\0\0\0\x01"),
    *(bytes([size]) + bytes(size) for size in (1, 2, 3, 4, 7, 8, 9)),
    *(b"\x09" + bytes(8) + last for last in (b"\x05", b"\x06", b"\xf9", b"\xfa")),
    *(b"\x01\xe9", b"\x01\0\0\0\xe9", b"\x01" + bytes(7) + b"\xe9", b"\x02" + bytes(7) + b"\xe9"),
]
"""What opcodes are followed by, at the limits of what is permitted."""
CONSUMERS = [
    b"",
    b"b",
    b"R",
    b"o",
    b"tR",
    b")b",
    b"\x85R",
    b"\x87q\x01R",
    b"p1\ntb",
    b"r\0\0\x0f\0\x86b",
    b"s",
    b"K\x05",
]


@pytest.mark.parametrize("first", range(0, 256, 32))
def test_each_opcode_is_permitted_by_both_walks_or_by_none(first):
    for opcode in range(first, first + 32):
        for argument in EDGES:
            for consumer in CONSUMERS:
                assert_both_agree(b"](" + bytes([opcode]) + argument + consumer + b"e.")


@settings(max_examples=300)
@given(
    st.lists(st.sampled_from([opcode for opcode in OPCODES if walk(b"](" + opcode + b"e.")[0] is None]), max_size=20),
    st.sampled_from(OPCODES) | st.binary(max_size=3) | st.sampled_from(EDGES),
    st.integers(0, 20),
)
def test_opcodes_in_any_order_are_walked_over_one_after_the_other(opcodes, odd, place):
    opcodes.insert(place, odd)
    assert_both_agree(b"](" + b"".join(opcodes) + b"e.")


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_upload_cut_off_anywhere_is_walked_over_up_to_there(protocol):
    content = pickle.dumps(QUEUE_FILE, protocol)
    for length in range(0, len(content) + 1, 1 if len(content) < 3000 else 7):
        assert_both_agree(content[:length])
    assert walk(content) == (None, False)


@settings(max_examples=150)
@given(VALUES, st.sampled_from(PROTOCOLS))
def test_plain_values_are_walked_over_from_the_first_opcode_to_the_last(value, protocol):
    content = pickle.dumps(value, protocol)
    assert walk(content)[0] is None
    assert_both_agree(content)


# The same, against that of pickletools


LENGTHS = [0, 1, 31, 32, 33, 255, 256, 257, 511, 512, 1000, 1023, 1024, 1025, 1279, 70_000]


def with_length(opcode, length, text):
    return opcode + length.to_bytes(WITH_LENGTH[opcode], "little") + text


@pytest.mark.parametrize("opcode", WITH_LENGTH)
@pytest.mark.parametrize("length", LENGTHS)
def test_a_string_of_any_length_is_stepped_over_by_its_length(opcode, length):
    if length >= 256 ** WITH_LENGTH[opcode]:
        return
    # What stands in the string would be refused, and so is what stands in it by its length alone.
    text = (b"os\nsystem\n0." * (length // 11 + 1))[:length]
    string = with_length(opcode, length, text)
    (value,) = read(b"](" + string + b"e.")
    assert value == (text if opcode in b"BC\x8e" else text.decode())
    assert read(b"](" + string * 3 + b"K\x05e.") == [value] * 3 + [5]
    refused(b"](" + string + b"0e.", "POP")
    if length:
        refused(b"](" + with_length(opcode, length - 1, text[:-1] + b"0") + b"e.", "POP")
        assert "upload_17, byte 2: the pickle has a string that is cut off" in refused(b"](" + string[:-1])


@pytest.mark.parametrize("opcode", WITH_LENGTH)
def test_a_string_whose_length_is_cut_off_is_refused_with_its_place(opcode):
    for whole in range(WITH_LENGTH[opcode]):
        assert "upload_17, byte 2: the pickle has a string that is cut off" in refused(b"](" + opcode + b"\0" * whole)


def test_every_length_of_a_text_of_python_3_is_read():
    texts = ["0" * length for length in range(1100)]
    for protocol in range(1, 6):
        assert read(pickletools.optimize(pickle.dumps(texts, protocol))) == texts


PLAIN_OPCODES = [
    *(b"N", b"\x88", b"]", b"}", b"K0", b"M00", b"J0000", b"G00000000", b"I5\n", b"L5L\n", b"F0.5\n"),
    *(b"S'0'\n", b"V0\n", b"q\x00", b"r\x00\x01\x00\x00", b"h\x00", b"h\x01", b"h\x00h\x01h\x00", b"p0\n", b"g0\n"),
    *(b"g0\nsg1\n", b"g0\nsg1\nI1\n", b"h\x00h\x00h\x01K\x05", b"hhh\x01", b"a", b"s", b"(", b"e", b"u", b"\x94"),
]


def strings(opcodes, longest):
    """Strings of which some tell a length that is wrong by one, so that what follows is read as something else.

    No length begins with the code of an opcode that has a line of text, as pickletools looks at what the line says.
    """
    lengths = st.integers(0, longest).filter(lambda length: length % 256 not in b"cFgILpSV")
    return st.builds(
        lambda opcode, length, wrong: with_length(opcode, length, b"0" * (length + wrong)),
        st.sampled_from(opcodes),
        lengths,
        st.sampled_from([0, 0, 0, 0, 1, -1]),
    )


def names_of_opcodes(content):
    """The names of a pickle's opcodes, by the plain walk; nothing if they are not whole or end before the last byte."""
    try:
        found = list(pickletools.genops(content))
    except UnicodeDecodeError:  # what a string holds is no matter of the walk
        assume(False)
    except ValueError:
        return set()
    return {opcode.name for opcode, _, _ in found} if found[-1][2] == len(content) - 1 else set()


PLAIN_NAMES = names_of_opcodes(
    b"](" + b"".join(PLAIN_OPCODES) + b"".join(with_length(opcode, 0, b"") for opcode in WITH_LENGTH) + b"e."
)


@settings(max_examples=400)
@given(
    st.lists(st.sampled_from(PLAIN_OPCODES) | strings(sorted(WITH_LENGTH), 255) | strings([b"X"], 1300), max_size=12)
)
def test_the_walk_agrees_with_the_plain_one(opcodes):
    content = b"](" + b"".join(opcodes) + b"e."
    names = names_of_opcodes(content)
    try:
        check_structure(content, where="")
    except SourceError:
        assert not names or not names <= PLAIN_NAMES
    else:
        assert names
        assert names <= PLAIN_NAMES


def test_long_strings_are_no_part_of_the_structure_whatever_it_is_made_of():
    # Less than the limit and yet more, as each short string counts as a long one; without the long ones it is less.
    shorts, longs = with_length(b"\x8d", 2, b"ab") * 100_000, with_length(b"X", 1000, b"a" * 1000) * 3000
    content = b"](" + longs + shorts + b"e."
    assert len(content) < LARGEST_STRUCTURE < len(longs) + 100_000 * LONG_STRING
    assert read(content) == ["a" * 1000] * 3000 + ["ab"] * 100_000
    refused(b"](" + longs + 2 * shorts + b"e.", "bytes beside its long strings")


# Uploads


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("secret", "a pickled str"),
        (None, "a pickled NoneType"),
        (MOMENT, "a pickled datetime"),
        ({"secret": 1}, "other keys"),
        (EVENTS[0], "other keys"),
        ({**QUEUE_FILE, "secret": 1}, "other keys"),
        ({**QUEUE_FILE, "station_id": True}, "bool as station_id"),
        ({**QUEUE_FILE, "station_id": "secret"}, "str as station_id"),
        ({**QUEUE_FILE, "station_id": 2**63}, "the station number of a queue file has more than 64 bits"),
        ({**QUEUE_FILE, "cluster": None}, "NoneType as cluster"),
        ({**QUEUE_FILE, "event_list": {"secret": 1}}, "dict as event_list"),
    ],
)
def test_what_is_no_upload_is_refused_by_its_type_and_never_shown(value, words):
    with pytest.raises(SourceError, match=words) as caught:
        read_upload(pickle.dumps(value), where="upload_17")
    assert "secret" not in str(caught.value)


def test_the_events_are_not_looked_at():
    assert read_upload(pickle.dumps([1, None, "x"]), where="").events == [1, None, "x"]


@settings(max_examples=50)
@given(st.lists(VALUES, max_size=3), st.integers(0, 2**31), st.text(max_size=20))
def test_what_was_read_can_be_written_and_read_again(events, station, cluster):
    assume(repr(events).count("[") + repr(events).count("{") <= pickles.DEEPEST - 1)
    for upload in (Upload(station, cluster, events), Upload(None, None, events)):
        content = write_upload(upload.station, upload.cluster, upload.events)
        assert repr(read_upload(content, where="")) == repr(upload)


def test_an_event_with_a_tuple_can_be_written_and_read_again():
    # A damaged memo index can put the argument of a call in the place of a value.
    events = read(b"](cdatetime\ndatetime\n" + STATE + b"\x85q\x02R}(h\x02U\x01aU\x01bh\x02ue.")
    state = STATE[2:12]
    assert events == [MOMENT, {(state,): "a", "b": (state,)}]
    again = read_upload(write_upload(99, "Amsterdam", events), where="").events
    assert again == [MOMENT, {str((state,)): "a", "b": [state]}]


def test_an_event_that_is_no_text_can_be_written_and_read_again():
    events = read(
        b"(lp1\nS'\\xff\\xfe'\np2\nacdatetime\ndatetime\n(S'\\x07\\xe1\\x02\\x1a\\x07\\x1a\\x04\\x00\\x00\\x00'\ntRa."
    )
    assert events == [b"\xff\xfe", MOMENT]
    assert read_upload(write_upload(99, "Amsterdam", events), where="").events == events


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_upload_looks_like_a_pickle(protocol):
    for value in (EVENTS, tuple(EVENTS), QUEUE_FILE, [], (), {}, [[]], [{}], [1], ["a"]):
        assert looks_like_pickle(pickle.dumps(value, protocol))
        assert looks_like_pickle(pickletools.optimize(pickle.dumps(value, protocol)))
    assert looks_like_pickle(PYTHON_2_TEXT)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"(",
        b"]",
        b"[]",
        b'{"a": 1}',
        b"\x89HDF\r\n\x1a\n",
        b"\x0e\x03\x13\x01",
        b"\x28\x6c\x1f\x00",
        b"\x80\x07",
        b"a,b\n",
    ],
)
def test_other_sources_do_not_look_like_a_pickle(content):
    assert not looks_like_pickle(content)


@pytest.mark.skipif("DAYFILE_SAMPLES" not in os.environ, reason="needs real uploads: set DAYFILE_SAMPLES")
def test_real_uploads_are_read_as_pickle_reads_them():
    paths = [path for path in Path(os.environ["DAYFILE_SAMPLES"], "hisparc").glob("*/*") if path.is_file()]
    assert paths
    for path in paths:
        content = path.read_bytes()
        upload = read_upload(content, where=path.name)
        value = pickle.loads(content, encoding="latin-1")
        assert upload.events == (value["event_list"] if isinstance(value, dict) else value)
        assert looks_like_pickle(content)
        assert read_upload(write_upload(upload.station, upload.cluster, upload.events), where="") == upload


if __name__ == "__main__":
    for kind, group in (("bomb", BOMBS), ("worst", WORST)):
        for label, maker in group.items():
            # A process each, as memory that was given back stays with a process.
            if os.fork() == 0:
                os.write(1, json.dumps(measure(f"{kind}: {label}", maker)).encode() + b"\n")
                os._exit(0)
            os.wait()


# NumPy scalars of Python 2 whose types share their state tuple: it is fetched from the memo by GET, then set by BUILD


def shared_states(get, names=("u2", "i8", "i4")):
    """Text or binary pickle of Python 2: a list of scalars with the value 300, whose types share one state."""
    text = b"(lp0\n" if get == b"g" else b"]q\x00"
    for number, name in enumerate(names):
        put = b"p%d\n" if get == b"g" else b"q%c"
        state = b"(I3\nS'<'\nNNNI-1\nI-1\nI0\nt" + put % 99
        fetch = {b"g": b"g99\n", b"h": b"hc", b"j": b"jc\0\0\0"}[get]
        content = (300).to_bytes(int(name[1:]), "little")
        value = b"S'" + b"".join(b"\\x%02x" % byte for byte in content) + b"'\n"
        kind = b"cnumpy\ndtype\n(S'" + name.encode() + b"'\nI0\nI1\ntR" + put % (10 + number)
        text += b"cnumpy.core.multiarray\nscalar\n(" + kind + (state if number == 0 else fetch) + b"b" + value + b"tRa"
    return text + b"."


@pytest.mark.parametrize("get", [b"g", b"h", b"j"])
def test_numpy_scalars_whose_types_share_their_state_become_plain_values(get):
    content = shared_states(get)
    assert b"b" in content
    assert read(content) == [300, 300, 300]


@pytest.mark.parametrize(
    "state",
    [
        b"(lp1\n", b"(dp1\n", b"(dS'a'\nI1\nsp1\n", b"I5\np1\n", b"S'a'\np1\n",
        b"cdatetime\ndatetime\np1\n", b"cnumpy\ndtype\np1\n", b"(lI3\naS'<'\naNaNaNaI-1\naI-1\naI0\nap1\n",
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "target",
    [
        b"(lp2\n", b"(dp2\n", b"cnumpy\ndtype\n", b"cdatetime\ndatetime\n", b"c__builtin__\nbytes\n",
        b"cnumpy\ndtype\n(S'i8'\nI0\nI1\ntR", b"cdatetime\ndatetime\n(I2024\nI5\nI1\ntR",
        b"cdatetime\ntimedelta\n(I1\ntR", b"S'text'\n",
    ],
)  # fmt: skip
def test_a_state_from_the_memo_that_no_numpy_type_has_is_refused(state, target):
    refused(b"(lp0\n" + state + b"a" + target + b"g1\nba.")


def test_no_state_from_the_memo_changes_nothing_and_nothing_permitted_takes_it():
    assert read(b"(lp0\nNp1\na(lp2\ng1\nba.") == [None, []]
    refused(b"(lp0\nNp1\nacnumpy\ndtype\n(S'i8'\nI0\nI1\ntRg1\nba.")
    refused(b"(lp0\nNp1\nacnumpy\ndtype\ng1\nba.")


def test_the_list_of_permitted_names_stays_closed_to_states_from_the_memo():
    content = b"(lp0\n(S'true'\ntp1\n0cos\nsystem\ng1\nb."
    refused(content)
    refused(b"(lp0\n(I3\nS'<'\nNNNI-1\nI-1\nI0\ntp1\ncos\nsystem\ng1\nba.")


PIECES = [
    *(b"(l", b"(d", b"(", b"t", b"a", b"s", b"R", b"b", b"]", b"}", b"N", b"I3\n", b"I-1\n", b"S'<'\n", b"S'i8'\n"),
    *(b"g1\n", b"g2\n", b"g3\nb", b"h\x01", b"h\x02b", b"p1\n", b"p2\n", b"p3\n", b"q\x01", b"j\1\0\0\0b"),
    *(b"cnumpy\ndtype\n", b"cnumpy.core.multiarray\nscalar\n", b"cdatetime\ndatetime\n", b"cos\nsystem\n"),
    *(b"(I3\nS'<'\nNNNI-1\nI-1\nI0\nt", b"cnumpy\ndtype\n(S'i8'\nI0\nI1\ntR"),
]


@settings(max_examples=400)
@given(st.lists(st.sampled_from(PIECES), max_size=25))
def test_any_order_of_these_opcodes_is_read_to_plain_values_or_refused(parts):
    with contextlib.suppress(SourceError):
        value = read(b"(lp0\n" + b"".join(parts) + b".")
        pickle.dumps(value)
        assert not pickles_with_names(value)


def pickles_with_names(value):
    """Whether a value, pickled, names anything but what plain values need."""
    names = {argument for opcode, argument, _ in pickletools.genops(pickle.dumps(value, 2)) if opcode.name == "GLOBAL"}
    return names - {
        "datetime datetime",
        "datetime timedelta",
        "datetime timezone",
        "_codecs encode",
        "__builtin__ bytes",
    }
