"""What an upload unfolds to is bounded: values are counted as often as they are used, before they are."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import pickle
import resource
import sys
import urllib.parse
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archives import list_entries
from dayfile import create_archive
from dayfile.errors import SourceError
from dayfile_hisparc import instrument
from dayfile_hisparc.codes import LONGEST_CODE, MOST_CODES, find_plan, remember_plan
from dayfile_hisparc.events import MOST_UNKNOWN, Dates, decode_events
from dayfile_hisparc.pickles import DEEPEST, Reader, Upload, check_values, read_pickle, read_upload, write_upload
from dayfile_hisparc.receiver import Answer, Receiver
from dayfile_hisparc.stations import StationList
from dayfile_hisparc.structure import LONGEST_IN_RUN, check_structure
from dayfile_hisparc.unfolding import MOST_UNFOLDED, Unfolding, find_largest_size
from running import run_python

MOMENT = dt.datetime(2024, 5, 1, 12)
MB = 2**20
TYPES = instrument.layout.by_code()


def event(values, code="CIC", **more):
    header = {"eventtype_uploadcode": code, "datetime": MOMENT, "nanoseconds": 0, **more}
    return {"header": header, "datalist": values}


def value(code, data):
    return {"data_uploadcode": code, "data": data}


def shared_traces(number, length=300_000):
    text = "QUJD" * (length // 4)
    values = [value(f"TR{detector}", text) for detector in range(1, 5)]
    return [event(values, nanoseconds=place) for place in range(number)]


def shared_text(code, field, text, number):
    return [event([value(field, text)], code, nanoseconds=place) for place in range(number)]


def shared_lists(text, depth, width):
    """Lists that hold the same list so many times each, and in the end a text."""
    shared = [text]
    for _ in range(depth):
        shared = [shared] * width
    return [shared]


def bytes_made_of(text, number):
    """Calls of ``_codecs.encode``, as Python 3 writes bytes up to protocol 2, all with the same text."""
    length = len(text).to_bytes(4, "little")
    argument = b"X" + length + text.encode() + b"q\x00X\x06\0\0\0latin1q\x01"
    return b"\x80\x02](" + argument + b"c_codecs\nencode\nq\x02" + b"h\x02h\x00h\x01\x86R" * number + b"e."


def scalars_made_of(number):
    """Calls of NumPy's ``scalar``, all with the same type and bytes."""
    kind = b"cnumpy\ndtype\n(U\x06S60000K\x00K\x01tRq\x00"
    content = b"T" + (60_000).to_bytes(4, "little") + b"a" * 60_000 + b"q\x01"
    name = b"cnumpy.core.multiarray\nscalar\nq\x02"
    return b"\x80\x02](" + kind + content + name + b"h\x02h\x00h\x01\x86R" * number + b"e."


BOMBS = {
    "traces": lambda: pickle.dumps(shared_traces(1200), 2),
    "traces of a text pickle": lambda: pickle.dumps(shared_traces(1200), 0),
    "texts of messages": lambda: pickle.dumps(shared_text("ERR", "ERRMSG", "a" * 100_000, 3000), 4),
    "texts of configurations": lambda: pickle.dumps(shared_text("CFG", "CFG_MASVERSION", "a" * 100_000, 3000), 4),
    "texts that are not ASCII": lambda: pickle.dumps(shared_text("ERR", "ERRMSG", "é" * 100_000, 3000), 4),
    "bytes": lambda: pickle.dumps(shared_text("ERR", "ERRMSG", b"\xff" * 100_000, 3000), 4),
    "keys": lambda: pickle.dumps([event([], **{"a" * 100_000: n}) for n in range(1)] + [{"a" * 99_999: 0}] * 3000, 4),
    "codes": lambda: pickle.dumps([event([value("A" * 100_000, 1)] * 3000)], 4),
    "values of headers": lambda: pickle.dumps([event([])["header"] | {"date": "a" * 100_000}] * 3000, 4),
    "lists in lists": lambda: pickle.dumps(shared_lists("a" * 1000, 3, 90), 4),
    "dicts": lambda: pickle.dumps([{"header": {"a": "b" * 10_000}}] * 30_000, 4),
    "bytes of calls": lambda: bytes_made_of("a" * 100_000, 3000),
    "scalars of calls": lambda: scalars_made_of(5000),
}


def measure():
    """Read each bomb in this process, which may grow by 200 MB: the outcomes."""
    status = Path("/proc/self/status").read_text().splitlines()
    size = next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmSize"))
    contents = {name: make() for name, make in BOMBS.items()}
    resource.setrlimit(resource.RLIMIT_AS, (size + 200 * MB, resource.RLIM_INFINITY))
    outcomes = {}
    for name, content in contents.items():
        try:
            read_upload(content, where="upload_17")
            outcomes[name] = "read"
        except SourceError as error:
            outcomes[name] = str(error)
        except MemoryError:
            outcomes[name] = "no memory"
    return outcomes


@pytest.fixture(scope="module")
def outcomes():
    """What comes of each bomb, in a child process."""
    child = run_python(__file__, paths=Path(__file__).parents[1:2])
    assert child.returncode == 0, child.stderr[-1000:]
    return json.loads(child.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="measures by /proc")
@pytest.mark.parametrize("name", BOMBS)
def test_a_pickle_that_unfolds_to_more_than_256_mb_is_refused_before_it_does(name, outcomes):
    assert len(BOMBS[name]()) < MB
    size = 32 if name.endswith("calls") else 256
    expected = f"upload_17: the pickle unfolds to more than {size} MB: it uses the same values in too many places"
    assert outcomes[name] == expected


def test_an_upload_that_unfolds_to_less_is_read_as_it_is():
    number = MOST_UNFOLDED // 1_200_000
    events = shared_traces(number)
    assert read_upload(pickle.dumps(events, 2), where="").events == events
    with pytest.raises(SourceError, match="unfolds to more than 256 MB"):
        read_upload(pickle.dumps(shared_traces(number + 1), 2), where="")


PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)
ZONE = dt.timezone(dt.timedelta(days=-1, seconds=86399, microseconds=999999))
TEXTS = st.builds(
    lambda letter, number: letter * number, st.sampled_from("a\xff\u20ac\U0010ffff'\n"), st.integers(0, 3000)
)
LEAVES = st.one_of(
    TEXTS,
    TEXTS.map(str.encode),
    st.integers(-(2**64), 2**64),
    st.floats(),
    st.none(),
    st.builds(lambda name: MOMENT.replace(tzinfo=dt.timezone(ZONE.utcoffset(None), name)), TEXTS),
    st.just(MOMENT.replace(tzinfo=ZONE)),
)
USES = st.integers(0, 300)
SHARED = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(lambda value, uses: [value] * uses, inner, USES),
        st.builds(lambda value, uses: dict.fromkeys(range(uses), value), inner, USES),
        st.builds(lambda key, value, uses: [{key: value}] * uses, TEXTS, inner, USES),
    ),
    max_leaves=2,
)


@given(SHARED, st.sampled_from(PROTOCOLS))
def test_no_value_unfolds_to_more_than_the_largest_size_of_so_many_values(value, protocol):
    content = pickle.dumps(value, protocol)
    number = check_values(Reader(content).load(), MB * MB)
    counted = Unfolding(sys.maxsize)
    counted.check(Reader(content).load())
    assert counted.size <= find_largest_size(number, check_structure(content, where="").longest) + 100


def test_no_bytes_of_python_2_unfold_to_more_than_the_largest_size():
    content = b"](T" + (5000).to_bytes(4, "little") + b"\xff" * 5000 + b"q\0" + b"h\0" * 300 + b"e."
    counted = Unfolding()
    counted.check(Reader(content).load())
    number = check_values(Reader(content).load(), MB)
    assert counted.size <= find_largest_size(number, check_structure(content, where="").longest)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("make", [str, str.encode])
def test_the_longest_string_of_a_pickle_is_known_unless_it_is_short(make, protocol):
    for length in (LONGEST_IN_RUN - 10, *range(LONGEST_IN_RUN - 3, LONGEST_IN_RUN + 4), 5000, 100_000):
        content = pickle.dumps([make("a" * length), make("b" * 50)], protocol)
        longest = check_structure(content, where="").longest
        assert max(length, LONGEST_IN_RUN) <= longest <= max(length, LONGEST_IN_RUN) + 12


def test_the_number_of_values_is_not_too_small_however_deep_they_are():
    value = "a"
    for _ in range(DEEPEST - 2):
        value = [value, value]
    assert check_values([value, {"a": value}], MB) >= 2 * 2 ** (DEEPEST - 2)


def test_an_upload_has_at_most_so_many_events():
    assert len(read_upload(write_upload(None, None, [0, 1, 2]), where="", most_events=3).events) == 3
    for station in (None, 501):
        with pytest.raises(SourceError, match="upload_17: 4 events are more than an upload can have"):
            read_upload(write_upload(station, "Amsterdam", [0, 1, 2, 3]), where="upload_17", most_events=3)


def test_what_is_shared_is_copied_once_where_texts_of_python_2_become_bytes():
    content = b"](U\x01\xffq\x00](h\x00h\x00eq\x01h\x01h\x01}q\x02(U\x01ah\x00uh\x02e."
    assert check_structure(content, where="").foreign
    first, *lists, one, other = read_pickle(content, where="")
    assert (first, *lists, one) == (b"\xff", *[[b"\xff"] * 2] * 3, {"a": b"\xff"})
    assert (lists[0] is lists[1] is lists[2], one is other, lists[0][0] is first) == (True, True, True)


def test_the_receiver_answers_208_for_such_an_upload_and_keeps_it_once(tmp_path):
    root = create_archive(tmp_path / "archive").root
    (tmp_path / "stations.csv").write_text("501,Amsterdam,secret\n")
    receiver = Receiver(root, StationList(tmp_path / "stations.csv"))
    payload = BOMBS["traces"]()
    form = {
        "station_id": 501,
        "password": "secret",
        "data": payload.decode("latin-1"),
        "checksum": hashlib.md5(payload, usedforsecurity=False).hexdigest(),
    }
    for _ in range(2):
        assert receiver.answer(urllib.parse.urlencode(form).encode()) is Answer.UNREADABLE
    (entry,) = list_entries(root)
    assert entry.content.read_bytes() == payload
    assert "unfolds to more than 256 MB" in entry.reason["message"]
    assert list(root.incoming.iterdir()) == []


def test_an_event_with_many_reasons_for_quarantine_is_not_kept_once_for_each():
    codes = [value(f"X{number}x", 0) for number in range(1000)]
    upload = Upload(501, "Amsterdam", [event([value("ERRMSG", "a" * MB), *codes], "ERR")])
    _, *remarks = decode_events(upload, TYPES, Dates(), "upload")
    assert len(remarks) == MOST_UNKNOWN + 1
    assert sum(len(value) for remark in remarks for value in remark.values) < MB


def test_values_of_unknown_codes_that_would_take_too_much_are_refused():
    text = "\x01" * MB  # six characters each, as JSON
    upload = Upload(501, "Amsterdam", [event([value("XYZ1", text)], "CIC") for _ in range(50)])
    with pytest.raises(SourceError, match="the upload is kept whole"):
        list(decode_events(upload, TYPES, Dates(), "upload"))


def test_codes_that_no_station_sends_are_not_remembered():
    remember_plan.cache_clear()
    for codes in (("PH1", "A" * (LONGEST_CODE + 1)), ("PH1",) * (MOST_CODES + 1)):
        assert find_plan(TYPES["CIC"], codes).values[0].field.name == "pulseheights"
    assert remember_plan.cache_info().currsize == 0
    assert find_plan(TYPES["CIC"], ("PH1",)) is find_plan(TYPES["CIC"], ("PH1",))


if __name__ == "__main__":
    sys.stdout.write(json.dumps(measure()))
